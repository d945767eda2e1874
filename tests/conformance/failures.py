"""What goes wrong elsewhere without a word, what happens here, and which tests hold it.

Tests are named as in `of_torch`. docs/conformance.md prints this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Failure:
    """What goes on without a word elsewhere, and what happens here."""

    what: str
    outcome: Literal["refused", "warned of", "right", "shown"]
    how: str
    tests: tuple[str, ...]


FAILURES = (
    Failure(
        "FSDP flattens a matrix, or leaves a piece of it under its name",
        "refused",
        "by the marks that FSDP puts on parameters, when they are added and at every step",
        (
            "silent_failures::test_parameters_that_a_wrapper_has_flattened_or_sharded_are_refused",
            "refusals::test_sharded_parameters_are_refused_by_every_class",
        ),
    ),
    Failure(
        "one vector of all parameters, roles that are wrong: everything goes to AdamW",
        "warned of",
        "at construction, where the spec divides the parameters and finds no matrix among them",
        (
            "silent_failures::test_an_optimizer_that_gets_no_matrix_says_so",
            "silent_failures::test_a_vector_of_all_parameters_is_no_matrix",
        ),
    ),
    Failure(
        "a hidden matrix goes to AdamW because of its name",
        "shown",
        "by `routing()`: who wrote the spec says what takes the other route, and `roles` corrects it",
        ("silent_failures::test_the_routing_table_shows_every_matrix_that_is_not_one_to_the_optimizer",),
    ),
    Failure(
        "an embedding or head under `weight_norm` or a parametrization is taken for a matrix",
        "right",
        "what a tensor is made of has its role",
        ("silent_failures::test_what_a_weight_is_made_of_has_its_role",),
    ),
    Failure(
        "the model is converted after the first step",
        "refused",
        "states would have the old format; the error says how to take them along",
        ("changed_parameters::test_a_model_converted_since_the_first_step_is_refused_where_states_have_its_format",),
    ),
    Failure(
        "the model is converted between construction and the first step",
        "right",
        "states are made at the first step",
        ("changed_parameters::test_a_model_converted_before_the_first_step_is_as_one_that_was_always_so",),
    ),
    Failure(
        "a parameter gets another shape, or a state is on another device",
        "refused",
        "torch might broadcast, and kernels would read what is not there",
        (
            "changed_parameters::test_a_parameter_with_another_shape_than_its_states_is_refused",
            "changed_parameters::test_a_state_on_another_device_is_refused",
            "triton/test_tensors_behind_the_back::test_a_parameter_changed_behind_the_optimizer_is_refused",
        ),
    ),
    Failure(
        "parameters in groups are replaced by copies in another precision, and lose their views",
        "refused",
        "a matrix that was never added has no view",
        ("changed_parameters::test_a_matrix_put_into_a_group_in_the_place_of_another_is_refused",),
    ),
    Failure(
        "the optimizer is made on the meta device, and the model gets other parameters with its memory",
        "refused",
        "at the first step; until then the optimizer can be looked at",
        (
            "changed_parameters::test_an_optimizer_that_was_made_before_its_model_has_memory_is_refused",
            "changed_parameters::test_one_parameter_without_numbers_keeps_all_others_from_being_stepped",
        ),
    ),
    Failure(
        "a frozen parameter keeps a gradient, and decays",
        "refused",
        "where it asked for gradients when it was added; what never did may be given them by hand",
        (
            "changed_parameters::test_the_gradient_of_a_parameter_that_was_frozen_since_is_refused",
            "changed_parameters::test_gradients_given_by_hand_to_what_never_asked_for_them_are_used",
        ),
    ),
    Failure(
        "weights that are tied are given twice",
        "right",
        "in one group with torch's warning, stepped once; in two groups refused",
        (
            "changed_parameters::test_a_parameter_twice_in_a_group_is_warned_of_and_stepped_once",
            "changed_parameters::test_a_parameter_in_two_groups_is_refused",
            "changed_parameters::test_weights_that_are_tied_are_one_parameter_with_the_role_of_the_first_use",
        ),
    ),
    Failure(
        "a group is added after the scheduler was made",
        "warned of",
        "while some groups have the `initial_lr` that schedulers write, and others not",
        (
            "silent_failures::test_a_scheduler_that_may_not_know_all_groups_is_warned_of",
            "silent_failures::test_groups_without_any_schedule_are_not_warned_of",
        ),
    ),
    Failure(
        "gradients are clipped, but the step is divided by its norm",
        "right",
        "where the momentum is divided by its norm, one factor for all steps changes no bit; others weigh the steps",
        (
            "silent_failures::test_clipping_all_gradients_by_one_factor_changes_no_bit_of_a_matrix",
            "silent_failures::test_clipping_one_step_alone_shifts_the_weights_of_the_average",
        ),
    ),
    Failure(
        "a group has a learning rate of zero",
        "right",
        "its parameters rest and its states go on",
        (
            "silent_failures::test_states_go_on_while_the_learning_rate_is_zero",
            "groups::test_each_group_steps_with_its_own_learning_rate",
        ),
    ),
    Failure(
        "a dimension has the size zero",
        "right",
        "there is nothing to step, and no state",
        ("steps::test_empty_parameters_are_left_alone",),
    ),
    Failure(
        "the momentum shares memory with the gradient or is divided in place, as in torch.optim.Muon in bf16",
        "right",
        "no two tensors of a step share memory",
        (
            "silent_failures::test_no_two_tensors_of_a_step_share_memory",
            "runtime/test_aliasing::test_the_momentum_buffer_is_the_average_of_gradients",
        ),
    ),
    Failure(
        "a checkpoint of another algorithm with the same states is resumed",
        "refused",
        "by the fingerprint, in each group",
        (
            "checkpoints::test_the_checkpoint_of_another_spec_is_refused",
            "distributed_checkpoints::test_the_checkpoint_of_another_spec_is_refused",
        ),
    ),
    Failure(
        "a checkpoint has its parameters in another order",
        "refused",
        "where both have names, and one of ours stands in another place",
        (
            "checkpoints::test_parameters_in_another_order_are_refused",
            "checkpoints::test_parameters_under_other_names_are_taken_in_their_order",
        ),
    ),
    Failure(
        "a hyper is mistyped",
        "refused",
        "by the constructor, and by a type checker",
        (
            "silent_failures::test_a_hyper_that_there_is_not_is_refused",
            "types::test_a_file_of_a_user_has_the_errors_that_it_marks_and_no_other",
        ),
    ),
    Failure(
        "a learning rate asks for a gradient, and never gets one",
        "refused",
        "with the reason",
        ("hypers::test_a_tensor_hyper_that_requires_grad_is_refused",),
    ),
    Failure(
        "every new learning rate compiles the training step again",
        "right",
        "a step runs outside of graphs",
        ("compile::test_fifty_steps_of_changing_hypers_compile_once",),
    ),
)
