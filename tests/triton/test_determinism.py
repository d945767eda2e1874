"""A matrix' result is a function of its own numbers: no bit changes with what else is in the batch, in any order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.triton.interpreted import interpreted
from tests.triton.stepping import loaded, save_findings, stepped

SPECS = ("moonlight", "nanochat", "keller_jordan")

# Of each form some that can be read 16 bytes at a time and some that cannot: in one launch, product by product on x
# itself, and in Gram space; tall and wide, several of one shape, and a column.
SHAPES = [(17, 33), (32, 48), (48, 48), (96, 48), (40, 81), (48, 112), (17, 33), (66, 65), (9, 1)]
OTHERS = [(48,), (3, 5, 7), ()]
ALL = [*SHAPES, *OTHERS]

ORDERS = {
    "reversed": tuple(reversed(range(len(ALL)))),
    "without some": (0, 2, 3, 6, 9),
    "others before": (11, 8, 5, 3, 7, 1),
    **{f"{'×'.join(map(str, ALL[index])) or 'scalar'} alone": (index,) for index in (2, 3, 10)},
}
"""Which of `ALL` are there, in which order. The second of one shape has numbers of its own and is last of its kind."""

Held = list[dict[str, Tensor]]


def results(spec: str) -> dict[str, Held]:
    optimizer = loaded(spec)
    orders: dict[str, Sequence[int]] = {"all": range(len(ALL)), **ORDERS}
    return {name: stepped(optimizer, ALL, chosen=order) for name, order in orders.items()}


@pytest.mark.parametrize("spec", SPECS)
def test_other_matrices_and_their_order_change_no_bit(spec: str) -> None:
    found: dict[str, Held] = interpreted(__name__)[spec]
    assert {tuple(each["parameter"].shape) for each in found["all"]} == set(ALL)
    for name, order in ORDERS.items():
        for index, held in zip(order, found[name], strict=True):
            for tensor, value in held.items():
                assert torch.equal(value, found["all"][index][tensor]), f"{name}: {tensor} of {ALL[index]}"


if __name__ == "__main__":
    save_findings({spec: lambda spec=spec: results(spec) for spec in SPECS})
