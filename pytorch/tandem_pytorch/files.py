"""Files that appear whole or not at all, and safetensors with errors that name the file."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

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


#: The element types of safetensors that tandem's files have.
DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}


class TensorFile:
    """A safetensors file, read one tensor at a time.

    The library checks the file. The tensors are read with plain reads, not from the library's memory mapping, whose pages
    would count as this process's memory a second time while a tensor is copied.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            safetensors.safe_open(str(path), framework="numpy")
            with open(path, "rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header: dict[str, Any] = json.loads(file.read(size))
        except FileNotFoundError as error:
            raise InputError(f"no such file: {path}") from error
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise InputError(f"{path} is not a readable safetensors file: {error}") from error
        self._start = 8 + size
        self._entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        self.names: list[str] = list(self._entries)

    def read(self, name: str) -> np.ndarray:
        """Return a tensor's values; an InputError names what is missing."""
        if name not in self._entries:
            raise InputError(f'{self.path}: no tensor "{name}"; it has {listing(self.names)}')
        entry = self._entries[name]
        if entry["dtype"] not in DTYPES:
            raise InputError(f'{self.path}: tensor "{name}" is {entry["dtype"]}, none of {", ".join(DTYPES)}')
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        dtype = np.dtype(DTYPES[entry["dtype"]])
        try:
            value = np.fromfile(self.path, dtype, math.prod(shape), offset=self._start + begin)
        except OSError as error:
            raise InputError(f'{self.path}: tensor "{name}" cannot be read: {error}') from error
        if value.nbytes != end - begin:
            raise InputError(f'{self.path}: tensor "{name}" ends early: the file was cut off')
        return value.reshape(shape)

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
