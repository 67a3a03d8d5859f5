"""Loss, gradients, outputs and activations of a batch at the present state, without changing anything.

The module is called with copies of its parameters and buffers in their place, so that neither a gradient nor a
BatchNorm's new statistics reach the trained ones, and so that the same code computes in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .data import Batch
from .errors import UnsupportedError
from .losses import LossFunction, named_outputs
from .masks import MaskSource, SharedMasks, Site
from .onnx_module import OnnxModule
from .parameters import floating_buffers

#: Element types that gradients are computed in.
DTYPES = {"float32": torch.float32, "float64": torch.float64}

#: Rearranges a site's mask for a batch that is not the step's own order.
MaskTransform = Callable[[MaskSource, Site], torch.Tensor]


@dataclass
class Evaluation:
    """The tensors of one forward and backward pass; gradients and outputs by name."""

    loss: torch.Tensor
    gradients: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]
    activations: dict[str, torch.Tensor]
    #: The floating-point buffers after the forward pass, such as BatchNorm's new running statistics.
    buffers: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Model:
    """What a forward pass needs: the module, the graph's output names, the loss, and modules by ONNX value name.

    ``trained`` is the name of the output that the loss is taken of.
    """

    module: nn.Module
    outputs: list[str]
    loss: LossFunction
    activations: dict[str, str]
    trained: str = ""


@contextmanager
def computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Make ``dtype`` the default type, for the tensors that a forward pass creates itself."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class _Doubling(TorchFunctionMode):
    """Makes float32 float64 wherever the module itself asks for it.

    Layers that were written for half precision compute norms and softmax in float32 whatever comes in, as T5's and
    Llama's do. A result in float64 has to be free of float32's rounding, or it measures no noise.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        args = tuple(_doubled(value) for value in args)
        return func(*args, **{name: _doubled(value) for name, value in (kwargs or {}).items()})


def _doubled(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value == torch.float32 else value


def copies(module: nn.Module, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return copies of a module's parameters, as leaves, and buffers; floating-point ones in ``dtype``."""
    result: dict[str, torch.Tensor] = {}
    for name, parameter in module.named_parameters():
        copy = parameter.detach().to(dtype, copy=True, memory_format=torch.preserve_format)
        result[name] = copy.requires_grad_(parameter.requires_grad)
    for name, buffer in module.named_buffers():
        result[name] = _cast(buffer, dtype).clone(memory_format=torch.preserve_format)
    return result


def call(
    module: nn.Module, tensors: dict[str, torch.Tensor], inputs: tuple[torch.Tensor, ...], dtype: torch.dtype
) -> Any:
    """Call the module with ``tensors`` in the place of its parameters and buffers."""
    with computing_in(dtype), _Doubling() if dtype == torch.float64 else _nothing():
        return torch.func.functional_call(module, tensors, tuple(_cast(value, dtype) for value in inputs))


def evaluate(
    model: Model,
    batch: Batch,
    source: MaskSource,
    dtype: torch.dtype = torch.float32,
    *,
    transform: MaskTransform | None = None,
    loss: LossFunction | None = None,
    activations: bool = False,
    prepare: Callable[[torch.Tensor], torch.Tensor] | None = None,
    buffers: dict[str, torch.Tensor] | None = None,
) -> Evaluation:
    """Run forward and backward in training mode with the masks of ``source``'s present step.

    ``transform``, ``loss`` and ``prepare`` are for variants: they rearrange masks, replace the loss, and change the
    memory layout of parameters and inputs. ``buffers`` stand in the place of the module's.
    """
    tensors = copies(model.module, dtype)
    if buffers:
        tensors.update((name, value.clone(memory_format=torch.preserve_format)) for name, value in buffers.items())
    inputs = batch.inputs
    if prepare is not None:
        tensors = {name: _leaf(prepare(value.detach()), value.requires_grad) for name, value in tensors.items()}
        inputs = tuple(prepare(value) for value in inputs)
    seen: dict[str, torch.Tensor] = {}
    with _recording(model, seen) if activations else _nothing(), SharedMasks(source, transform):
        returned = named_outputs(call(model.module, tensors, inputs, dtype), model.outputs)
        value = (loss or model.loss)(returned[model.trained or model.outputs[0]], batch.target)
    trained = {name: tensors[name] for name, parameter in model.module.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(value, list(trained.values()), allow_unused=True)
    return Evaluation(
        loss=value.detach(),
        gradients={
            # A parameter that the loss does not depend on has the gradient zero.
            name: torch.zeros_like(tensor) if gradient is None else gradient
            for (name, tensor), gradient in zip(trained.items(), found, strict=True)
        },
        outputs={name: output.detach() for name, output in returned.items()},
        activations=seen,
        buffers={name: tensors[name] for name in floating_buffers(model.module)},
    )


def joined(parts: list[Evaluation], share: float) -> Evaluation:
    """Return what a step of several parts has: losses and gradients added up, each multiplied by ``share``.

    Outputs and activations follow each other along the first dimension. Scalars make a row, and so do the elements of tensors that
    are not alike in the other dimensions.
    """
    return Evaluation(
        loss=_added([part.loss for part in parts], share),
        gradients={name: _added([part.gradients[name] for part in parts], share) for name in parts[0].gradients},
        outputs={name: _behind([part.outputs[name] for part in parts]) for name in parts[0].outputs},
        activations={name: _behind([part.activations[name] for part in parts]) for name in parts[0].activations},
        buffers=parts[-1].buffers,
    )


def _added(values: list[torch.Tensor], share: float) -> torch.Tensor:
    total = values[0] * share
    for value in values[1:]:
        total = total + value * share
    return total


def _behind(values: list[torch.Tensor]) -> torch.Tensor:
    if values[0].dim() == 0 or any(value.shape[1:] != values[0].shape[1:] for value in values):
        values = [value.reshape(-1) for value in values]
    return torch.cat(values)


@contextmanager
def _recording(model: Model, seen: dict[str, torch.Tensor]) -> Iterator[None]:
    """Copy the outputs of the modules that stand for an ONNX value while the block runs."""
    if not model.activations:
        raise UnsupportedError(
            "the ONNX file's manifest names no activations; export the model with tandem, which records them"
        )
    if isinstance(model.module, OnnxModule):
        with model.module.recording(list(model.activations), seen):
            yield
        return
    handles = []

    def hook(value_name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: Any, output: Any) -> None:
            # A copy: an in-place operation behind the module may overwrite its output.
            seen[value_name] = output.detach().clone()

        return record

    try:
        for value_name, path in model.activations.items():
            handles.append(model.module.get_submodule(path).register_forward_hook(hook(value_name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _cast(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.to(dtype) if value.is_floating_point() else value


def _leaf(value: torch.Tensor, requires_grad: bool) -> torch.Tensor:
    return value.detach().requires_grad_(requires_grad)
