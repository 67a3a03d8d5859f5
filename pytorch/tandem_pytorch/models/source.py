"""From an experiment's ``model.source`` to an nn.Module, and from ``data.source`` to what its callable returns."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..errors import InputError, user_trace
from ..experiment import Model, fitting


def build(model: Model, seed: int) -> nn.Module:
    """Call the model's builder right after ``torch.manual_seed(seed)`` and return its module.

    Every failure is an InputError: the source is the user's, and so are the lines in the error's detail.
    """
    module = call("model", model.source, model.args, seed)
    if not isinstance(module, nn.Module):
        forgotten = ": is a return missing?" if module is None else ""
        raise InputError(
            f'model source "{model.source}" returned {type(module).__name__}; it must return a torch.nn.Module{forgotten}'
        )
    if not any(True for _ in module.parameters()):
        raise InputError(f'model source "{model.source}" returned a module without parameters: nothing to train')
    _fix_epsilons(module)
    _freeze(module, model)
    return module


def call(kind: str, source: str, args: dict[str, Any], seed: int) -> Any:
    """Call what a source of a kind, "model" or "data", names right after ``torch.manual_seed(seed)``."""
    try:
        callable_ = find(source)
    except InputError as error:
        raise InputError(f"{kind} {error.message}", error.detail) from error
    if isinstance(callable_, nn.Module):
        raise InputError(
            f'{kind} source "{source}" is a module already ({type(callable_).__name__}): name its class, or a function that '
            "returns a new one, which gets its first weights from the experiment's seed"
        )
    torch.manual_seed(seed)
    try:
        return callable_(**args)
    except Exception as error:
        raise InputError(
            f'{kind} source "{source}" failed with {_call(args)}: {type(error).__name__}: {error}', user_trace(error)
        ) from error


def _freeze(module: nn.Module, model: Model) -> None:
    """Have the parameters not trained whose first names fit a pattern of model.frozen."""
    parameters = dict(module.named_parameters())
    for pattern in model.frozen:
        for name in fitting(pattern, parameters, "model.frozen"):
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        why = f"model.frozen, {', '.join(model.frozen)}," if model.frozen else f'model source "{model.source}"'
        raise InputError(f"{why} leaves no parameter to train; the parameters are {', '.join(parameters)}")


def _fix_epsilons(module: nn.Module) -> None:
    """Give an RMSNorm without eps the one that it has in float32, which is in the graph: a float64 one differs."""
    for layer in module.modules():
        if isinstance(layer, nn.RMSNorm) and layer.eps is None:
            layer.eps = torch.finfo(torch.float32).eps


def find(source: str) -> Callable[..., Any]:
    """Return the callable that a source names; errors begin with "source".

    "file.py:callable" loads a file, with its folder on the module path. "module:callable" imports a module: one of
    ``tandem_pytorch.models`` where there is one of that name, else one of the user's path.
    """
    place, colon, name = source.rpartition(":")
    if not colon or not place or not name:
        raise InputError(f'source "{source}" must be "module:callable" or "file.py:callable"')
    module = _load_file(place, source) if place.endswith(".py") else _import(place, source)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            callables = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
            raise InputError(
                f'source "{source}": {place} has no "{name}"; it has {", ".join(callables) or "none"}'
            )
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f'source "{source}": "{name}" is {type(found).__name__}, which cannot be called')
    return found  # type: ignore[no-any-return]


def _load_file(path: str, source: str) -> ModuleType:
    if not os.path.isfile(path):
        raise InputError(f'source "{source}": no such file {path}')
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.insert(0, folder)  # a model file may import its neighbours
    name = os.path.splitext(os.path.basename(path))[0]
    # Under a name of its own, so that a file called torch.py or json.py hides nothing.
    spec = importlib.util.spec_from_file_location(f"tandem_user_model_{name}", path)
    if spec is None or spec.loader is None:
        raise InputError(f'source "{source}": {path} cannot be loaded as Python')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise InputError(
            f'source "{source}": {path} failed: {type(error).__name__}: {error}', user_trace(error)
        ) from error
    return module


def _import(place: str, source: str) -> ModuleType:
    built_in = f"{__package__}.{place}"
    for name in (built_in, place):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only the module itself or a package above it: a module that exists but lacks an import of its own fails.
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                continue
            raise InputError(f'source "{source}": {place} failed: {error}', user_trace(error)) from error
        except Exception as error:
            raise InputError(
                f'source "{source}": {place} failed: {type(error).__name__}: {error}', user_trace(error)
            ) from error
    raise InputError(
        f'source "{source}": no module "{place}", neither among tandem\'s models nor on the module path; '
        'for a file write "file.py:callable"'
    )


def _call(args: dict[str, Any]) -> str:
    return "arguments " + ", ".join(f"{name}={value!r}" for name, value in args.items()) if args else "no arguments"
