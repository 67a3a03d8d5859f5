"""A model that computes its loss itself: a scalar for the whole batch beside its scores."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
import torch
import torch.nn.functional as F

from tandem_pytorch import export
from tandem_pytorch.engine import FORWARD_ROWS, Engine
from tandem_pytorch.errors import InputError, UnsupportedError

from . import fixtures

ROWS, TESTS, BATCH = 24, FORWARD_ROWS + 44, 6
MODEL = '''import torch.nn.functional as F
from torch import nn


class Losing(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form, self.fc = form, nn.Linear(4, 3)

    def forward(self, x, labels):
        scores = self.fc(x)
        if self.form == "mean":
            return {"loss": F.cross_entropy(scores, labels), "scores": scores}
        return {"loss": scores.square().mean().exp(), "scores": scores}


def build(form):
    return Losing(form)
'''


class OwnLoss(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "losing.py").write_text(MODEL)

    def load(self, form: str = "mean", ignored: bool = False, **loss: Any) -> tuple[Engine, dict[str, np.ndarray]]:
        random = np.random.default_rng(0)
        tensors: dict[str, np.ndarray] = {"order": np.arange(ROWS), "offsets": np.arange(0, ROWS + 1, BATCH)}
        for split, rows in (("train", ROWS), ("test", TESTS)):
            tensors[f"{split}/x"] = random.standard_normal((rows, 4), np.float32)
            tensors[f"{split}/labels"] = random.integers(0, 3, rows)
            tensors[f"{split}/target"] = random.integers(0, 3, rows)
        if ignored:  # in the second batch alone
            tensors["train/labels"][BATCH] = -100
        content = fixtures.experiment(
            model={"source": f"{self.folder}/losing.py:build", "args": {"form": form}},
            data={"input_name": "x", "inputs": ["x", "labels"]},
            loss={"kind": "output", **loss},
            train={"batch": BATCH},
        )
        path = fixtures.write_experiment(self.folder / "experiment.json", content)
        data = fixtures.write_data(self.folder / "data.safetensors", tensors)
        model = str(self.folder / "model.onnx")
        with contextlib.redirect_stderr(io.StringIO()):
            answer, status = export.answer(path, data, model)
        self.assertEqual(status, 0, answer)
        engine = Engine()
        engine.load({"experiment": path, "model": model, "data": data, "threads": 1, "random": "shared"})
        return engine, tensors

    def grad(self, engine: Engine, **params: Any) -> dict[str, np.ndarray]:
        engine.grad({"dtype": "float64", "file": str(self.folder / "grad")} | params)
        return safetensors.numpy.load_file(self.folder / "grad")

    def test_is_trained(self) -> None:
        engine, tensors = self.load()
        self.assertEqual([o.name for o in onnx.load(self.folder / "model.onnx").graph.output], ["loss", "scores"])
        got = self.grad(engine)
        self.assertEqual((got["outputs/loss"].shape, got["outputs/scores"].shape), ((), (BATCH, 3)))
        self.assertEqual(got["loss"], got["outputs/loss"])
        weight = torch.from_numpy(dict(onnx_weights(self.folder / "model.onnx"))["fc.weight"]).double().requires_grad_()
        bias = torch.from_numpy(dict(onnx_weights(self.folder / "model.onnx"))["fc.bias"]).double()
        x, labels = (torch.from_numpy(tensors[f"train/{name}"][:BATCH]) for name in ("x", "labels"))
        loss = F.cross_entropy(x.double() @ weight.T + bias, labels)
        (expected,) = torch.autograd.grad(loss, weight)
        np.testing.assert_allclose(got["gradients/fc.weight"], expected.numpy(), rtol=1e-12)
        self.assertAlmostEqual(engine.step({"n": 1})["losses"][0], loss.item(), places=6)

    def test_forward_has_a_number_for_each_pass(self) -> None:
        engine, _ = self.load()
        file = str(self.folder / "out")
        engine.forward({"split": "test", "mode": "eval", "dtype": "float32", "file": file})
        got = safetensors.numpy.load_file(file)
        self.assertEqual((got["outputs/loss"].shape, got["outputs/scores"].shape), ((2,), (TESTS, 3)))

    def test_variants_of_a_mean(self) -> None:
        engine, _ = self.load(ignored=True)
        plain = self.grad(engine)
        for variant in ("permuted", "split"):
            got = self.grad(engine, variant=variant)
            for name, value in plain.items():
                np.testing.assert_allclose(got[name], value, rtol=1e-9, atol=1e-12, err_msg=f"{variant} {name}")
        # One label of the next batch does not count: its halves weigh unlike. What held for the first batch is no leave.
        engine.step({"n": 1})
        self.grad(engine, variant="permuted")
        with self.assertRaisesRegex(UnsupportedError, "no mean over its samples"):
            self.grad(engine, variant="split")

    def test_variants_of_what_is_no_mean(self) -> None:
        engine, _ = self.load("exponential")
        self.grad(engine, variant="permuted")
        with self.assertRaisesRegex(UnsupportedError, "no mean over its samples"):
            self.grad(engine, variant="split")

    def test_a_loss_of_another_output(self) -> None:
        engine, tensors = self.load(kind="cross_entropy", output="scores")
        got = self.grad(engine)
        target = torch.from_numpy(tensors["train/target"][:BATCH])
        expected = F.cross_entropy(torch.from_numpy(got["outputs/scores"]), target)
        self.assertAlmostEqual(float(got["loss"]), expected.item(), places=12)
        self.assertAlmostEqual(engine.step({"n": 1})["losses"][0], expected.item(), places=6)
        with self.assertRaisesRegex(InputError, 'no output "logits": it may be one of loss, scores'):
            self.load(output="logits")


def onnx_weights(path: Path) -> list[tuple[str, np.ndarray]]:
    return [(tensor.name, onnx.numpy_helper.to_array(tensor).copy()) for tensor in onnx.load(path).graph.initializer]


if __name__ == "__main__":
    unittest.main()
