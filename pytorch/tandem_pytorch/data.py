"""The data file: samples of both splits and the batches of the whole training, written once by tandem."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
import torch

from .errors import InputError
from .experiment import Loss
from .files import TensorFile

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Batch:
    """The samples of one step: inputs in the model's order, each (B, ...), and targets (B, ...).

    Targets are int64 class numbers or float32; a loss without targets has none of them a row, (B, 0).
    """

    inputs: tuple[torch.Tensor, ...]
    target: torch.Tensor

    @property
    def size(self) -> int:
        """The number of samples."""
        return int(self.target.shape[0])

    def parts(self, size: int) -> list[Batch]:
        """Return the samples in parts of so many, of which the last may have fewer."""
        return [
            Batch(tuple(value[at : at + size] for value in self.inputs), self.target[at : at + size])
            for at in range(0, self.size, size)
        ]


class Data:
    """The data file in memory."""

    def __init__(self, path: str | os.PathLike[str], input_names: list[str], loss: Loss) -> None:
        file = TensorFile(path)
        self._loss = loss
        self.path = str(path)
        #: The model's inputs, in its order.
        self.names = list(input_names)
        values = {name: file.read(name) for name in file.names}
        #: SHA-256 of each tensor's little-endian bytes.
        self.digests = {name: digest(value) for name, value in values.items()}
        #: Bytes of all tensors.
        self.size = sum(value.nbytes for value in values.values())
        wanted = [*input_names, "target"] if loss.takes_target else input_names
        for name in [f"{split}/{part}" for split in SPLITS for part in wanted] + ["order", "offsets"]:
            if name not in values:
                raise InputError(
                    f'data file {path}: no tensor "{name}"; the model\'s inputs are {", ".join(input_names)}, and the '
                    f"file has {', '.join(sorted(values)) or 'nothing'}"
                )
        self._inputs = {
            split: tuple(torch.from_numpy(values[f"{split}/{name}"]) for name in input_names) for split in SPLITS
        }
        self._targets = {
            split: torch.from_numpy(values[f"{split}/target"])
            if loss.takes_target
            else torch.empty(len(self._inputs[split][0]), 0)
            for split in SPLITS
        }
        for split in SPLITS:
            self._check_split(split, input_names)
        self._augmentation = self._find_augmentation(values)
        self._order = torch.from_numpy(values["order"])
        self._offsets: list[int] = values["offsets"].tolist()
        self._check_order(values["order"], values["offsets"])

    @property
    def steps(self) -> int:
        """The number of batches in the file."""
        return len(self._offsets) - 1

    def rows(self, split: str) -> int:
        """The number of samples of a split."""
        return int(self._targets[split].shape[0])

    def batch(self, step: int) -> Batch:
        """Return a copy of step ``step``'s batch; steps beyond the last begin again."""
        step %= self.steps
        positions = slice(self._offsets[step], self._offsets[step + 1])
        index = self._order[positions]
        inputs = tuple(value.index_select(0, index) for value in self._inputs["train"])
        if self._augmentation is not None:
            changes, fill = self._augmentation
            inputs = tuple(
                augmented(value, changes[positions], fill) if _is_images(value, fill) else value for value in inputs
            )
        return Batch(inputs, self._targets["train"].index_select(0, index))

    def inputs(self, split: str, start: int, end: int) -> tuple[torch.Tensor, ...]:
        """Return the inputs of a split's rows start ... end-1, not copied."""
        return tuple(value[start:end] for value in self._inputs[split])

    def targets(self) -> dict[str, torch.Tensor]:
        """Return the targets of both splits by their names in the file, not copied."""
        return {f"{split}/target": self._targets[split] for split in SPLITS}

    def _find_augmentation(self, values: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return the changes of each position, [positions, 3] int64, and black in each channel; None where images stay."""
        changes, fill = values.get("augment"), values.get("fill")
        if changes is None and fill is None:
            return None
        if (
            changes is None
            or fill is None
            or changes.dtype != np.int8
            or changes.shape != (len(values["order"]), 3)
            or fill.dtype != np.float32
            or fill.ndim != 1
            or bool(((changes[:, 2] != 0) & (changes[:, 2] != 1)).any())
        ):
            raise InputError(
                f"data file {self.path}: augment must be int8 of shape [{len(values['order'])}, 3], dy, dx and 0 or 1 for each "
                "position of the order, and fill a row of float32"
            )
        black = torch.from_numpy(fill)
        if not any(_is_images(value, black) for value in self._inputs["train"]):
            raise InputError(
                f"data file {self.path}: augment is for images of shape [samples, {len(fill)}, height, width], "
                "and no input is that"
            )
        return torch.from_numpy(changes.astype(np.int64)), black

    def _check_split(self, split: str, names: list[str]) -> None:
        target = self._targets[split]
        wanted, words = torch.float32, "float32 numbers, one row a sample"
        if self._loss.takes_classes:
            wanted, words = torch.int64, "int64 class numbers of shape [samples] or [samples, positions]"
        if target.dtype != wanted or target.dim() < 1:
            raise InputError(
                f"data file {self.path}: {split}/target is {target.dtype} of shape {list(target.shape)}; "
                f"{self._loss.kind} needs {words}"
            )
        for name, value in zip(names, self._inputs[split], strict=True):
            if value.dim() < 1 or value.shape[0] != target.shape[0]:
                raise InputError(
                    f"data file {self.path}: {split}/{name} has shape {list(value.shape)}, "
                    f"but {split}/target has {target.shape[0]} samples"
                )

    def _check_order(self, order: np.ndarray, offsets: np.ndarray) -> None:
        for name, value in (("order", order), ("offsets", offsets)):
            if value.dtype != np.int64 or value.ndim != 1:
                raise InputError(
                    f"data file {self.path}: {name} is {value.dtype} of shape {list(value.shape)}, not a row of int64"
                )
        if len(offsets) < 2 or offsets[0] < 0 or offsets[-1] > len(order) or bool((np.diff(offsets) <= 0).any()):
            raise InputError(
                f"data file {self.path}: offsets must be rising numbers within order's {len(order)} positions, "
                "one more than there are steps"
            )
        rows = self.rows("train")
        used = order[offsets[0] : offsets[-1]]
        if int(used.min()) < 0 or int(used.max()) >= rows:
            raise InputError(
                f"data file {self.path}: order names samples {used.min()} to {used.max()}, "
                f"but there are {rows} training samples"
            )


def _is_images(value: torch.Tensor, fill: torch.Tensor) -> bool:
    return value.dtype == torch.float32 and value.dim() == 4 and value.shape[1] == len(fill)


def augmented(images: torch.Tensor, changes: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
    """Move and mirror images (B, channels, height, width) as changes (B, 3) say: dy, dx, flip.

    The pixel (y, x) of the result is the image's at (y+dy, x+dx) or, mirrored, at (y+dy, width-1-x+dx), and ``fill`` of its
    channel where the image has none.
    """
    batch, channels, height, width = images.shape
    dy, dx, flip = (changes[:, k].reshape(batch, 1) for k in range(3))
    column = torch.arange(width).expand(batch, width)
    rows = torch.arange(height) + dy
    columns = torch.where(flip != 0, width - 1 - column, column) + dx
    inside = ((rows >= 0) & (rows < height)).reshape(batch, 1, height, 1) & (
        (columns >= 0) & (columns < width)
    ).reshape(batch, 1, 1, width)
    found = images[
        torch.arange(batch).reshape(batch, 1, 1, 1),
        torch.arange(channels).reshape(1, channels, 1, 1),
        rows.clamp(0, height - 1).reshape(batch, 1, height, 1),
        columns.clamp(0, width - 1).reshape(batch, 1, 1, width),
    ]
    return torch.where(inside, found, fill.reshape(1, channels, 1, 1)).contiguous()


def digest(value: np.ndarray) -> str:
    """Return the SHA-256 of a tensor's elements in row-major order, little-endian."""
    little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    return hashlib.sha256(little.data).hexdigest()
