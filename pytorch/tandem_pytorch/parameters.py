"""A module's parameters and buffers by name, loaded from an ONNX file's initializers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .errors import InputError
from .files import listing
from .model_file import ModelFile


@dataclass(frozen=True)
class Named:
    """The tensors of a module that a state consists of, each the module's own and not a copy.

    A tied parameter appears once, under its first name. Buffers are the floating-point ones that the ONNX graph has:
    BatchNorm's statistics above all. Integer buffers, such as num_batches_tracked or position numbers, steer nothing
    that is trained; the exporter refuses the one case where they do (a BatchNorm with momentum None).
    """

    parameters: dict[str, nn.Parameter]
    buffers: dict[str, torch.Tensor]


def floating_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the module's floating-point buffers by name."""
    return {name: value for name, value in module.named_buffers() if value.is_floating_point()}


def load(module: nn.Module, file: ModelFile) -> Named:
    """Copy the file's initializers into the module, by name and strictly both ways."""
    parameters = dict(module.named_parameters())
    buffers = floating_buffers(module)
    if file.manifest:  # a buffer that the graph does not hold was folded; the module's own value stands
        buffers = {name: value for name, value in buffers.items() if name in file.manifest.get("buffers", [])}
    named = Named(parameters, buffers)
    wanted: dict[str, torch.Tensor] = {**parameters, **buffers}
    absent = [name for name in wanted if name not in file.initializers]
    if absent:
        raise InputError(
            f"{file.path}: no initializer for {listing(absent)} of the module that the experiment names; "
            "the file was not exported from this module, or an export has folded or renamed its parameters"
        )
    unknown = [name for name in _trained(file) if name not in wanted]
    if unknown:
        raise InputError(
            f"{file.path}: the module that the experiment names has no parameter or buffer {listing(unknown)}; "
            "the file was exported from another module"
        )
    for name, target in wanted.items():
        value = file.initializers[name]
        if list(value.shape) != list(target.shape) or value.dtype != np.float32 or target.dtype != torch.float32:
            raise InputError(
                f"{file.path}: initializer {name} is {value.dtype} {list(value.shape)}, the module's is "
                f"{str(target.dtype).removeprefix('torch.')} {list(target.shape)}; both must be float32 of one shape"
            )
        with torch.no_grad():
            target.copy_(torch.from_numpy(np.array(value)))
    return named


def _trained(file: ModelFile) -> list[str]:
    """Return the initializers that must be known to the module.

    A manifest says which they are. Without one, single numbers are taken for constants, such as a dropout ratio.
    """
    if file.manifest:
        named = [entry["name"] for entry in file.manifest.get("parameters", [])]
        return named + list(file.manifest.get("buffers", []))
    return [name for name, value in file.initializers.items() if value.dtype == np.float32 and value.ndim > 0]
