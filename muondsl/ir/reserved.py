"""Names that generated code uses for itself, so that nothing in a spec may take them."""

from __future__ import annotations

import builtins
import keyword

LOCALS = frozenset(
    {
        *("rows", "cols", "numel", "step", "short_dim", "long_dim", "all_dims", "parameter", "gradient", "state"),
        "master",
        *("torch", "math", "abs", "min", "max", "range", "iterated"),
    }
)
"""Names inside the functions that update a parameter: their own, and those of what they call."""

KEYWORDS = frozenset({*keyword.kwlist, *keyword.softkwlist, "self", "super"})
ARGUMENTS = frozenset(
    {
        "params",
        "param_names",
        "closure",
        "route",
        "fingerprint",
        "defaults",
        "otherwise_defaults",
        "backend",
        "capturable",
        "workspace",
        "views",
        "roles",
        "fused",
        "foreach",
        "differentiable",
        "maximize",
        "master_weights",
        "stochastic_rounding",
        "options",
    }
)
"""Names of the class's own arguments, and of what param_groups hold beside hypers."""

MODULE = frozenset(
    {
        *("ClassVar", "Mapping", "annotations", "math"),
        *("TILES", "TILES_OF_FP32", "update_matrix", "update_otherwise", "launch_matrix", "launch_otherwise"),
    }
)
"""Names of a generated module."""

RUNTIME = frozenset(
    # A list would take a line for each.
    """
    ALIGNED_BYTES ALIGNMENT ARCHITECTURES AS_STORED Added AddressTables Any Architecture Arena Axis BASE_BYTES Backend
    BackendName BackendOptions Batch Block Bucket CALLS_OF_PANEL Callable Checkpoint Choice ClassVar Coefficients
    Collection Counter Division ELEMENTS ELEMENT_BYTES EMBEDDING_NAMES FEWEST_STACKED FLAT FORMS FlatPlace Fold Form
    Formats Gram HALF_COST HAS_TRITON HEAD_NAMES Hashable Hyper HyperValue Hypers INCREMENTS INTERPRETS IS_INTERPRETING
    Iterable Iteration Iterator KERNEL_DTYPES Key Kind LARGEST_FOLDED LARGEST_STACKED LEADING_ELEMENTS LEAST_GAIN
    LONGEST_ROW Launch LaunchFunction Layout Literal LiveBytes MASTER MATRIX MEASURED MEASURED_DTYPES MOST_PARTS
    MOST_PLANS MOST_PROGRAMS MOST_SEGMENTS MOST_STACKED MULTIPLIERS MalformedProcessorsError MalformedTilesError Mapping
    Member MissingKernel NamedTuple Numbered Numbers OLDEST_CAPABILITY OTHERWISE Operand Operation Optimizer Options
    OrderedDict PANELS PANEL_ROWS PIECE PIECE_ELEMENTS PLAIN PLAIN_VIEW PROCESSORS_FORMAT PROCESSORS_VARIABLE Parameter
    ParamsT Path Place Precision Predicate Problem Processor ProductRate Products Program RANGE_THREADS ROLES ROUNDS
    Read Real Recipe RoutedParameter Router Routing Row SCRATCH SHARED SINGLE SINGLE_PRECISION SMALL SMALLEST SMALL_SIDE
    SOURCE STORE_COST SYMMETRIC ScaleFunction Scaling Scratch Self Sequence SmallBlock SmallMatrix SpecOptimizer State
    Step StepMember StepPlan SupportsFloat TILE TILES_FORMAT TILES_VARIABLE TILE_DTYPES TILE_THREADS TYPE_CHECKING Task
    Tensor ThreadPoolExecutor Tile TilePlace TileTable Tiles TorchDispatchMode Traffic TunedTile TunedTiles TypeVar
    TypedDict UNITS UndecidedError Upload VECTOR VIEW_STEPS VectorPlace View WIDENED_COLUMNS WIDENED_GRAM WIDENING WORD
    WRAPPERS Work Worked WorkedMatrices Workspace abstractmethod accepted_checkpoint accumulate address_of advance
    allowed_forms annotations architecture_of backend_of blocks_of cache check_maximize check_parameter check_step
    check_tensors choose choose_products chosen chosen_roles clamped_pointers common_supersequence compute_block copy
    dataclass dense_flops deque describe descriptor divide_range divide_tiles divided_times dot double executed_flops
    extents field fields fill_symmetric flat_at flat_pointers fnmatchcase fold get_args gradient_dtype has_role
    indices_of indices_transposed is_vector iterated iteration_flops iteration_launches jit joined json
    known_architecture launches_of layout length_along lerp load_along load_block load_flat load_oriented load_scalar
    load_spread load_tile load_transposed load_vector load_whole loaded_gradient longest_small lru_cache math
    matrix_blocks matrix_of maximum member_fold minimum model_roles most_stacked multiplied multiply nn nothing
    nullcontext numbers_of operand_block operand_rest operand_source oriented_pointers os overload padded padded_width
    pairwise partial philox placed_step places plain_name platform polynomial power prefers_symmetric processor_name
    product_kernel product_launch product_tile product_traffic products_of program_table provide_scratch re
    read_processors read_rows read_tiles reduce reduced replace restore_formats roles_of rounded rounded_at_random
    rounded_by_chance routing_table runs_along_cols shape_in_fp64 side_by_side side_of sides_of sign sign_of small_block
    small_kernel small_launches spread stand_ins step_of step_with_torch steps_to_products storage_key store_along
    store_block store_flat store_flat_parameter store_oriented store_parameter store_scalar store_tile store_vector
    store_whole symmetric_fraction table_names table_pointers tanh tensors_in this_processor tile_at tile_pointers
    tile_programs tl to_file to_processors_file torch torch_name tree_leaves triton_dtype tuned_tiles usual_processor
    usual_tiles vector_at vector_pointers warnings warps_of waves weakref with_double within within_flat within_vector
    without_duplicates work_of work_of_square wrong_numbers
    """.split()  # noqa: SIM905
)
"""Names of the runtime's modules, which kernels look up when they are compiled, and which a standalone file holds."""


def is_usable(name: str) -> bool:
    """Whether a hyper or state may have the name: it becomes an argument of functions and an entry of dictionaries."""
    is_taken = name in KEYWORDS | ARGUMENTS | LOCALS
    return not (is_taken or name.startswith(("_", "otherwise_")))


def is_usable_class(name: str) -> bool:
    return not (name in KEYWORDS | MODULE | RUNTIME or name.startswith("_") or hasattr(builtins, name))
