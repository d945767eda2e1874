"""Muons that are shipped by a library or trained a model that is known by its name."""

from __future__ import annotations

from functools import partial

from tests.family.entry import Entry, Looser, Shape
from tests.reference import (
    adamuon,
    keller_jordan,
    keras,
    mlx,
    moonlight,
    nanochat,
    nanochat_latest,
    optax_muon,
    timm_muon,
    torch_muon,
)

POLAR_EXPRESS_OF_RANK_ONE = Looser(
    5e-5,
    "the one singular value begins at 1/1.02, where the five polynomials magnify a relative error some 190 times: fp32 "
    "rounding alone, which differs between machines, has made up to 3e-5",
    shapes=((1, 48), (48, 1)),
)
FILTERS: tuple[Shape, ...] = ((24, 4, 3, 3), (64, 8, 3, 1))
WIDE_FILTERS: tuple[Shape, ...] = ((24, 4, 3, 3),)
"""Those which MLX, which scales by the kernel's sides, does not scale."""

NEARLY_STANDING_STILL = Looser(1e-4, "of one number, ten steps nearly cancel", shapes=((),))
MOMENT_IN_FP32 = Looser(1e-7, "its second moment is fp32 whatever the precision")

LIBRARIES = (
    Entry(
        "torch_muon",
        torch_muon.muon,
        None,
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95},
    ),
    Entry(
        "torch_muon_plain",
        partial(torch_muon.muon, nesterov=False),
        None,
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95},
    ),
    Entry(
        "keller_jordan",
        keller_jordan.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95},
        other_defaults={"lr": 3e-4},
    ),
    Entry(
        "moonlight",
        moonlight.muon,
        moonlight.adamw,
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95},
        # Moonlight's published code does other things with its ε; test_torch_muon shows that of the spec bit for bit.
        kinds=("huge",),
        double=(Looser(1e-9, "its ε of 1e-8 is elsewhere, beside gradients of 1e3 and roots of moments below that"),),
    ),
    Entry(
        "nanochat",
        nanochat.muon,
        nanochat.adamw,
        defaults={"lr": 0.02, "momentum": 0.95, "beta2": 0.95, "weight_decay": 0, "betas": (0.8, 0.95)},
        single=(POLAR_EXPRESS_OF_RANK_ONE,),
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "nanochat_latest",
        nanochat_latest.muon,
        nanochat_latest.adamw,
        defaults={"lr": 0.02, "momentum": 0.95, "beta2": 0.9, "weight_decay": 0, "betas": (0.8, 0.95)},
        single=(POLAR_EXPRESS_OF_RANK_ONE,),
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "optax_muon",
        optax_muon.muon,
        optax_muon.adamw,
        # Of the learning rate, optax has no default.
        defaults={"lr": 1e-3, "weight_decay": 0, "momentum": 0.95, "betas": (0.9, 0.999)},
        matrices=("embedding", "head"),
    ),
    Entry(
        "keras",
        keras.muon,
        keras.adam,
        defaults={"lr": 1e-3, "weight_decay": 0.004, "momentum": 0.95, "adam_lr_ratio": 1, "betas": (0.9, 0.999)},
        hypers={"adam_lr_ratio": 3.0},
        matrices=("head",),
    ),
    Entry(
        "keras_unscaled",
        keras.unscaled,
        keras.adam,
        defaults={"lr": 1e-3, "weight_decay": 0.004, "momentum": 0.95, "adam_lr_ratio": 1, "betas": (0.9, 0.999)},
        hypers={"adam_lr_ratio": 3.0},
        matrices=("head",),
    ),
    Entry(
        "mlx",
        mlx.muon,
        mlx.vector,
        # Of the learning rate, MLX has no default.
        defaults={"lr": 0.02, "weight_decay": 0.01, "momentum": 0.95},
        filters=WIDE_FILTERS,
        single=(NEARLY_STANDING_STILL,),
        matrices=("embedding", "head"),
    ),
    Entry(
        "mlx_seed",
        mlx.seed,
        mlx.seed_vector,
        defaults={"lr": 0.02, "weight_decay": 0.01, "momentum": 0.95},
        filters=WIDE_FILTERS,
        matrices=("embedding", "head"),
    ),
    Entry(
        "timm_muon",
        timm_muon.muon,
        timm_muon.adamw,
        filters=FILTERS,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95, "betas": (0.9, 0.95)},
        matrices=("embedding", "head"),
    ),
    Entry(
        "adamuon_timm",
        adamuon.timm,
        timm_muon.adamw,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95, "betas": (0.9, 0.95), "beta2": 0.95},
        single=(Looser(1e-4, "what is near zero becomes as large as all else", ("uneven", "tiny")),),
        matrices=("embedding", "head"),
    ),
)
