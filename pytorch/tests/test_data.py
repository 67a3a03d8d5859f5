"""Crops and flips of the data file against torchvision's order of things: a border, a crop, a reflection."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tandem_pytorch.data import Data, augmented
from tandem_pytorch.errors import InputError
from tandem_pytorch.experiment import Loss
from tandem_pytorch.files import write_tensors

CROP = 2


def expected(images: torch.Tensor, changes: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
    """Each image with a border, cropped, and then mirrored."""
    height, width = images.shape[2:]
    out = []
    for image, (dy, dx, flip) in zip(images, changes.tolist(), strict=True):
        channels = [F.pad(c, [CROP] * 4, value=float(v)) for c, v in zip(image, fill, strict=True)]
        cropped = torch.stack(channels)[:, CROP + dy : CROP + dy + height, CROP + dx : CROP + dx + width]
        out.append(cropped.flip(-1) if flip else cropped)
    return torch.stack(out)


class Augmentation(unittest.TestCase):
    def setUp(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(40, 3, 6, 5, generator=generator)
        self.changes = torch.cat(
            [
                torch.randint(-CROP, CROP + 1, (40, 2), generator=generator),
                torch.randint(0, 2, (40, 1), generator=generator),
            ],
            dim=1,
        )
        self.fill = torch.tensor([-1.5, 0.25, 7.0])

    def test_border_crop_and_reflection(self) -> None:
        got = augmented(self.images, self.changes, self.fill)
        self.assertTrue(torch.equal(got, expected(self.images, self.changes, self.fill)))
        self.assertTrue(got.is_contiguous())

    def data(self, **changed: np.ndarray) -> Data:
        tensors = {
            "train/x": self.images.numpy(),
            "train/target": np.zeros(40, np.int64),
            "test/x": self.images[:3].numpy(),
            "test/target": np.zeros(3, np.int64),
            "order": np.arange(40)[::-1].astype(np.int64),
            "offsets": np.array([0, 16, 32, 40], np.int64),
            "augment": self.changes.numpy().astype(np.int8),
            "fill": self.fill.numpy(),
        } | changed
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "data.safetensors")
            write_tensors(path, {name: np.ascontiguousarray(value) for name, value in tensors.items()})
            return Data(path, ["x"], Loss("cross_entropy", "mean"))

    def test_a_batch_has_the_changes_of_its_positions(self) -> None:
        data = self.data()
        for step, start in ((0, 0), (1, 16), (2, 32), (4, 16)):  # the last begins again
            end = min(start + 16, 40)
            rows = torch.arange(39 - start, 39 - end, -1)
            (got,) = data.batch(step).inputs
            self.assertTrue(torch.equal(got, expected(self.images[rows], self.changes[start:end], self.fill)))
        (plain,) = data.inputs("train", 0, 40)
        self.assertTrue(torch.equal(plain, self.images))

    def test_refuses_what_does_not_fit(self) -> None:
        for name, changed, message in (
            ("another length", {"augment": np.zeros((39, 3), np.int8)}, "must be int8 of shape"),
            ("another type", {"augment": np.zeros((40, 3), np.int64)}, "must be int8 of shape"),
            ("half mirrored", {"augment": np.full((40, 3), 2, np.int8)}, "must be int8 of shape"),
            ("other channels", {"fill": np.zeros(4, np.float32)}, "no input is that"),
            ("a fill of another type", {"fill": np.zeros(3, np.float64)}, "fill a row of float32"),
        ):
            with self.subTest(name), self.assertRaisesRegex(InputError, message):
                self.data(**changed)


if __name__ == "__main__":
    unittest.main()
