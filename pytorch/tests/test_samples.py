"""What a user's data source may return, and what it is told when that is something else."""

from __future__ import annotations

import copy
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np

from tandem_pytorch import experiment as experiments
from tandem_pytorch import samples
from tandem_pytorch.errors import InputError
from tandem_pytorch.files import TensorFile

from .fixtures import EXPERIMENT

USER = """
import random
import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

X = np.arange(12, dtype=np.float64).reshape(6, 2)
Y = np.arange(6)

class Items(Dataset):
    def __init__(self, items, length=None): self.items, self.length = items, length
    def __len__(self): return len(self.items) if self.length is None else self.length
    def __getitem__(self, i): return self.items[i]

class Lengthless(Dataset):
    def __getitem__(self, i): return X[i], 0

class Stream(IterableDataset):
    def __iter__(self): return iter([])

class Duck:
    def __len__(self): return 6
    def __getitem__(self, i):
        if i >= 6: raise IndexError(i)
        return {"x": torch.tensor(X[i]), "target": int(Y[i])}

def whole(): return X, Y
def nested(): return [torch.from_numpy(X), (torch.from_numpy(Y),)]
def named(): return {"target": Y, "x": X}
def split(): return {"train": (X, Y), "test": {"x": X[:2], "target": Y[:2]}}
def datasets(): return {"train": TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), "test": Items([(X[i], int(Y[i])) for i in range(2)])}
def duck(): return Duck()
def drawn(scale): return scale * (torch.rand(6, 2) + torch.from_numpy(np.random.rand(6, 2)) + random.random()), Y
def types(): return X.astype(">f4"), np.array([True, False] * 3)
def half(): return torch.from_numpy(X).bfloat16(), Y.astype(np.int32)

def number(): return 5
def text(): return "data.csv", "labels"
def one(): return X
def lists(): return [[1.0, 2.0]] * 6, [0] * 6
def lengths(): return X, Y[:5]
def scalar(): return X, np.float32(3)
def empty(): return X[:0], Y[:0]
def nan():
    x = X.copy(); x[4, 1] = np.nan
    return x, Y
def complexes(): return X * 1j, Y
def objects(): return np.array([{}] * 6), Y
def large(): return X, np.full(6, 2**64 - 1, np.uint64)
def sparse(): return torch.from_numpy(X).to_sparse(), Y
def extra(): return {"x": X, "target": Y, "weights": Y}
def only_train(): return {"train": (X, Y)}
def unlike(): return {"train": (X, Y), "test": (X[:, :1], Y)}
def other_type(): return {"train": (X, Y), "test": (X.astype(np.float32), Y)}
def ragged(): return Items([(X[0], 0), (X[0, :1], 1)])
def short(): return Items([(X[0], 0)], length=3)
def nothing(): return Items([])
def lengthless(): return Lengthless()
def stream(): return {"train": Stream(), "test": Stream()}
def picture(): return Items([(object(), 0)])
def failing(): raise RuntimeError("no such table")
"""


class Samples(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "user.py").write_text(USER, encoding="utf-8")

    def settings(self, name: str, loss: str = "cross_entropy", **data: Any) -> str:
        content = copy.deepcopy(EXPERIMENT)
        content["data"] |= {"source": f"{self.folder / 'user.py'}:{name}", "input_name": "x", "train": 0, "test": 0} | data
        content["loss"]["kind"] = loss
        path = self.folder / "experiment.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def collect(self, name: str, **data: Any) -> dict[str, np.ndarray]:
        return samples.collect(experiments.read(self.settings(name, **data)))

    def test_forms(self) -> None:
        x, y = np.arange(12).reshape(6, 2), np.arange(6)
        for name in ("whole", "nested", "named", "duck"):
            with self.subTest(name):
                got = self.collect(name)
                self.assertEqual(set(got), {"x", "target"})
                np.testing.assert_array_equal(got["x"], x)
                np.testing.assert_array_equal(got["target"], y)
        for name in ("split", "datasets"):
            with self.subTest(name):
                got = self.collect(name)
                self.assertEqual(set(got), {"train/x", "train/target", "test/x", "test/target"})
                np.testing.assert_array_equal(got["train/x"], x)
                np.testing.assert_array_equal(got["test/x"], x[:2])
                np.testing.assert_array_equal(got["test/target"], y[:2])

    def test_no_more_items_than_wanted(self) -> None:
        got = self.collect("datasets", train=4, test=1)
        self.assertEqual([len(got["train/x"]), len(got["test/target"])], [4, 1])

    def test_without_targets(self) -> None:
        got = self.collect("whole", loss="output", inputs=["x", "labels"])
        np.testing.assert_array_equal(got["labels"], np.arange(6))

    def test_types(self) -> None:
        got = self.collect("types")
        self.assertEqual([got["x"].dtype, got["target"].dtype], [np.dtype("=f4"), np.dtype(np.int64)])
        got = self.collect("half")
        self.assertEqual([got["x"].dtype, got["target"].dtype], [np.dtype("=f4"), np.dtype(np.int64)])

    def test_the_seed_decides(self) -> None:
        one, same = (self.collect("drawn", args={"scale": 2.0}) for _ in range(2))
        np.testing.assert_array_equal(one["x"], same["x"])

    def test_refused(self) -> None:
        cases = {
            "number": r"returned 1 values \(int\) for \"x\", \"target\"; return",
            "text": 'returned str as "x"; it must be a NumPy array',
            "one": r"returned 1 values \(ndarray\)",
            "lists": r"returned 18 values \(float, float, float, float and 14 more\)",
            "lengths": 'different numbers of samples: 6 of "x", 5 of "target"',
            "scalar": 'one number as "target", not one for each sample',
            "empty": r'no sample: "x" has shape \[0, 2\]',
            "nan": 'NaN in "x", first in sample 4',
            "complexes": 'complex128 as "x"; numbers must be',
            "objects": 'object as "x"; numbers must be',
            "large": 'returned 18446744073709551615 as "target", which int64 cannot hold',
            "sparse": "sparse_coo, .* make it a plain one",
            "extra": 'a dict of target, weights, x; wanted are "x", "target"',
            "only_train": 'returned a dict of train; a dict of splits has "train" and "test"',
            "unlike": r'"x" is float64\[6, 2\] in train and float64\[6, 1\] in test',
            "other_type": r'"x" is float64\[6, 2\] in train and float32\[6, 2\] in test',
            "ragged": r'has "x" float64\[1\] in item 1 and float64\[2\] in item 0; all samples must be alike',
            "short": "returned the data set Items, whose item 1 of 3 failed: IndexError",
            "nothing": "no sample: the data set Items is empty",
            "lengthless": "returned the data set Lengthless without a length",
            "stream": "returned an IterableDataset of train",
            "picture": 'returned object as "x" of item 0; it must be a NumPy array, a torch tensor or a number',
            "failing": "failed with no arguments: RuntimeError: no such table",
            "absent": 'has no "absent"',
        }
        for name, expected in cases.items():
            with self.subTest(name), self.assertRaisesRegex(InputError, expected) as caught:
                self.collect(name)
            self.assertTrue(caught.exception.message.startswith("data source "), caught.exception.message)

    def test_command(self) -> None:
        output = self.folder / "samples.safetensors"
        result, status = samples.answer(self.settings("split"), str(output))
        self.assertEqual((status, set(result["tensors"])), (0, set(TensorFile(output).names)))
        result, status = samples.answer(self.settings("failing"), str(self.folder / "none"))
        self.assertEqual((status, result["error"]["kind"]), (2, "input"))
        self.assertIn("no such table", result["error"]["detail"])
        result, _ = samples.answer(self.settings("number"), str(self.folder / "none"))
        self.assertEqual(result["error"]["detail"], "")
        self.assertFalse((self.folder / "none").exists())


if __name__ == "__main__":
    unittest.main()
