"""What is stepped: matrices as models have them, by the names under which they are measured."""

from __future__ import annotations

Shape = tuple[int, int]


def gpt(width: int, layers: int) -> list[Shape]:
    """The hidden matrices of GPT-2: fused attention, its output, and a multilayer perceptron four times as wide."""
    return [(3 * width, width), (width, width), (4 * width, width), (width, 4 * width)] * layers


SETS: dict[str, list[Shape]] = {
    "gpt2-small": gpt(768, 12),
    "gpt2-small, 2 layers": gpt(768, 2),
    "350M, 2 layers": gpt(1024, 2),
    "square": [(768, 768)] * 8,
    "wide": [(768, 3072)] * 4,
    "tall": [(3072, 768)] * 4,
    "many small": [(64, 64)] * 256,
    # A ResNet-18 as its convolutions are flattened.
    "convnet": [
        *[(64, 576)] * 4,
        *((128, 576), *[(128, 1152)] * 3),
        *((256, 1152), *[(256, 2304)] * 3),
        *((512, 2304), *[(512, 4608)] * 3),
    ],
    "experts": [(256, 512), (512, 256)] * 16,
}
USUAL = ("gpt2-small, 2 layers", "square", "wide", "tall", "many small", "convnet", "experts")
"""What is stepped where nothing is said: for a few minutes, most of them for the slowest that is compared."""
