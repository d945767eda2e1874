"""Models whose parameters have every role, small enough to be built in each test."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)


class Gpt(nn.Module):
    """A GPT whose output head is its embedding. No name says `embed` or `head`."""

    def __init__(self, vocabulary: int = 11, width: int = 4) -> None:
        super().__init__()
        self.tok = nn.Embedding(vocabulary, width)
        self.pos = nn.Embedding(8, width)
        self.block = Block(width)
        self.ln_f = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary, bias=False)
        self.out.weight = self.tok.weight


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class Resnet(nn.Module):
    """ResNet-18's names, with one block a stage and fewer channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Residual(4, 4, 1))
        self.layer2 = nn.Sequential(Residual(4, 8, 2))
        self.fc = nn.Linear(8, 10)


class Experts(nn.Module):
    """A router and stacks of experts, each [experts, outputs, inputs]."""

    def __init__(self, count: int = 3, width: int = 4) -> None:
        super().__init__()
        self.gate = nn.Linear(width, count, bias=False)
        self.w_in = nn.Parameter(torch.zeros(count, 2 * width, width))
        self.w_out = nn.Parameter(torch.zeros(count, width, 2 * width))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(-1)
        hidden = torch.einsum("...i,eoi->...eo", x, self.w_in).relu()
        return torch.einsum("...eo,eio,...e->...i", hidden, self.w_out, weights)
