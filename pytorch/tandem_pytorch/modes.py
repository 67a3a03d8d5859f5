"""Ways of running PyTorch, for a comparison with PyTorch at its best: a new one is a line of MODES."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch
from torch import nn

from .errors import UnsupportedError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Mode:
    """What is compiled, and which of torch's implementations of the optimizer updates the parameters."""

    #: "" is torch's own default, which is a loop over the parameters on a CPU; or "foreach" or "fused".
    implementation: str = ""
    #: Forward, loss and with them backward are compiled.
    compiled: bool = False
    #: The optimizer's update is compiled.
    compiled_update: bool = False
    #: The compiler times several ways of computing each product and takes the fastest: torch.compile's mode "max-autotune".
    autotuned: bool = False
    #: Images and the weights of convolutions lie in memory with their channels last.
    channels_last: bool = False


#: The first is the default: torch as it comes. torch compiles only an update that is not "fused", which is compiled already;
#: of the others "foreach" compiles to fewer and larger loops.
MODES = {
    "eager": Mode(),
    "foreach": Mode("foreach"),
    "fused": Mode("fused"),
    "compile": Mode("foreach", compiled=True, compiled_update=True),
    "compile-fused": Mode("fused", compiled=True),
    "compile-fused-max-autotune": Mode("fused", compiled=True, autotuned=True),
    "compile-update": Mode("foreach", compiled_update=True),
    "channels-last": Mode("foreach", channels_last=True),
    "compile-channels-last": Mode("foreach", compiled=True, channels_last=True),
}


def find(name: str) -> Mode:
    """Return the mode of that name; it is refused when there is none, or when what it needs is missing."""
    if name not in MODES:
        raise UnsupportedError(f'mode "{name}" is none of {", ".join(MODES)}')
    mode = MODES[name]
    if mode.compiled or mode.compiled_update:
        # What torch._inductor.config.cpp.cxx says, which is no public interface.
        compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler) is None:
            raise UnsupportedError(
                f'mode "{name}": torch.compile needs a C++ compiler, and there is no {compiler}; '
                "install one, or name one in the variable CXX"
            )
    return mode


def lay_out(module: nn.Module, name: str) -> None:
    """Lay the module's weights of four axes out with the second one, the channels, last; a module that has none is refused."""
    if all(parameter.dim() != 4 for parameter in module.parameters()):
        raise UnsupportedError(f'mode "{name}" changes nothing: the model has no convolution of images')
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def images_last(value: torch.Tensor) -> torch.Tensor:
    """Return the same images with channels last in memory; other inputs are returned as they are."""
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


def compiled(function: Callable[P, R], autotuned: bool = False) -> Callable[P, R]:
    """Compile for each shape of the inputs anew: batch sizes are few (whole and last batch), and fixed ones are faster.

    It is done in the first call. What torch cannot compile is reported as unsupported.
    """
    import torch._dynamo.exc as failures  # some seconds, which the other modes need not wait

    fast = torch.compile(function, dynamic=False, mode="max-autotune" if autotuned else None)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return fast(*args, **kwargs)
        except failures.TorchDynamoException as error:  # of which the compilers' errors are
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise UnsupportedError(" ".join(["torch.compile failed:", *lines[:2]]), str(error)) from error

    return call
