"""Optimizers for parameters of any shape: the language is not for matrices alone."""

from __future__ import annotations

from tests.family.entry import Entry
from tests.reference import adamw, lion, nadamw, sgd

ELEMENTWISE: tuple[Entry, ...] = (
    Entry(
        "adamw",
        None,
        adamw.adamw,
        defaults={"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01},
    ),
    Entry(
        "nadamw",
        None,
        nadamw.scheduled,
        defaults={"lr": 2e-3, "betas": (0.9, 0.999), "weight_decay": 0, "momentum_decay": 4e-3},
    ),
    Entry("lion", None, lion.lion, defaults={"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0}),
    # torch.optim.SGD has no momentum by default.
    Entry("sgd_momentum", None, sgd.sgd, defaults={"lr": 1e-3, "momentum": 0.9, "weight_decay": 0}),
)
