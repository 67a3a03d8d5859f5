"""Files that appear whole or not at all, and safetensors with errors that name the file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from .errors import InputError


def write_atomically(path: str | os.PathLike[str], write: Callable[[str], None]) -> None:
    """Call ``write`` with a temporary path in the same folder and rename the result to ``path``.

    An interrupted or failing write leaves ``path`` as it was, and no temporary file behind.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would lock other users out of a run's folder
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_tensors(path: str | os.PathLike[str], tensors: dict[str, np.ndarray]) -> None:
    """Write a safetensors file atomically."""
    whole = {name: np.require(value, requirements=["C"]) for name, value in tensors.items()}

    def write(temporary: str) -> None:
        try:
            safetensors.numpy.save_file(whole, temporary)
        except safetensors.SafetensorError as error:  # a full disk, for instance
            raise InputError(f"cannot write {path}: {error}") from error

    write_atomically(path, write)


class TensorFile:
    """A safetensors file opened for reading, one tensor at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = safetensors.safe_open(str(path), framework="numpy")
        except FileNotFoundError as error:
            raise InputError(f"no such file: {path}") from error
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(f"{path} is not a readable safetensors file: {error}") from error
        self.names: list[str] = list(self._file.keys())  # type: ignore[no-untyped-call]

    def read(self, name: str) -> np.ndarray:
        """Return a tensor's values; an InputError names what is missing."""
        if name not in self.names:
            raise InputError(f'{self.path}: no tensor "{name}"; it has {listing(self.names)}')
        try:
            value: np.ndarray = self._file.get_tensor(name)  # type: ignore[no-untyped-call]
        except (safetensors.SafetensorError, TypeError, ValueError) as error:
            raise InputError(f'{self.path}: tensor "{name}" cannot be read: {error}') from error
        return value

    def read_all(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return the tensors whose names begin with ``prefix``, without it."""
        return {name.removeprefix(prefix): self.read(name) for name in self.names if name.startswith(prefix)}


def listing(names: Iterable[str], most: int = 8) -> str:
    """Return names for an error message, shortened."""
    every = sorted(names)
    if not every:
        return "none"
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
