"""The engine against plain PyTorch loops written here, command by command."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

from tandem_pytorch import experiment as experiments
from tandem_pytorch import export, philox, protocol, variants
from tandem_pytorch.engine import Engine
from tandem_pytorch.errors import EngineError, InputError, UnsupportedError
from tandem_pytorch.lion import Lion
from tandem_pytorch.optimizers import KINDS

from . import fixtures

ROOT = Path(__file__).resolve().parent.parent

#: The files that every test reads: made once, since tracing a model takes seconds.
FILES: dict[str, str] = {}
_FOLDER = tempfile.TemporaryDirectory()


def setUpModule() -> None:
    folder = Path(_FOLDER.name)
    FILES["data"] = fixtures.write_data(folder / "data.safetensors", fixtures.data())
    FILES["experiment"] = fixtures.write_experiment(folder / "experiment.json", fixtures.experiment())
    FILES["model"] = str(folder / "model.onnx")
    with contextlib.redirect_stderr(io.StringIO()):
        export.run(FILES["experiment"], FILES["data"], FILES["model"], time.monotonic())


def tearDownModule() -> None:
    _FOLDER.cleanup()


def plain_forward(weights: dict[str, torch.Tensor], x: torch.Tensor, masks: list[np.ndarray]) -> torch.Tensor:
    """The model again, from its weights and boolean masks alone."""
    for layer, mask in enumerate(masks, start=1):
        x = torch.relu(x @ weights[f"fc{layer}.weight"].T + weights[f"fc{layer}.bias"])
        x = x * torch.from_numpy(mask).to(x.dtype) / 0.8
    return x @ weights["fc3.weight"].T + weights["fc3.bias"]


def plain_masks(batch: int, step: int) -> list[np.ndarray]:
    """The shared masks of a step; the model keeps 8 and 6 hidden values."""
    return [philox.keep_mask((batch, width), 0.8, 7, step, site) for site, width in enumerate((8, 6))]


def plain_batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A step's inputs and targets, straight from the data file's rules."""
    data = fixtures.data()
    rows = data["order"][data["offsets"][step] : data["offsets"][step + 1]]
    return torch.from_numpy(data["train/input"][rows]), torch.from_numpy(data["train/target"][rows])


class InProcess(unittest.TestCase):
    """Calls the commands directly; no process, no JSON."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.threads = torch.get_num_threads()
        self.addCleanup(torch.set_num_threads, self.threads)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def load(
        self,
        optimizer: dict[str, Any] | None = None,
        loss: str = "mean",
        schedule: dict[str, Any] | None = None,
        train: dict[str, Any] | None = None,
        **params: Any,
    ) -> Engine:
        """Return an engine with the tiny experiment loaded."""
        engine = Engine()
        content = fixtures.experiment(optimizer=optimizer or {}, loss={"reduction": loss}, schedule=schedule or {}, train=train or {})
        path = fixtures.write_experiment(self.folder / "experiment.json", content)
        self.loaded = engine.load(
            {"experiment": path, "model": FILES["model"], "data": FILES["data"], "threads": 2, "random": "shared"}
            | params
        )
        return engine

    def state(self, engine: Engine) -> dict[str, np.ndarray]:
        engine.get_state({"file": self.path("state")})
        return safetensors.numpy.load_file(self.path("state"))

    def weights(self, engine: Engine) -> dict[str, torch.Tensor]:
        state = self.state(engine)
        prefix = "parameters/"
        return {n.removeprefix(prefix): torch.from_numpy(v) for n, v in state.items() if n.startswith(prefix)}

    def grad(self, engine: Engine, dtype: str = "float64", **params: Any) -> dict[str, np.ndarray]:
        answer = engine.grad({"dtype": dtype, "file": self.path("grad")} | params)
        tensors = safetensors.numpy.load_file(self.path("grad"))
        self.assertEqual(answer["loss"], float(tensors["loss"]))
        return tensors

    def assert_same_bits(self, first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
        self.assertTrue(first)
        self.assertEqual(first.keys(), second.keys())
        for name, value in first.items():
            self.assertEqual((value.dtype, value.shape), (second[name].dtype, second[name].shape), name)
            self.assertEqual(value.tobytes(), second[name].tobytes(), name)

    def assert_close(self, value: np.ndarray, reference: np.ndarray, tolerance: float, name: str = "") -> None:
        """Compare by the norm of the difference, relative to the reference's."""
        self.assertEqual(value.shape, reference.shape, name)
        gap = np.linalg.norm(value.astype(np.float64) - reference) / np.linalg.norm(reference)
        self.assertTrue(gap <= tolerance, f"{name}: {gap}")  # fails on NaN


class Loading(InProcess):
    def test_reports_digests_of_model_and_data(self) -> None:
        self.load()
        stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(FILES["model"]).graph.initializer}
        self.assertEqual(
            [entry["name"] for entry in self.loaded["parameters"]],
            ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"],
        )
        for entry in self.loaded["parameters"]:
            value = stored[entry["name"]]
            self.assertEqual(entry["sha256"], hashlib.sha256(value.tobytes()).hexdigest())
            self.assertEqual((entry["shape"], entry["dtype"]), (list(value.shape), "float32"))
        digests = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in fixtures.data().items()}
        self.assertEqual(self.loaded["data"], digests)
        self.assertEqual((self.loaded["threads"], self.loaded["mode"], self.loaded["dropout_sites"]), (2, "eager", 2))

    def test_takes_its_weights_from_the_file(self) -> None:
        model = onnx.load(FILES["model"])
        for tensor in model.graph.initializer:
            if tensor.name == "fc2.bias":
                tensor.CopyFrom(numpy_helper.from_array(np.arange(6, dtype=np.float32), "fc2.bias"))
        onnx.save(model, self.path("changed.onnx"))
        engine = self.load(model=self.path("changed.onnx"))
        self.assertEqual(self.state(engine)["parameters/fc2.bias"].tolist(), list(range(6)))

    def test_works_without_a_manifest(self) -> None:
        model = onnx.load(FILES["model"])
        del model.metadata_props[:]
        onnx.save(model, self.path("bare.onnx"))
        engine = self.load(model=self.path("bare.onnx"))
        self.assert_same_bits(self.state(engine), self.state(self.load()))
        with self.assertRaisesRegex(UnsupportedError, "names no activations"):
            self.grad(engine, activations=True)

    def test_initial_state(self) -> None:
        state = self.state(self.load())
        self.assertEqual(state["step"].dtype, np.int64)
        self.assertEqual((state["step"].shape, int(state["step"])), ((), 0))
        for slot in ("exp_avg", "exp_avg_sq"):
            self.assertFalse(state[f"optimizer/{slot}/fc1.weight"].any())
        self.assertEqual(len(state), 1 + 6 * 3)

    def test_errors(self) -> None:
        def without(name: str) -> dict[str, np.ndarray]:
            return {key: value for key, value in fixtures.data().items() if key != name}

        def model(change: Any) -> str:
            proto = onnx.load(FILES["model"])
            change(proto.graph)
            onnx.save(proto, self.path("broken.onnx"))
            return self.path("broken.onnx")

        def data(tensors: dict[str, np.ndarray]) -> str:
            return fixtures.write_data(self.folder / "broken.safetensors", tensors)

        def weight(graph: onnx.GraphProto) -> onnx.TensorProto:
            return next(tensor for tensor in graph.initializer if tensor.name == "fc1.weight")

        def drop(graph: onnx.GraphProto) -> None:
            graph.initializer.remove(weight(graph))

        def rename(graph: onnx.GraphProto) -> None:
            weight(graph).name = "fc9.weight"

        def reshape(graph: onnx.GraphProto) -> None:
            weight(graph).CopyFrom(numpy_helper.from_array(np.zeros((3, 3), np.float32), "fc1.weight"))

        def dropless(graph: onnx.GraphProto) -> None:
            next(n for n in graph.node if n.op_type == "Dropout").op_type = "Identity"

        (self.folder / "text.onnx").write_text("not a model", encoding="utf-8")
        (self.folder / "text.safetensors").write_text("not tensors", encoding="utf-8")
        order = fixtures.data()["order"].copy()
        order[3] = 99
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("no model", {"model": self.path("none.onnx")}, "no such file"),
            ("not ONNX", {"model": self.path("text.onnx")}, "not a"),
            ("a parameter missing", {"model": lambda: model(drop)}, "no initializer for fc1.weight"),
            ("a parameter renamed", {"model": lambda: model(rename)}, "no initializer for fc1.weight"),
            ("a wrong shape", {"model": lambda: model(reshape)}, r"initializer fc1.weight is float32 \[3, 3\]"),
            ("another number of sites", {"model": lambda: model(dropless)}, "draws 2 masks"),
            ("no data", {"data": self.path("none")}, "no such file"),
            ("not safetensors", {"data": self.path("text.safetensors")}, "not a readable safetensors"),
            ("no targets", {"data": lambda: data(without("train/target"))}, "train/target"),
            ("no order", {"data": lambda: data(without("order"))}, '"order"'),
            ("samples beyond the end", {"data": lambda: data(fixtures.data() | {"order": order})}, "to 99"),
            (
                "offsets that fall",
                {"data": lambda: data(fixtures.data() | {"offsets": np.array([0, 9, 3])})},
                "offsets",
            ),
            (
                "float targets",
                {"data": lambda: data(fixtures.data() | {"test/target": np.zeros(15, np.float32)})},
                "int64",
            ),
            ("no threads", {"threads": 0}, "threads"),
            ("another mode", {"mode": "fast"}, "eager, foreach, fused, compile"),
            ("another randomness", {"random": "none"}, "shared, own"),
            ("a mutant", {"mutant": "x"}, "no mutants"),
            ("compiled with shared masks", {"mode": "compile"}, "cannot draw shared"),
            ("no experiment", {"experiment": self.path("none.json")}, "cannot read experiment"),
        ]
        for name, params, message in cases:
            ready = {key: value() if callable(value) else value for key, value in params.items()}
            with self.subTest(name), self.assertRaisesRegex(EngineError, message) as caught:
                self.load(**ready)
            with self.subTest(name):
                self.assertIn(caught.exception.kind, ("input", "unsupported"))
        with self.assertRaisesRegex(InputError, "send load first"):
            Engine().step({"n": 1})

    def test_experiment_errors(self) -> None:
        whole = fixtures.experiment()
        cases: list[tuple[str, Any, str]] = [
            ("not JSON", "{", "is not JSON"),
            ("no seed", {k: v for k, v in whole.items() if k != "seed"}, 'field "seed" is missing'),
            ("a text for a number", fixtures.experiment(optimizer={"learning_rate": "0.1"}), "learning_rate"),
            ("another optimizer", fixtures.experiment(optimizer={"kind": "adadelta"}), "sgd, adam, adamw"),
            ("a pattern of nothing", fixtures.experiment(optimizer={"no_decay": ["*.bias", "norm*"]}), 'pattern "norm'),
            ("a pattern that is none", fixtures.experiment(optimizer={"no_decay": [3]}), "not a list of texts"),
            ("a negative norm", fixtures.experiment(optimizer={"clip_norm": -1}), "must not be negative"),
            ("another schedule", fixtures.experiment(schedule={"kind": "stairs"}), "constant, linear, cosine, step"),
            ("no milestones", fixtures.experiment(schedule={"kind": "step", "gamma": 0.1}), "milestones"),
            (
                "milestones that do not rise",
                fixtures.experiment(schedule={"kind": "step", "gamma": 0.1, "milestones": [3, 3]}),
                "rising steps",
            ),
            ("a warm-up alone", fixtures.experiment(schedule={"kind": "cosine", "warm_up": 3, "total": 3}), "no step after"),
            ("another loss", fixtures.experiment(loss={"kind": "hinge"}), "cross_entropy"),
            ("one beta", fixtures.experiment(optimizer={"betas": [0.9]}), "betas"),
            ("a negative rate", fixtures.experiment(optimizer={"learning_rate": -1}), "torch refuses"),
        ]
        for name, content, message in cases:
            text = content if isinstance(content, str) else json.dumps(content)
            (self.folder / "bad.json").write_text(text, encoding="utf-8")
            with self.subTest(name), self.assertRaisesRegex(EngineError, message):
                self.load(experiment=self.path("bad.json"))


class Gradient(InProcess):
    def test_equals_autograd_of_a_plain_loop(self) -> None:
        for reduction in ("mean", "sum"):
            engine = self.load(loss=reduction)
            engine.step({"n": 2})  # step 2 has the short batch
            got = self.grad(engine)
            weights = {n: v.double().requires_grad_() for n, v in self.weights(engine).items()}
            x, target = plain_batch(2)
            self.assertEqual(len(target), 13)
            logits = plain_forward(weights, x.double(), plain_masks(13, 2))
            loss = F.cross_entropy(logits, target, reduction=reduction)
            loss.backward()
            self.assert_close(got["loss"], loss.detach().numpy(), 1e-12, "loss")
            self.assert_close(got["outputs/logits"], logits.detach().numpy(), 1e-12, "logits")
            for name, value in weights.items():
                self.assert_close(got[f"gradients/{name}"], value.grad.numpy(), 1e-12, name)  # type: ignore[union-attr]
            self.assertEqual(len(got), 2 + 6)

    def test_changes_nothing(self) -> None:
        engine, other = self.load(), self.load()
        before = self.state(engine)
        for dtype in ("float32", "float64"):
            self.assert_same_bits(self.grad(engine, dtype), self.grad(engine, dtype))
        self.grad(engine, "float32", variant="permuted", activations=True)
        self.assert_same_bits(self.state(engine), before)
        self.assertEqual(engine.step({"n": 3})["losses"], other.step({"n": 3})["losses"])

    def test_is_the_gradient_that_step_uses(self) -> None:
        engine = self.load({"kind": "sgd", "learning_rate": 1.0})
        before, gradient = self.weights(engine), self.grad(engine, "float32")
        loss = engine.step({"n": 1})["losses"][0]
        self.assertEqual(loss, float(gradient["loss"]))
        for name, after in self.weights(engine).items():
            self.assertTrue(np.array_equal(after.numpy(), before[name].numpy() - gradient[f"gradients/{name}"]), name)

    def test_float32_is_near_float64(self) -> None:
        engine = self.load()
        exact, rounded = self.grad(engine), self.grad(engine, "float32")
        self.assertEqual(exact.keys(), rounded.keys())
        for name, value in exact.items():
            self.assertEqual((value.dtype, rounded[name].dtype), (np.float64, np.float32))
            self.assert_close(rounded[name], value, 1e-5, name)
            self.assertFalse(np.array_equal(rounded[name].astype(np.float64), value), name)

    def test_variants_are_right_and_differ(self) -> None:
        engine = self.load()
        exact, plain = self.grad(engine, activations=True), self.grad(engine, "float32", activations=True)
        distinct = {plain["gradients/fc1.weight"].tobytes()}
        admitted = [name for name in variants.names() if name != "channels_last"]
        self.assertGreaterEqual(len(admitted), 5)
        for name in admitted:
            got = self.grad(engine, "float32", variant=name, activations=True)
            self.assertEqual(got.keys(), exact.keys())
            for tensor, value in exact.items():
                self.assert_close(got[tensor], value, 1e-5, f"{name} {tensor}")
            distinct.add(got["gradients/fc1.weight"].tobytes())
        self.assertGreaterEqual(len(distinct), 4, "the variants hardly differ: they would measure no noise")
        self.assertEqual(torch.get_num_threads(), 2)

    def test_variants_that_do_not_apply_are_refused(self) -> None:
        engine = self.load()
        with self.assertRaisesRegex(UnsupportedError, "4-D"):
            self.grad(engine, "float32", variant="channels_last")
        with self.assertRaisesRegex(UnsupportedError, "is none of"):
            self.grad(engine, "float32", variant="upside down")
        with self.assertRaisesRegex(UnsupportedError, "float32, float64"):
            self.grad(engine, "float16")

    def test_activations_by_their_names_in_the_graph(self) -> None:
        engine = self.load()
        got = self.grad(engine, activations=True)
        weights = {n: v.double() for n, v in self.weights(engine).items()}
        x, _ = plain_batch(0)
        masks = plain_masks(16, 0)
        linear = x.double() @ weights["fc1.weight"].T + weights["fc1.bias"]
        dropped = torch.relu(linear) * torch.from_numpy(masks[0]) / 0.8
        self.assert_close(got["activations/linear"], linear.numpy(), 1e-12)
        self.assert_close(got["activations/relu"], torch.relu(linear).numpy(), 1e-12)
        self.assert_close(got["activations/getitem"], dropped.numpy(), 1e-12)
        values = {output for node in onnx.load(FILES["model"]).graph.node for output in node.output}
        named = {name.removeprefix("activations/") for name in got if name.startswith("activations/")}
        self.assertEqual(len(named), 7)
        self.assertEqual(named - values, set())


class Update(InProcess):
    def test_equals_torch_optim(self) -> None:
        for name, settings in fixtures.OPTIMIZERS.items():
            for mode in ("eager", "foreach", "fused"):
                if mode != "fused" or "fused" in KINDS[settings["kind"]].implementations:
                    with self.subTest(name, mode=mode):
                        self.compare(settings, mode)

    def test_an_implementation_that_torch_lacks_is_refused(self) -> None:
        for kind in ("rmsprop", "nadam", "lion"):
            with self.subTest(kind), self.assertRaisesRegex(UnsupportedError, f'"{kind}" has no implementation "fused"'):
                self.load({"kind": kind}, mode="fused")

    def compare(self, settings: dict[str, Any], mode: str) -> None:
        """Three updates with given gradients through states, against one torch optimizer that lives on."""
        engine = self.load(settings, mode=mode)
        all_settings = fixtures.experiment(optimizer=settings)["optimizer"]
        own = {n: nn.Parameter(v.clone()) for n, v in self.weights(engine).items()}
        common = {"lr": all_settings["learning_rate"], "weight_decay": all_settings["weight_decay"]}
        implementation: dict[str, Any] = {} if mode == "eager" else {mode: True}
        optimizer: torch.optim.Optimizer
        # The fixtures' patterns fit biases and fc3, or everything.
        plain = {"[]": (), "['*.bias', 'fc3*']": ("bias", "fc3"), "['*']": ("fc",)}[str(all_settings["no_decay"])]
        bare = [any(part in n for part in plain) for n in own]
        groups = [
            {"params": [v for v, b in zip(own.values(), bare, strict=True) if not b]},
            {"params": [v for v, b in zip(own.values(), bare, strict=True) if b], "weight_decay": 0.0},
        ]
        kind = {
            "sgd": torch.optim.SGD,
            "adam": torch.optim.Adam,
            "adamw": torch.optim.AdamW,
            "rmsprop": torch.optim.RMSprop,
            "adagrad": torch.optim.Adagrad,
            "nadam": torch.optim.NAdam,
            "lion": Lion,
        }[all_settings["kind"]]
        extra = {key: all_settings[key] for key in experiments.OPTIMIZERS[all_settings["kind"]]}
        optimizer = kind(groups, **common, **extra, **implementation)
        random = np.random.default_rng(1)
        for step in range(3):
            gradients = {n: random.standard_normal(v.shape).astype(np.float32) for n, v in own.items()}
            safetensors.numpy.save_file({f"gradients/{n}": g for n, g in gradients.items()}, self.path("g"))
            before = self.state(engine)
            answer = engine.update({"gradients": self.path("g"), "dtype": "float32", "file": self.path("next")})
            self.assertEqual(answer, {"step": step + 1})
            self.assert_same_bits(self.state(engine), before)
            exact = self.exact_update(engine)
            for n, value in own.items():
                value.grad = torch.from_numpy(gradients[n])
            if all_settings["clip_norm"]:
                norm = nn.utils.clip_grad_norm_(own.values(), all_settings["clip_norm"], foreach=mode == "fused")
                self.assertGreater(norm, all_settings["clip_norm"])
            optimizer.step()
            after = safetensors.numpy.load_file(self.path("next"))
            for n, value in own.items():
                self.assertTrue(np.array_equal(after[f"parameters/{n}"], value.detach().numpy()), n)
                self.assert_close(after[f"parameters/{n}"], exact[f"parameters/{n}"], 1e-6, n)
                for slot in ("exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg", "sum"):
                    known = optimizer.state[value].get(slot)
                    self.assertEqual(known is not None, f"optimizer/{slot}/{n}" in after)
                    if known is not None:
                        self.assertTrue(np.array_equal(after[f"optimizer/{slot}/{n}"], known.numpy()), slot)
            engine.set_state({"file": self.path("next")})

    def exact_update(self, engine: Engine) -> dict[str, np.ndarray]:
        engine.update({"gradients": self.path("g"), "dtype": "float64", "file": self.path("exact")})
        tensors = safetensors.numpy.load_file(self.path("exact"))
        self.assertEqual({v.dtype for n, v in tensors.items() if n != "step"}, {np.dtype(np.float64)})
        return tensors

    def test_of_the_engines_own_gradient_is_the_step(self) -> None:
        for name, settings in fixtures.OPTIMIZERS.items():
            with self.subTest(name):
                engine = self.load(settings)
                engine.step({"n": 2})
                engine.grad({"dtype": "float32", "file": self.path("g")})
                engine.update({"gradients": self.path("g"), "dtype": "float32", "file": self.path("next")})
                engine.step({"n": 1})
                self.assert_same_bits(safetensors.numpy.load_file(self.path("next")), self.state(engine))

    def test_uses_the_rate_of_its_step(self) -> None:
        """Under plain SGD a parameter moves by the rate times the gradient."""
        schedule = {"kind": "cosine", "warm_up": 2, "total": 6, "minimum": 0.125}
        engine = self.load({"kind": "sgd", "learning_rate": 1.0}, schedule=schedule)
        for expected in (1 / 3, 2 / 3, 1.0, 0.125 + 0.875 * (1 + math.cos(math.pi / 4)) / 2):
            before = self.weights(engine)
            gradient = self.grad(engine, "float32")
            engine.update({"gradients": self.path("grad"), "dtype": "float64", "file": self.path("next")})
            after = safetensors.numpy.load_file(self.path("next"))
            engine.step({"n": 1})
            trained = self.weights(engine)
            for name, value in before.items():
                moved = value.double().numpy() - expected * gradient[f"gradients/{name}"].astype(np.float64)
                self.assert_close(after[f"parameters/{name}"], moved, 1e-15, name)
                self.assert_close(trained[name].numpy(), moved, 1e-6, name)

    def test_wrong_gradients(self) -> None:
        engine = self.load()
        gradient = self.grad(engine, "float32")
        for change, message in (
            ({"gradients/fc9.weight": np.zeros(2, np.float32)}, "fc9.weight"),
            ({"gradients/fc1.bias": np.zeros(2, np.float32)}, r"gradients/fc1.bias has shape \[2\]"),
        ):
            safetensors.numpy.save_file({**gradient, **change}, self.path("bad"))
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                engine.update({"gradients": self.path("bad"), "dtype": "float32", "file": self.path("next")})
        self.assertFalse((self.folder / "next").exists())


class Step(InProcess):
    def test_equals_a_plain_loop(self) -> None:
        engine = self.load()
        weights = {n: v.requires_grad_() for n, v in self.weights(engine).items()}
        optimizer = torch.optim.Adam(weights.values(), lr=0.01)
        losses = []
        for step in range(fixtures.STEPS + 2):  # beyond the last batch the first returns, with masks of its own step
            x, target = plain_batch(step % fixtures.STEPS)
            loss = F.cross_entropy(plain_forward(weights, x, plain_masks(len(target), step)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        answer = engine.step({"n": fixtures.STEPS + 2})
        self.assertEqual(answer["step"], fixtures.STEPS + 2)
        np.testing.assert_allclose(answer["losses"], losses, rtol=1e-4)
        self.assertEqual(len(answer["seconds"]), fixtures.STEPS + 2)
        self.assertTrue(all(seconds > 0 for seconds in answer["seconds"]))

    def test_adds_up_gradients_of_several_batches(self) -> None:
        train = {"batch": 5, "accumulate": 4}
        for reduction in ("mean", "sum"):
            engine = self.load({"clip_norm": 0.05}, loss=reduction, train=train)
            weights = {n: v.requires_grad_() for n, v in self.weights(engine).items()}
            optimizer = torch.optim.Adam(weights.values(), lr=0.01)
            for step in range(fixtures.STEPS):
                x, target = plain_batch(step)
                optimizer.zero_grad()
                starts = range(0, len(target), 5)
                total = 0.0
                for part, at in enumerate(starts):
                    rows = target[at : at + 5]
                    masks = [
                        philox.keep_mask((len(rows), mask.shape[1]), 0.8, 7, step, 2 * part + site)
                        for site, mask in enumerate(plain_masks(len(target), step))
                    ]
                    loss = F.cross_entropy(plain_forward(weights, x[at : at + 5], masks), rows, reduction=reduction)
                    if reduction == "mean":
                        loss = loss / len(starts)
                    loss.backward()
                    total += loss.item()
                gradient = self.grad(engine, "float32")
                for name, value in weights.items():
                    self.assert_close(gradient[f"gradients/{name}"], value.grad.double().numpy(), 1e-3, name)  # type: ignore[union-attr]
                nn.utils.clip_grad_norm_(weights.values(), 0.05)
                optimizer.step()
                self.assertEqual(len(gradient["outputs/logits"]), len(target))
                self.assertAlmostEqual(engine.step({"n": 1})["losses"][0], total, delta=1e-4 * abs(total))

    def test_is_deterministic(self) -> None:
        for params in ({}, {"mode": "fused"}, {"random": "own"}):
            with self.subTest(params=params):
                results = []
                for _ in range(2):
                    engine = self.load(**params)
                    results.append((engine.step({"n": 5})["losses"], self.state(engine)))
                self.assertEqual(results[0][0], results[1][0])
                self.assert_same_bits(results[0][1], results[1][1])

    def test_deterministic_algorithms_are_asked_for(self) -> None:
        self.addCleanup(torch.use_deterministic_algorithms, False)
        for wanted in (True, False):
            with self.subTest(wanted=wanted):
                engine = self.load(train={"deterministic": wanted})
                self.assertEqual(torch.are_deterministic_algorithms_enabled(), wanted)
                engine.step({"n": 2})

    def test_continues_from_a_state_bit_by_bit(self) -> None:
        for name, settings in fixtures.OPTIMIZERS.items():
            for mode in ("eager", "fused" if "fused" in KINDS[settings["kind"]].implementations else "foreach"):
                with self.subTest(name, mode=mode):
                    whole = self.load(settings, mode=mode)
                    losses = whole.step({"n": 6})["losses"]
                    first = self.load(settings, mode=mode)
                    first.get_state({"file": self.path("start")})
                    first.step({"n": 3})
                    first.get_state({"file": self.path("middle")})
                    second = self.load(settings, mode=mode)
                    second.step({"n": 5})
                    self.assertEqual(second.set_state({"file": self.path("middle")}), {"step": 3})
                    self.assertEqual(second.step({"n": 3})["losses"], losses[3:])
                    self.assert_same_bits(self.state(second), self.state(whole))
                    second.set_state({"file": self.path("start")})
                    self.assertEqual(second.step({"n": 6})["losses"], losses)

    def test_states_that_do_not_fit(self) -> None:
        engine = self.load()
        before = self.state(engine)
        without = {name: value for name, value in before.items() if name != "optimizer/exp_avg/fc2.bias"}
        cases: list[tuple[dict[str, np.ndarray], str]] = [
            (without, "lacks optimizer/exp_avg/fc2.bias"),
            ({**before, "parameters/fc7.bias": np.zeros(1, np.float32)}, "no parameters/fc7.bias"),
            ({**before, "parameters/fc1.bias": np.zeros(9, np.float32)}, r"parameters/fc1.bias has shape \[9\]"),
            ({**before, "parameters/fc1.bias": np.zeros(8)}, "parameters/fc1.bias is float64"),
            ({name: value for name, value in before.items() if name != "step"}, '"step"'),
            ({**before, "step": np.array(-1)}, "not negative"),
        ]
        for tensors, message in cases:
            safetensors.numpy.save_file(tensors, self.path("bad"))
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                engine.set_state({"file": self.path("bad")})
        self.assert_same_bits(self.state(engine), before)


class Forward(InProcess):
    def test_eval_mode(self) -> None:
        engine = self.load()
        for split, rows in (("train", fixtures.SAMPLES), ("test", fixtures.TESTS)):
            answer = engine.forward({"split": split, "mode": "eval", "dtype": "float64", "file": self.path("out")})
            self.assertEqual(answer, {"rows": rows})
            got = safetensors.numpy.load_file(self.path("out"))
            weights = {n: v.double() for n, v in self.weights(engine).items()}
            x = torch.from_numpy(fixtures.data()[f"{split}/input"]).double()
            nothing_dropped = [np.full((rows, width), 0.8) for width in (8, 6)]
            self.assertEqual(list(got), ["outputs/logits"])
            self.assert_close(got["outputs/logits"], plain_forward(weights, x, nothing_dropped).numpy(), 1e-12)
        self.assertTrue(engine._present.module.training)

    def test_errors(self) -> None:
        engine = self.load()
        for params, message in (({"split": "rest"}, "train, test"), ({"mode": "train"}, "eval")):
            whole = {"split": "test", "mode": "eval", "dtype": "float32", "file": self.path("out")} | params
            with self.subTest(message), self.assertRaisesRegex(EngineError, message):
                engine.forward(whole)


class BatchNorm(InProcess):
    """A model whose forward pass changes buffers and whose samples depend on each other."""

    def setUp(self) -> None:
        super().setUp()
        source = self.folder / "normed.py"
        source.write_text(
            "from torch import nn\n"
            "def build(): return nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4))\n",
            encoding="utf-8",
        )
        path = fixtures.write_experiment(
            self.folder / "normed.json", fixtures.experiment(model={"source": f"{source}:build", "args": {}})
        )
        with contextlib.redirect_stderr(io.StringIO()):
            export.run(path, FILES["data"], self.path("normed.onnx"), time.monotonic())
        self.engine = self.load(experiment=path, model=self.path("normed.onnx"))

    def test_statistics_are_state(self) -> None:
        self.assertEqual([entry["name"] for entry in self.loaded["buffers"]], ["1.running_mean", "1.running_var"])
        before = self.state(self.engine)
        for dtype in ("float32", "float64"):
            self.grad(self.engine, dtype)
        self.engine.forward({"split": "test", "mode": "eval", "dtype": "float32", "file": self.path("out")})
        self.assert_same_bits(self.state(self.engine), before)
        losses = self.engine.step({"n": 3})["losses"]
        self.assertFalse(
            np.array_equal(self.state(self.engine)["buffers/1.running_var"], before["buffers/1.running_var"])
        )
        safetensors.numpy.save_file(before, self.path("before"))
        self.engine.set_state({"file": self.path("before")})
        self.assertEqual(self.engine.step({"n": 3})["losses"], losses)
        # halves of a batch have other statistics: not the same computation
        with self.assertRaisesRegex(UnsupportedError, "samples depend on each other"):
            self.grad(self.engine, "float32", variant="split")
        self.grad(self.engine, "float32", variant="permuted")

    def test_gradients_come_with_the_new_statistics(self) -> None:
        single, double = self.grad(self.engine, "float32"), self.grad(self.engine, "float64")
        self.engine.step({"n": 1})
        after = self.state(self.engine)
        for name in ("buffers/1.running_mean", "buffers/1.running_var"):
            self.assertTrue(np.array_equal(single[name], after[name]), name)
            self.assertEqual(double[name].dtype, np.float64)
            self.assert_close(double[name], after[name].astype(np.float64), 1e-6)


class Process(unittest.TestCase):
    """The lines themselves, with the engine as a process."""

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tandem_pytorch.engine"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_conversation(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        noisy = Path(folder.name) / "noisy.py"
        noisy.write_text(
            "import os\nfrom tandem_pytorch.models.mnist_mlp import build as mlp\n"
            "def build(**args):\n    print('hello from the model')\n    os.write(1, b'below Python\\n')\n"
            "    return mlp(**args)\n",
            encoding="utf-8",
        )
        experiment = fixtures.write_experiment(
            Path(folder.name) / "experiment.json", fixtures.experiment(model={"source": f"{noisy}:build"})
        )
        load = {
            "experiment": experiment,
            "model": FILES["model"],
            "data": FILES["data"],
            "threads": 1,
            "random": "shared",
        }
        lines = [
            {"id": 1, "command": "hello"},
            {"id": 2, "command": "step", "params": {"n": 1}},
            {"id": 3, "command": "load", "params": load},
            {"id": 4, "command": "step", "params": {"n": 2}},
            {"id": 5, "command": "dance"},
            {"id": 6, "command": "step", "params": {"n": "two"}},
            {"id": 7, "command": "memory"},
        ]
        process = self.start()
        text = "\n".join(["{broken", *map(json.dumps, lines)]) + "\n"
        out, err = process.communicate(text)  # closes the input: the engine must end by itself
        self.assertEqual(process.returncode, 0, err)
        answers = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([answer["id"] for answer in answers], [0, 1, 2, 3, 4, 5, 6, 7])
        kinds = {answer["id"]: answer["error"]["kind"] for answer in answers if "error" in answer}
        self.assertEqual(kinds, {0: "input", 2: "input", 5: "unsupported", 6: "input"})
        hello, memory = answers[1]["result"], answers[7]["result"]
        self.assertEqual((hello["protocol"], hello["name"], hello["pid"]), (1, "pytorch", process.pid))
        self.assertEqual(hello["versions"]["torch"], torch.__version__)
        self.assertEqual(len(answers[4]["result"]["losses"]), 2)
        self.assertTrue(0 < memory["baseline_bytes"] <= memory["peak_bytes"])
        self.assertTrue(0 < memory["current_bytes"] <= memory["peak_bytes"])
        self.assertTrue(0 <= memory["baseline_program_bytes"] < memory["baseline_bytes"])
        self.assertTrue(0 <= memory["program_bytes"] < memory["current_bytes"])
        self.assertIn("hello from the model", err)
        self.assertIn("below Python", err)


class Lines(unittest.TestCase):
    def test_floats_that_json_lacks(self) -> None:
        cases = {math.nan: "NaN", math.inf: "Infinity", -math.inf: "-Infinity", 0.1: 0.1}
        for value, expected in cases.items():
            with self.subTest(value=value):
                self.assertEqual(protocol.number(value), expected)

    def test_quit_ends_before_the_input_does(self) -> None:
        answers = io.BytesIO()
        protocol.serve({}, io.BytesIO(b'{"id":8,"command":"quit"}\n{"id":9,"command":"quit"}\n'), answers)
        self.assertEqual(answers.getvalue(), b'{"id":8,"result":{}}\n')

    def test_an_engines_own_fault_is_internal_and_the_next_request_is_answered(self) -> None:
        def fail(params: dict[str, Any]) -> dict[str, Any]:
            raise ZeroDivisionError("of course")

        answers = io.BytesIO()
        requests = io.BytesIO(
            b'{"id":1,"command":"fail"}\n\n{"id":2,"command":"well"}\n[]\n{"id":3,"command":"well","params":[]}\n'
        )
        protocol.serve({"fail": fail, "well": lambda params: {"x": math.nan} if params else {}}, requests, answers)
        got = [json.loads(line) for line in answers.getvalue().splitlines()]
        self.assertEqual(got[0]["error"]["kind"], "internal")
        self.assertIn("ZeroDivisionError: of course", got[0]["error"]["message"])
        self.assertIn("Traceback", got[0]["error"]["detail"])
        self.assertEqual(got[1], {"id": 2, "result": {}})
        self.assertEqual([answer["error"]["kind"] for answer in got[2:]], ["input", "input"])


if __name__ == "__main__":
    unittest.main()
