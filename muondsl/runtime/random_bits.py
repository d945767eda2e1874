"""Random bits that depend on their counter and key alone, and rounding to bf16 by them. `rounding.py` has the same for
kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011), table 2 and section 3.3.
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
INCREMENTS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
WORD = 0xFFFFFFFF

PIECE = 1 << 20
"""Elements that are rounded at a time, so that what is needed meanwhile stays small."""


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox-4x32-10: four words of 32 bits, in int64, for each counter of four such words."""
    c0, c1, c2, c3 = counter
    for turn in range(ROUNDS):
        k0, k1 = ((word + turn * step) & WORD for word, step in zip(key, INCREMENTS, strict=True))
        # Products of 64 bits, of which int64 keeps all, whatever it takes their sign for.
        left, right = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1 = ((right >> 32) & WORD) ^ c1 ^ k0, right & WORD
        c2, c3 = ((left >> 32) & WORD) ^ c3 ^ k1, left & WORD
    return c0, c1, c2, c3


def rounded_at_random(value: Tensor, seed: int, step: int, number: int) -> Tensor:
    """fp32 numbers as one of their two neighbours in bf16, the nearer the likelier, so that the mean is the number.

    16 random bits decide, which the seed, the step, the number of the parameter and that of the element in it yield,
    elements counted in the order of their indices. inf and NaN stay.
    """
    bits = value.contiguous().view(torch.int32).view(-1)
    rounded = torch.empty_like(bits)
    for begin in range(0, len(bits), PIECE):
        own = bits[begin : begin + PIECE]
        elements = torch.arange(begin, begin + len(own), device=value.device)
        counter = (elements & WORD, elements >> 32, torch.full_like(elements, step), torch.full_like(elements, number))
        words = philox(counter, (seed & WORD, seed >> 32))[0]
        raised = (own.long() + (words >> 16)) >> 16 << 16
        is_finite = (own & 0x7F800000) != 0x7F800000
        rounded[begin : begin + len(own)] = torch.where(is_finite, raised.int(), own)
    return rounded.view(torch.float32).view(value.shape).bfloat16()
