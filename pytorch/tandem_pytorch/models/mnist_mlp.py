"""A multilayer perceptron for 28 x 28 images: Linear, ReLU, Dropout, twice, and a Linear to the classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def build(inputs: int = 784, hidden: Sequence[int] = (128, 64), classes: int = 10, dropout: float = 0.2) -> nn.Module:
    """Return the model: (batch, inputs) float32 to (batch, classes) logits; 109,386 parameters as it comes.

    The submodules are fc1, relu1, drop1, fc2, ... in the order of the layers; the last Linear follows without ReLU.
    """
    model = nn.Sequential()
    width = inputs
    for number, size in enumerate(hidden, start=1):
        model.add_module(f"fc{number}", nn.Linear(width, size))
        model.add_module(f"relu{number}", nn.ReLU())
        model.add_module(f"drop{number}", nn.Dropout(dropout))
        width = size
    model.add_module(f"fc{len(hidden) + 1}", nn.Linear(width, classes))
    return model
