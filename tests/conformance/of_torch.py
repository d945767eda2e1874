"""Which tests hold what torch's own tests ask of an optimizer, and why the others do not apply.

A test is named by its file, without `test_`, and itself; a file of another folder by its path below `tests`.
docs/conformance.md prints this.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_FOREACH = "no foreach: kernels take all matrices together, the torch path one after the other"
TWO_DEVICES = "needs two devices: each is stepped on its own, as several formats are"
A_GPU = "needs a GPU"
NOT_COMPLEX = "complex parameters are refused: no spec says what it computes for them"
NOT_DIFFERENTIABLE = "a step changes parameters in place and is refused as differentiable"


@dataclass(frozen=True)
class Behaviour:
    """One test of torch, in test/test_optim.py if nothing is said. Either tests hold it here, or a reason says why it
    does not apply; a refusal has both.
    """

    name: str
    tests: tuple[str, ...] = ()
    reason: str = ""


OF_TORCH = (
    Behaviour(
        "test_errors",
        (
            "groups::test_what_is_no_parameter_is_refused_as_torch_refuses_it",
            "groups::test_no_parameters_are_refused_and_an_empty_group_is_not",
            "groups::test_groups_with_and_without_names_do_not_mix",
            "hypers::test_a_hyper_out_of_range_is_refused_by_name",
            "hypers::test_hypers_are_taken_to_the_ends_of_the_ranges_that_the_docstring_says",
            "hypers::test_hypers_with_several_numbers_are_checked_one_by_one",
            "hypers::test_a_tensor_hyper_must_have_one_element",
        ),
    ),
    Behaviour(
        "test_forloop_goes_right_direction",
        (
            "steps::test_a_step_moves_every_parameter_against_its_gradient",
            "steps::test_a_closure_is_evaluated_with_gradients_and_its_loss_returned",
            "steps::test_memory_layout_does_not_change_results",
            "steps::test_a_strided_view_of_a_larger_tensor_is_stepped_like_a_copy_of_it",
        ),
    ),
    Behaviour("test_forloop_goes_right_direction_multigpu", reason=TWO_DEVICES),
    Behaviour("test_mixed_device_dtype", ("steps::test_parameters_of_several_formats_step_side_by_side",), TWO_DEVICES),
    Behaviour(
        "test_param_group_with_lrscheduler_goes_right_direction",
        (
            "schedulers::test_learning_rates_are_those_that_a_torch_optimizer_gets",
            "schedulers::test_steps_use_what_a_schedule_has_set",
        ),
    ),
    Behaviour(
        "test_tensor_lr",
        (
            "hypers::test_a_tensor_learning_rate_is_read_at_every_step",
            "schedulers::test_a_schedule_fills_a_learning_rate_that_is_a_tensor",
        ),
    ),
    Behaviour(
        "test_rosenbrock_sparse",
        ("refusals::test_a_sparse_gradient_anywhere_is_refused_before_anything_is_changed",),
        "sparse gradients are refused: a matrix is orthogonalized as a whole",
    ),
    Behaviour("test_complex", ("refusals::test_complex_parameters_are_refused",), NOT_COMPLEX),
    Behaviour("test_complex_2d", ("refusals::test_complex_parameters_are_refused",), NOT_COMPLEX),
    Behaviour(
        "test_foreach_matches_forloop",
        ("options::test_what_a_class_does_not_do_is_refused_with_the_reason",),
        NO_FOREACH,
    ),
    Behaviour("test_foreach_large_tensor", reason=NO_FOREACH),
    Behaviour("test_defaults_changed_to_foreach", reason=NO_FOREACH),
    Behaviour("test_set_default_dtype_works_with_foreach", ("steps::test_the_default_dtype_changes_no_bit",)),
    Behaviour("test_peak_memory_foreach", ("memory::test_a_step_holds_a_few_copies_of_one_parameter_at_a_time",)),
    Behaviour(
        "test_fused_matches_forloop",
        (
            "options::test_fused_is_the_backend_of_kernels",
            "options::test_fused_is_refused_at_once_where_no_kernel_can_run",
            "triton/test_interpreted_specs::test_kernels_agree_with_the_oracle",
        ),
    ),
    Behaviour("test_fused_cpu_matches_cuda", reason=A_GPU),
    Behaviour(
        "test_fused_large_tensor",
        ("triton/test_bad_input::test_the_last_of_more_elements_than_32_bits_count_are_reached",),
    ),
    Behaviour(
        "test_fused_error_on_params_on_meta",
        (
            "changed_parameters::test_parameters_on_the_meta_device_are_looked_at_and_not_stepped",
            "changed_parameters::test_an_optimizer_that_was_made_before_its_model_has_memory_is_refused",
        ),
    ),
    Behaviour(
        "test_fused_does_not_step_if_foundinf",
        (
            "runtime/test_grad_scaler::test_a_skipped_step_changes_nothing",
            "runtime/test_grad_scaler::test_steps_and_skips_are_those_of_torchs_fused_adamw",
        ),
    ),
    Behaviour("test_cpu_load_state_dict", reason=A_GPU),
    Behaviour(
        "test_state_dict_with_cuda_params",
        ("changed_parameters::test_a_model_converted_since_the_first_step_is_refused_where_states_have_its_format",),
        f"{A_GPU}; into another format a checkpoint is loaded",
    ),
    Behaviour("test_param_groups_weight_decay", ("groups::test_groups_are_as_several_optimizers",)),
    Behaviour("test_param_groups_lr", ("groups::test_each_group_steps_with_its_own_learning_rate",)),
    Behaviour(
        "test_step_is_noop_when_params_have_no_grad",
        (
            "steps::test_missing_gradients_are_skipped_and_leave_parameter_and_state_alone",
            "steps::test_gradients_that_come_and_go_step_only_where_they_are",
            "changed_parameters::test_frozen_parameters_rest_and_are_stepped_when_they_are_thawed",
        ),
    ),
    Behaviour(
        "test_step_is_noop_for_zero_grads",
        ("steps::test_zero_gradients_without_decay_leave_parameters_as_they_are",),
    ),
    Behaviour("test_optimizer_can_be_printed", ("groups::test_repr_names_class_groups_and_hypers",)),
    Behaviour("test_state_dict_deterministic", ("checkpoints::test_a_copy_continues_bitwise",)),
    Behaviour(
        "test_can_load_older_state_dict",
        ("checkpoints::test_hypers_that_a_checkpoint_does_not_know_stay_as_they_are",),
    ),
    Behaviour("test_can_load_from_to_named_state_dict", ("checkpoints::test_names_of_parameters_are_kept",)),
    Behaviour(
        "test_save_load_equality_with_weights_only",
        (
            "checkpoints::test_a_copy_continues_bitwise",
            "checkpoints::test_a_checkpoint_holds_no_more_than_torch_can_read_without_pickle",
        ),
    ),
    Behaviour(
        "test_load_nontensor_step",
        ("checkpoints::test_a_count_of_steps_that_is_no_tensor_is_refused",),
        "no version has written one: it is refused as any state of another form",
    ),
    Behaviour("test_state_dict_pre_hook", ("hooks::test_state_dict_hooks_run_on_saving",)),
    Behaviour("test_state_dict_post_hook", ("hooks::test_state_dict_hooks_run_on_saving",)),
    Behaviour("test_state_dict_pre_post_hook", ("hooks::test_state_dict_hooks_run_on_saving",)),
    Behaviour("test_load_state_dict_pre_hook_and_prepend", ("hooks::test_hooks_on_loading_run_in_their_order",)),
    Behaviour("test_load_state_dict_post_hook", ("hooks::test_hooks_on_loading_run_in_their_order",)),
    Behaviour("test_load_state_dict_pre_post_hook", ("hooks::test_hooks_on_loading_run_in_their_order",)),
    Behaviour("test_step_pre_hook", ("hooks::test_step_hooks_run_before_and_after_the_step",)),
    Behaviour("test_step_post_hook", ("hooks::test_step_hooks_run_before_and_after_the_step",)),
    Behaviour("test_step_all_hooks", ("hooks::test_hooks_of_all_optimizers_run_around_those_of_one",)),
    Behaviour("test_deepcopy_copies_all_public_attrs", ("checkpoints::test_a_copy_has_all_public_attributes",)),
    Behaviour("test_non_empty_state", ("steps::test_states_are_made_at_the_first_step_under_their_names",)),
    Behaviour("test_second_order_optims_return_consistent_types", reason="no spec evaluates the loss again"),
    Behaviour(
        "test_optim_infos_do_not_specify_global_cliquey_kwargs",
        reason="is about the tables of torch's tests",
    ),
    Behaviour(
        "test/optim/test_optim.py: TestDifferentiableOptimizer",
        ("options::test_what_a_class_does_not_do_is_refused_with_the_reason",),
        NOT_DIFFERENTIABLE,
    ),
    Behaviour(
        "test/optim/test_lrscheduler.py",
        (
            "schedulers::test_all_schedulers_of_torch_are_here",
            "schedulers::test_a_schedule_goes_on_from_a_checkpoint",
            "schedulers::test_a_schedule_may_cycle_the_momentum_of_a_class_that_has_one",
            "schedulers::test_a_model_that_is_divided_is_scheduled_group_by_group",
        ),
    ),
    Behaviour(
        "test/optim/test_swa_utils.py",
        (
            "schedulers::test_weights_are_averaged_beside_the_optimizer",
            "schedulers::test_learning_rates_are_those_that_a_torch_optimizer_gets",
        ),
    ),
    Behaviour(
        "test/inductor/test_compiled_optimizers.py",
        (
            "compile::test_fifty_steps_of_changing_hypers_compile_once",
            "compile::test_every_way_to_compile_a_step_is_as_the_plain_one",
            "compile::test_a_demand_for_one_graph_is_refused_with_the_reason",
        ),
        "a step is not compiled: it has kernels of its own, and runs outside of graphs",
    ),
    Behaviour(
        "test/distributed/checkpoint/test_state_dict.py",
        (
            "distributed_checkpoints::test_a_state_dict_by_names_continues_bitwise",
            "distributed_checkpoints::test_a_checkpoint_on_disk_continues_bitwise",
            "distributed_checkpoints::test_names_are_those_of_the_model",
        ),
        "in one process; sharded parameters are refused",
    ),
)
