"""A byte-level GPT of about one million parameters: pre-norm, rotary positions, untied head."""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

BYTE_VALUES = 256


@dataclasses.dataclass(frozen=True)
class Shape:
    """Holds the sizes of the model."""

    context: int = 128
    n_layers: int = 4
    n_heads: int = 4
    width: int = 144

    @property
    def head_width(self) -> int:
        return self.width // self.n_heads


class Attention(nn.Module):
    """Causal self-attention.

    Query, key and value are three matrices rather than one fused one, so that each is orthogonalized alone.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, shape.width, bias=False)
        self.value = nn.Linear(shape.width, shape.width, bias=False)
        self.output = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        query = rotate(self.split(self.query(x)), cosine, sine)
        key = rotate(self.split(self.key(x)), cosine, sine)
        value = self.split(self.value(x))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return joined

    def split(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> (batch, head, time, head width)"""
        parts: Tensor = x.unflatten(2, (self.shape.n_heads, self.shape.head_width))
        return parts.transpose(1, 2)


class FeedForward(nn.Module):
    """Two matrices with a squared ReLU between them, which costs less on a CPU than GELU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.expand = nn.Linear(shape.width, 4 * shape.width, bias=False)
        self.output = nn.Linear(4 * shape.width, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.expand(x)).square()
        result: Tensor = self.output(hidden)
        return result


class Block(nn.Module):
    """One layer: attention, then the feed-forward network, each normalised before and added after."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.RMSNorm(shape.width)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cosine, sine)
        result: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return result


class ByteGPT(nn.Module):
    """Predicts the next byte.

    The head is untied: with 256 byte values it is only 4 % of the parameters, and an embedding and a
    classifier want different scales. `embed` and `head` are names that the optimizer's spec does not
    route to its matrices.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed = nn.Embedding(BYTE_VALUES, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = nn.RMSNorm(shape.width)
        self.head = nn.Linear(shape.width, BYTE_VALUES, bias=False)
        cosine, sine = rotary_table(shape.context, shape.head_width)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self.initialize(shape)

    def initialize(self, shape: Shape) -> None:
        """Draws weights that keep the scale of their input, smaller where a layer adds to the residual."""
        residual_scale = (2 * shape.n_layers) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            std = 0.02 if name in ("embed.weight", "head.weight") else parameter.shape[1] ** -0.5
            nn.init.normal_(parameter, std=std * (residual_scale if ".output." in name else 1.0))

    def forward(self, tokens: Tensor) -> Tensor:
        cosine, sine = self.cosine[: tokens.shape[1]], self.sine[: tokens.shape[1]]
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, cosine, sine)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the mean cross-entropy per byte, in nats."""
        return functional.cross_entropy(self(inputs).flatten(0, 1), targets.flatten())


def rotary_table(context: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Returns cosine and sine of position times frequency, each (context, head width / 2)."""
    frequencies = 10_000.0 ** -(torch.arange(0, head_width, 2) / head_width)
    angles = torch.outer(torch.arange(context), frequencies)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns each pair of features (i, i + half) by the angle of its position."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)
