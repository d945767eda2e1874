"""Functions of numbers in kernels, as torch computes them: where formulas differ in rounding, and for inf and NaN."""

from __future__ import annotations

from muondsl.runtime.triton_language import jit, tl


@jit
def lerp(start: tl.tensor, end: tl.tensor, weight: tl.tensor) -> tl.tensor:
    """start + weight (end − start), exact at both ends, as torch.lerp."""
    return tl.where(weight < 0.5, start + weight * (end - start), end - (end - start) * (1 - weight))


@jit
def rounded(value: tl.tensor, DTYPE: tl.constexpr) -> tl.tensor:
    """What the format holds of the value."""
    return value.to(DTYPE).to(tl.float32)


@jit
def maximum(one: tl.tensor, other: tl.tensor) -> tl.tensor:
    """The greater of two, and NaN if one is, as torch.maximum."""
    return tl.maximum(one, other, propagate_nan=tl.PropagateNan.ALL)


@jit
def minimum(one: tl.tensor, other: tl.tensor) -> tl.tensor:
    """The lesser of two, and NaN if one is, as torch.minimum."""
    return tl.minimum(one, other, propagate_nan=tl.PropagateNan.ALL)


@jit
def sign(value: tl.tensor) -> tl.tensor:
    """−1, 0 or 1; zero for NaN, as torch.sign."""
    return tl.where(value > 0, 1.0, tl.where(value < 0, -1.0, 0.0))


@jit
def tanh(value: tl.tensor) -> tl.tensor:
    """The series near zero, where the quotient of exponentials loses digits."""
    square = value * value
    series = value * (1 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315 + square * (62 / 2835)))))
    decay = tl.exp(-2 * tl.abs(value))
    quotient = (1 - decay) / (1 + decay)
    return tl.where(square < 0.0625, series, tl.where(value < 0, -quotient, quotient))


@jit
def power(base: tl.tensor, exponent: tl.tensor) -> tl.tensor:
    """base to the exponent, in the format of the wider one; a negative base needs a whole exponent, as torch.pow."""
    magnitude = tl.exp(exponent * tl.log(tl.abs(base)))
    is_whole = tl.floor(exponent) == exponent
    is_odd = is_whole & (2 * tl.floor(exponent / 2) != exponent)
    signed = tl.where(is_odd, -magnitude, tl.where(is_whole, magnitude, float("nan")))
    found = tl.where(base < 0, signed, magnitude)
    at_zero = tl.where(exponent > 0, 0.0, tl.where(exponent < 0, float("inf"), 1.0))
    return tl.where(exponent == 0, 1.0, tl.where(base == 0, at_zero, found))


@jit
def double(number: tl.tensor) -> tl.tensor:
    """The number in fp64, which host scalars are computed in: a literal alone would have the digits of fp32."""
    return tl.zeros((), tl.float64) + number
