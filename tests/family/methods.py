"""Muons of papers: other scales, orthogonalizers, moments and corrections."""

from __future__ import annotations

from functools import partial

from tests.family.entry import Entry, Looser
from tests.family.libraries import MOMENT_IN_FP32, NEARLY_STANDING_STILL, POLAR_EXPRESS_OF_RANK_ONE
from tests.reference import (
    adamuon,
    adamw,
    keller_jordan,
    mars_m,
    modded_nanogpt,
    moonlight,
    muon_eq,
    muon_plus,
    muon_squared,
    mup,
    naive,
    normuon,
    polar_express,
    polargrad,
    procrustes,
    scion,
    turbo_muon,
)

SMALL_SINGULAR_VALUES = Looser(
    1e-3, "of singular values that are 1e-5 of the largest, fp32 knows a hundredth", kinds=("uneven",)
)
NO_SINGULAR_VALUE = Looser(
    0.1,
    "it has a singular value of 1e-8 of the largest, which the rule `polar` counts as zero",
    ("uneven",),
    ((64, 64),),
)

METHODS: tuple[Entry, ...] = (
    Entry(
        "mup",
        mup.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95},
        other_defaults={"lr": 3e-4},
    ),
    Entry(
        "naive",
        naive.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95},
        other_defaults={"lr": 3e-4},
    ),
    Entry(
        "procrustes_svd",
        procrustes.svd,
        procrustes.vector,
        # Of the learning rate, no default is known.
        defaults={"lr": 1e-3, "weight_decay": 0.01, "momentum": 0.9, "clip": 1e30},
        hypers={"clip": 2.0},
        single=(SMALL_SINGULAR_VALUES, NO_SINGULAR_VALUE),
        double=(NO_SINGULAR_VALUE,),
    ),
    Entry(
        "procrustes_newton_schulz",
        procrustes.newton_schulz,
        procrustes.vector,
        defaults={"lr": 1e-3, "weight_decay": 0.01, "momentum": 0.9, "clip": 1e30},
        hypers={"clip": 2.0},
    ),
    Entry(
        "polar_express",
        polar_express.muon,
        partial(moonlight.adamw, betas=(0.95, 0.95)),
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95},
        single=(NEARLY_STANDING_STILL,),
    ),
    Entry(
        "turbo_muon",
        turbo_muon.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95},
        other_defaults={"lr": 3e-4},
    ),
    Entry(
        "normuon",
        normuon.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95, "beta2": 0.95},
        other_defaults={"lr": 3e-4},
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "normuon_modded",
        normuon.modded,
        None,
        defaults={"lr": 0.02, "momentum": 0.95, "beta2": 0.95, "weight_decay": 0.01},
        single=(POLAR_EXPRESS_OF_RANK_ONE,),
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "modded_nanogpt",
        modded_nanogpt.muon,
        modded_nanogpt.adam,
        defaults={
            "lr": 0.023,
            "beta2": 0.9,
            "weight_decay": 1.2,
            "momentum_min": 0.85,
            "momentum_max": 0.95,
            "warmup": 300,
            "cooldown": 50,
            "total_steps": 1e30,
            "betas": (0.9, 0.95),
        },
        other_defaults={"lr": 0.008, "weight_decay": 0.005},
        # So that ten steps rise, stay and fall.
        hypers={"warmup": 4, "cooldown": 3, "total_steps": 10},
        single=(POLAR_EXPRESS_OF_RANK_ONE,),
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "adamuon",
        adamuon.muon,
        None,
        defaults={"lr": 0.02, "weight_decay": 0.01, "momentum": 0.95},
    ),
    Entry(
        "muon_plus",
        muon_plus.muon,
        partial(moonlight.adamw, betas=(0.95, 0.95)),
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95},
        single=(NEARLY_STANDING_STILL,),
    ),
    Entry(
        "muon_squared",
        muon_squared.muon,
        partial(adamw.adamw, betas=(0.8, 0.95), eps=1e-10),
        defaults={"lr": 0.1, "weight_decay": 0.0125, "momentum": 0.95, "beta2": 0.95},
        other_defaults={"lr": 0.01, "weight_decay": 0},
    ),
    Entry(
        "muon_eq",
        muon_eq.muon,
        partial(moonlight.adamw, betas=(0.95, 0.95)),
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95},
        single=(NEARLY_STANDING_STILL,),
    ),
    Entry(
        "mars_m",
        mars_m.muon,
        moonlight.adamw,
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "gamma": 0.025},
    ),
    Entry(
        "polargrad",
        polargrad.muon,
        None,
        defaults={"lr": 0.02, "weight_decay": 0, "momentum": 0.95},
        single=(SMALL_SINGULAR_VALUES, NO_SINGULAR_VALUE),
        double=(NO_SINGULAR_VALUE,),
    ),
    Entry(
        "scion",
        scion.spectral,
        scion.bias_rms,
        defaults={"lr": 1e-3, "weight_decay": 1, "momentum": 0, "radius": 1},
        hypers={"radius": 3.0},
        matrices=("embedding", "head"),
    ),
)
