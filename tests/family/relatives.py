"""Next to Muon: other norms, projections and signs, other libraries, and optimizers for parameters of any shape."""

from __future__ import annotations

from functools import partial

from tests.family.entry import Entry, Looser
from tests.family.libraries import FILTERS, MOMENT_IN_FP32, POLAR_EXPRESS_OF_RANK_ONE
from tests.reference import (
    adago,
    adamw,
    aurora,
    deepseek_v4,
    dion_muon,
    emerging,
    heavyball_muon,
    htmuon,
    keller_jordan,
    moonlight,
    mud,
    muon_vs,
    namo,
    olion,
    rmnp,
    root,
    sign_muon,
    swan,
)

EMERGING = {"lr": 3e-4, "momentum": 0.95, "weight_decay": 0.01}

RELATIVES = (
    Entry("emerging_quintic", emerging.quintic, None, defaults=EMERGING),
    Entry(
        "cans",
        emerging.cans,
        None,
        defaults=EMERGING,
        single=(
            Looser(
                1e-2, "they magnify what is off at a singular value of 1 nearly 50,000 times", (), ((1, 48), (48, 1))
            ),
            Looser(1e-4, "elsewhere they still do some hundred times", shapes=((17, 33),)),
        ),
    ),
    Entry("muon_hyperball", emerging.hyperball, None, defaults=EMERGING),
    Entry(
        "spel",
        emerging.spel,
        None,
        defaults={**EMERGING, "weight_decay": 0.1},
        single=(Looser(2e-5, "the parameter is iterated upon in every step, with what is off from the steps before"),),
    ),
    Entry(
        "deepseek_v4",
        deepseek_v4.muon,
        partial(adamw.adamw, betas=(0.9, 0.95)),
        defaults={"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.1},
    ),
    Entry(
        "heavyball_muon",
        heavyball_muon.muon,
        heavyball_muon.vector,
        filters=FILTERS,
        defaults={"lr": 2.5e-3, "momentum": 0.9, "weight_decay": 0},
        matrices=("embedding", "head"),
    ),
    Entry(
        "dion_muon",
        dion_muon.muon,
        adamw.adamw,
        defaults={"lr": 0.01, "momentum": 0.95, "betas": (0.9, 0.95), "weight_decay": 0.01},
        single=(POLAR_EXPRESS_OF_RANK_ONE,),
    ),
    Entry("sign_muon", sign_muon.muon, None, defaults={"lr": 1e-3, "momentum": 0.95, "weight_decay": 0}),
    Entry(
        "olion",
        olion.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "momentum": 0.95, "momentum_2": 0.98, "weight_decay": 0},
        other_defaults={"lr": 3e-4},
    ),
    Entry(
        "rmnp",
        rmnp.muon,
        adamw.adamw,
        defaults={"lr": 0.01, "momentum": 0.95, "betas": (0.9, 0.95), "weight_decay": 0.01},
    ),
    Entry(
        "swan",
        swan.muon,
        None,
        defaults={"lr": 1e-3},
        single=(Looser(1e-2, "steps so small that the parameter's rounding counts", ("tiny",)),),
    ),
    Entry("aurora", aurora.muon, None, defaults={"lr": 0.05, "momentum": 0.95, "weight_decay": 0.025}),
    Entry("muon_vs", muon_vs.muon, None, defaults={"lr": 0.02, "momentum": 0.95, "weight_decay": 0.01}),
    Entry(
        "namo",
        namo.muon,
        moonlight.adamw,
        defaults={"lr": 0.01, "momentum": 0.95, "beta2": 0.99, "weight_decay": 0.1},
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "adago",
        adago.muon,
        keller_jordan.adam,
        defaults={"lr": 0.05, "momentum": 0.95, "gamma": 10, "eps": 5e-4, "weight_decay": 0},
        other_defaults={"lr": 3e-4},
        double=(MOMENT_IN_FP32,),
    ),
    Entry(
        "htmuon",
        htmuon.muon,
        keller_jordan.adam,
        defaults={"lr": 0.02, "momentum": 0.95, "weight_decay": 0, "power": 0.125},
        other_defaults={"lr": 3e-4},
        # Of an uneven gradient it keeps what the rounding of a singular value of zero leaves to the eighth root.
        kinds=("ordinary", "tiny"),
    ),
    Entry("mud", mud.muon, None, defaults={"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.1}),
    Entry("root", root.muon, moonlight.adamw, defaults={"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.1}),
)
