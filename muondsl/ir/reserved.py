"""Names that generated code uses for itself, so that nothing in a spec may take them."""

from __future__ import annotations

import builtins
import keyword

LOCALS = frozenset(
    {
        *("rows", "cols", "numel", "step", "short_dim", "long_dim", "all_dims", "parameter", "gradient", "state"),
        *("torch", "math", "abs", "min", "max", "range"),
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
    ALIGNED_BYTES ALIGNMENT ARCHITECTURES Added AddressTables Any Architecture Arena Axis BASE_BYTES Backend BackendName
    BackendOptions Batch Block Bucket Callable Checkpoint Choice ClassVar Coefficients Counter DTYPES Division
    EMBEDDING_NAMES FLAT FORMAT FORMS FlatPlace Fold Form Gram HALF_COST HAS_TRITON HEAD_NAMES Hashable Hyper HyperValue
    INTERPRETS IS_INTERPRETING Iterable Iteration Iterator KERNEL_DTYPES Key Kind LEADING_ELEMENTS LONGEST_ROW Launch
    LaunchFunction Layout Literal MATRIX MEASURED MOST_PARTS MOST_PLANS MOST_PROGRAMS MOST_SEGMENTS MalformedTilesError
    Mapping Member MissingKernel NamedTuple Numbered Numbers OLDEST_CAPABILITY OTHERWISE Operand Operation Optimizer
    Options OrderedDict PLAIN PLAIN_VIEW Parameter ParamsT Path Place Predicate Problem Program RANGE_THREADS ROLES Real
    Recipe RoutedParameter Router Routing SCRATCH SINGLE SINGLE_PRECISION SMALL SMALLEST SMALL_SIDE SOURCE STORE_COST
    SYMMETRIC ScaleFunction Scratch Self Sequence SmallBlock SmallMatrix SpecOptimizer State Step StepMember StepPlan
    SupportsFloat TILE TILE_THREADS TYPE_CHECKING Tensor Tile TilePlace TileTable Tiles Traffic TunedTile TunedTiles
    TypeVar TypedDict UndecidedError Upload VARIABLE VECTOR VIEW_STEPS VectorPlace View WRAPPERS Work WorkedMatrices
    Workspace abstractmethod accepted_checkpoint accumulate address_of advance annotations architecture_of backend_of
    blocks_of cache check_parameter check_step check_tensors choose chosen chosen_roles clamped_pointers
    common_supersequence compute_block dataclass dense_flops describe descriptor divide_range divide_tiles divided_times
    dot double executed_flops extents field fields flat_at flat_pointers fnmatchcase fold get_args has_role indices_of
    indices_transposed is_vector iteration_flops iteration_launches jit joined json known_architecture launches_of
    layout length_along lerp load_along load_block load_flat load_oriented load_scalar load_spread load_tile
    load_transposed load_vector load_whole longest_small lru_cache math matrix_blocks matrix_of maximum member_fold
    minimum model_roles multiply nn nothing nullcontext operand_block operand_rest operand_source oriented_pointers os
    overload padded padded_width pairwise placed_step places plain_name polynomial power prefers_symmetric
    product_kernel product_launch product_tile product_traffic program_table provide_scratch re read_tiles reduce
    reduced replace restore_formats roles_of rounded routing_table runs_along_cols shape_in_fp64 side_of sides_of sign
    small_block small_kernel small_launches spread stand_ins step_of steps_to_products store_along store_block
    store_flat store_oriented store_scalar store_tile store_vector store_whole symmetric_fraction table_names
    table_pointers tanh tile_at tile_pointers tile_programs tl torch torch_name triton_dtype tuned_tiles usual_tiles
    vector_at vector_pointers warnings warps_of waves within within_flat within_vector without_duplicates work_of
    work_of_square wrong_numbers
    """.split()  # noqa: SIM905
)
"""Names of the runtime's modules, which kernels look up when they are compiled, and which a standalone file holds."""


def is_usable(name: str) -> bool:
    """Whether a hyper or state may have the name: it becomes an argument of functions and an entry of dictionaries."""
    is_taken = name in KEYWORDS | ARGUMENTS | LOCALS
    return not (is_taken or name.startswith(("_", "otherwise_")))


def is_usable_class(name: str) -> bool:
    return not (name in KEYWORDS | MODULE | RUNTIME or name.startswith("_") or hasattr(builtins, name))
