"""The whole state of a training as named tensors: parameters, buffers, optimizer moments and the step counter."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import optimizers
from .errors import InputError
from .experiment import Optimizer
from .files import TensorFile, listing, write_tensors
from .parameters import Named


@dataclass(frozen=True)
class State:
    """A state's tensors under the file's names ("parameters/<name>", ...) without "step", and the steps taken."""

    tensors: dict[str, np.ndarray]
    step: int


def capture(named: Named, optimizer: torch.optim.Optimizer, settings: Optimizer, step: int) -> State:
    """Copy the state out of the model and its optimizer."""
    tensors: dict[str, np.ndarray] = {}
    for name, parameter in named.parameters.items():
        tensors[f"parameters/{name}"] = array(parameter)
        if parameter.requires_grad:
            for slot in optimizers.slots(settings):
                tensors[f"optimizer/{slot}/{name}"] = array(optimizers.read_slot(optimizer, parameter, slot))
    for name, buffer in named.buffers.items():
        tensors[f"buffers/{name}"] = array(buffer)
    return State(tensors, step)


def restore(named: Named, optimizer: torch.optim.Optimizer, settings: Optimizer, state: State) -> None:
    """Put a state that ``check`` accepted into the model and its optimizer, in place."""
    moments: dict[nn.Parameter, dict[str, torch.Tensor]] = {}
    with torch.no_grad():
        for name, parameter in named.parameters.items():
            parameter.copy_(torch.from_numpy(state.tensors[f"parameters/{name}"]))
            parameter.grad = None
            if parameter.requires_grad:
                moments[parameter] = {
                    slot: torch.from_numpy(state.tensors[f"optimizer/{slot}/{name}"])
                    for slot in optimizers.slots(settings)
                }
        for name, buffer in named.buffers.items():
            buffer.copy_(torch.from_numpy(state.tensors[f"buffers/{name}"]))
    optimizers.restore(optimizer, settings, moments, state.step)


def check(given: State, present: State, origin: str) -> None:
    """Refuse a state whose names, shapes or element types are not the present model's, naming what differs."""
    problems: list[str] = []
    absent = present.tensors.keys() - given.tensors.keys()
    unknown = given.tensors.keys() - present.tensors.keys()
    if absent:
        problems.append(f"it lacks {listing(absent)}")
    if unknown:
        problems.append(f"this model has no {listing(unknown)}")
    for name in sorted(given.tensors.keys() & present.tensors.keys()):
        value, own = given.tensors[name], present.tensors[name]
        if value.shape != own.shape:
            problems.append(f"{name} has shape {list(value.shape)}, the model's is {list(own.shape)}")
        elif value.dtype != own.dtype:
            problems.append(f"{name} is {value.dtype}, a state is {own.dtype}")
    if problems:
        raise InputError(f"state file {origin} does not fit the loaded model: " + "; ".join(problems))


def read(path: str | os.PathLike[str]) -> State:
    """Read a state file."""
    tensors = TensorFile(path).read_all()
    step = tensors.pop("step", None)
    if step is None or step.dtype != np.int64 or step.size != 1 or int(step.reshape(())) < 0:
        raise InputError(f'state file {path}: "step" must be one int64 that is not negative')
    return State(tensors, int(step.reshape(())))


def write(path: str | os.PathLike[str], state: State) -> None:
    """Write a state file, whole or not at all."""
    write_tensors(path, {**state.tensors, "step": np.array(state.step, dtype=np.int64)})


def array(value: torch.Tensor) -> np.ndarray:
    """Return a tensor's values as an array of its own, row-major."""
    result: np.ndarray = value.detach().cpu().contiguous().numpy().copy()
    return result
