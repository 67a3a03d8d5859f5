"""Residual networks of basic blocks: ResNet-18 and ResNet-34 (He et al., "Deep residual learning for image recognition", 2016).

Names of modules and parameters, and the initial weights' distribution, are torchvision's, so that its weights can be loaded. The
"cifar" stem is a 3x3 convolution without max-pooling, as is usual for images of 32x32 pixels; the "imagenet" stem is torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

STEMS = ("cifar", "imagenet")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each normalised, added to the input: (batch, inputs, h, w) to (batch, outputs, h/stride, w/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return relu(x + f(x)), x projected where its shape changes."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Images (batch, channels, height, width) to scores (batch, classes)."""

    def __init__(self, channels: int, classes: int, width: int, blocks: Sequence[int], stem: str) -> None:
        super().__init__()
        if stem == "cifar":
            self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = stem == "imagenet"
        inputs = width
        for number, count in enumerate(blocks):
            outputs = width << number
            layer = [BasicBlock(inputs, outputs, 1 if number == 0 else 2)]
            layer += [BasicBlock(outputs, outputs, 1) for _ in range(count - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*layer))
            inputs = outputs
        self.layers = len(blocks)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes."""
        x = functional.relu(self.bn1(self.conv1(input)))
        if self.pool:
            x = functional.max_pool2d(x, 3, 2, padding=1)
        for number in range(self.layers):
            x = self.get_submodule(f"layer{number + 1}")(x)
        scores: torch.Tensor = self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return scores


def build(
    channels: int = 3,
    classes: int = 10,
    width: int = 64,
    blocks: Sequence[int] = (2, 2, 2, 2),
    stem: str = "cifar",
) -> nn.Module:
    """Return a ResNet; the defaults are ResNet-18 for CIFAR-10, with 11,173,962 parameters."""
    if stem not in STEMS:
        raise ValueError(f'stem "{stem}" is none of {", ".join(STEMS)}')
    if not blocks or min(blocks) < 1:
        raise ValueError(f"blocks {list(blocks)} must name at least one layer of at least one block")
    return ResNet(channels, classes, width, blocks, stem)
