"""The exporter: right where torch.onnx's default is wrong, and an examination that can fail."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

from tandem_pytorch import export, model_file, selfcheck
from tandem_pytorch.errors import InputError, UnsupportedError

from . import fixtures

ROOT = Path(__file__).resolve().parent.parent


class Convolutional(nn.Module):
    """A convolution with BatchNorm and dropouts of several kinds: what a default export breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3, momentum=0.3)
        self.drop = nn.Dropout2d(0.3)
        self.idle = nn.Dropout(0.0)
        self.fc = nn.Linear(3 * 16, 4)
        self.last = nn.Dropout(0.1, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.idle(self.drop(F.relu(self.bn(self.conv(x)))))
        return self.last(self.fc(hidden.flatten(1)) * 1.0)


class Twins(nn.Module):
    """Two LayerNorms of equal values, and two dropouts of the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(6), nn.LayerNorm(6)
        self.drop1, self.drop2 = nn.Dropout(0.5), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop1(self.first(x)) + self.drop2(self.second(x))


class Attention(nn.Module):
    """Attention with dropout on its weights, a tied embedding, and padding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8, padding_idx=0)
        self.head = nn.Linear(8, 9, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens).unsqueeze(1)
        x = F.scaled_dot_product_attention(x, x, x, dropout_p=0.2 if self.training else 0.0, is_causal=True)
        return self.head(x.squeeze(1))[:, -1]


def default_export(module: nn.Module, value: torch.Tensor, **options: Any) -> onnx.ModelProto:
    """What a user gets from torch.onnx without more thought."""
    with export._quiet(), contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(module.train(), (value,), dynamo=True, verbose=False, **options)
    assert program is not None
    return program.model_proto


def ours(module: nn.Module, value: torch.Tensor, opset: int = 20) -> tuple[onnx.ModelProto, dict[str, Any]]:
    model = export.export(module, {"x": value}, opset)
    return model, json.loads(next(p.value for p in model.metadata_props if p.key == model_file.MANIFEST))


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def run_unoptimized(model: onnx.ModelProto, value: torch.Tensor) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: value.numpy()})[0]
    return result


class Traps(unittest.TestCase):
    """For each trap: the default export has it, ours has not. If a new torch mends one, its test says so."""

    def test_batch_norm(self) -> None:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
        value = torch.randn(5, 1, 4, 4) * 3 + 1
        expected = module.train()(value).detach().numpy()

        theirs = default_export(module, value)
        self.assertNotIn("BatchNormalization", operators(theirs), "the default no longer folds BatchNorm away")
        self.assertGreater(np.abs(run_unoptimized(theirs, value) - expected).max(), 0.1)

        model, manifest = ours(module, value)
        self.assertEqual(operators(model).count("BatchNormalization"), 1)
        self.assertLess(np.abs(run_unoptimized(model, value) - expected).max(), 1e-5)
        self.assertEqual(set(dict(module.named_parameters())) - set(initializers(model)), set())
        entry = manifest["batch_norm"][0]
        self.assertEqual((entry["mean"], entry["var"], entry["momentum"]), ("1.running_mean", "1.running_var", 0.1))
        node = next(n for n in model.graph.node if n.op_type == "BatchNormalization")
        momentum = next(a.f for a in node.attribute if a.name == "momentum")
        self.assertAlmostEqual(momentum, 0.9, places=6)
        self.assertEqual(list(node.output)[1:], [entry["mean_output"], entry["var_output"]])

    def test_equal_parameters_and_equal_dropouts(self) -> None:
        value = torch.randn(4, 6)
        module = Twins()
        theirs = default_export(module, value)
        # first.weight, second.weight and the biases hold equal numbers: 4 parameters, of which two are left
        self.assertLess(len([n for n in initializers(theirs) if n in dict(module.named_parameters())]), 4)

        model, manifest = ours(module, value)
        self.assertEqual(
            {n for n in initializers(model) if "." in n and n in dict(module.named_parameters())},
            set(dict(module.named_parameters())),
        )
        self.assertEqual(operators(model).count("Dropout"), 2)
        self.assertEqual([entry["module"] for entry in manifest["dropout"]], ["drop1", "drop2"])

    def test_dropout_in_attention(self) -> None:
        tokens = torch.randint(0, 9, (4, 5))
        theirs = default_export(Attention(), tokens)
        self.assertNotIn("Dropout", operators(theirs), "the default no longer loses dropout in attention")

        model, manifest = ours(Attention(), tokens)
        self.assertEqual(operators(model).count("Dropout"), 1)
        self.assertEqual(manifest["dropout"][0]["p"], 0.2)
        self.assertEqual(manifest["embedding_padding"], [{"weight": "embed.weight", "row": 0}])
        self.assertEqual(
            manifest["parameters"], [{"name": "embed.weight", "aliases": ["head.weight"], "requires_grad": True}]
        )
        self.assertNotIn("head.weight", initializers(model))

    def test_dropout_of_channels_and_in_place(self) -> None:
        class Layers(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.channels, self.fc, self.place = nn.Dropout2d(0.3), nn.Linear(16, 3), nn.Dropout(0.2, inplace=True)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.place(self.fc(self.channels(x).flatten(1)) * 1.0)

        value = torch.randn(4, 1, 4, 4)
        theirs = operators(default_export(Layers(), value))
        self.assertEqual(theirs.count("RandomUniformLike"), 2, "the default no longer writes chains of random operators")
        model, manifest = ours(Layers(), value)
        self.assertNotIn("RandomUniformLike", operators(model))
        self.assertEqual([entry["module"] for entry in manifest["dropout"]], ["channels", "place"])

    def test_stochastic_depth(self) -> None:
        class Block(nn.Module):
            """A branch that is left out of a sample at random, drawn as torchvision and timm draw it."""

            def __init__(self) -> None:
                super().__init__()
                self.fc = nn.Linear(6, 6)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                y: torch.Tensor = self.fc(x)
                return x + (y * torch.empty(x.shape[0], 1).bernoulli_(0.75).div_(0.75) if self.training else y)

        value = torch.randn(4, 6)
        theirs = operators(default_export(Block(), value))
        self.assertIn("RandomUniformLike", theirs, "the default no longer writes a chain of random operators")
        model, manifest = ours(Block(), value)
        self.assertNotIn("RandomUniformLike", operators(model))
        self.assertEqual([(entry["operator"], entry["p"]) for entry in manifest["dropout"]], [("Bernoulli", 0.25)])

    def test_names_of_parameters(self) -> None:
        module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
        value, names = torch.randn(5, 1, 4, 4), set(dict(module.named_parameters()))
        self.assertNotEqual(names - set(initializers(default_export(module, value))), set(), "the default keeps all names")
        self.assertEqual(names - set(initializers(ours(module, value)[0])), set())

    def test_a_linear_layer_of_sequences(self) -> None:
        module, value = nn.Sequential(nn.Linear(4, 3)), torch.randn(2, 5, 4)
        theirs = initializers(default_export(module, value))
        self.assertNotIn("0.weight", theirs, "the default no longer folds the weight into a transposed constant")
        self.assertIn((4, 3), [tensor.shape for tensor in theirs.values()])
        model, _ = ours(module, value)
        self.assertEqual(initializers(model)["0.weight"].shape, (3, 4))
        self.assertIn("Transpose", operators(model))

    def test_tied_parameters(self) -> None:
        tokens = torch.randint(0, 9, (4, 5))
        theirs = initializers(default_export(Attention(), tokens))
        self.assertNotIn("embed.weight", theirs, "the default now takes a tied parameter's first name, as PyTorch does")
        self.assertIn("embed.weight", initializers(ours(Attention(), tokens)[0]))

    def test_a_loss_inside(self) -> None:
        class Losing(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return F.cross_entropy(x, torch.zeros(x.shape[0], dtype=torch.int64), label_smoothing=0.5)

        value = torch.tensor([4.0, 0.0, 0.0]) + torch.arange(12.0).reshape(4, 3) / 10  # a sure class, whose loss smoothing raises
        right = Losing()(value).numpy()
        theirs = run_unoptimized(default_export(Losing(), value), value)
        self.assertGreater(abs(theirs - right), 0.1, "the default no longer drops label_smoothing")
        self.assertLess(abs(run_unoptimized(ours(Losing(), value)[0], value) - right), 1e-6)


class Result(unittest.TestCase):
    def test_losses_inside(self) -> None:
        class Losing(nn.Module):
            def __init__(self, shape: tuple[int, ...], target: torch.Tensor, **settings: Any) -> None:
                super().__init__()
                self.shape, self.target, self.settings = shape, target, settings

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                target = self.target.expand(x.shape[0], *self.target.shape[1:])
                return F.cross_entropy(x.reshape(x.shape[0], *self.shape), target, **self.settings)

        torch.manual_seed(3)
        classes, ignored = torch.tensor([2]), torch.tensor([[1, -100, 0, 2]])
        weight = torch.tensor([0.5, 2.0, 1.25])
        cases: list[tuple[tuple[int, ...], torch.Tensor, dict[str, Any]]] = [
            ((3,), classes, {}),
            ((3,), classes, {"weight": weight, "label_smoothing": 0.3}),
            ((3,), classes, {"reduction": "sum", "label_smoothing": 0.1}),
            ((3, 4), ignored, {}),
            ((3, 4), ignored, {"weight": weight, "label_smoothing": 0.2}),
            ((3, 4), ignored.clamp(min=1), {"ignore_index": 1, "reduction": "sum"}),
            ((3,), torch.tensor([[0.2, 0.5, 0.3]]), {"weight": weight, "label_smoothing": 0.2}),
        ]
        for shape, target, settings in cases:
            with self.subTest(shape=shape, settings=settings):
                module, value = Losing(shape, target, **settings), torch.randn(4, int(np.prod(shape)))
                got = run_unoptimized(ours(module, value)[0], value)  # the exporter has compared it on other rows too
                np.testing.assert_allclose(got, module(value).numpy(), rtol=1e-5)

    def test_names_of_outputs(self) -> None:
        class Returning(nn.Linear):
            how: Any = None

            def forward(self, x: torch.Tensor) -> Any:
                y = super().forward(x)
                return self.how(y, y.mean())

        for how, names in (
            (lambda y, loss: {"scores": y, "loss": loss}, ["scores", "loss"]),
            (lambda y, loss: (y, loss), ["logits", "output_1"]),
            (collections.namedtuple("Pair", "loss y"), ["loss", "y"]),
            (lambda y, loss: {"x": y, "loss": loss}, ["logits", "output_1"]),  # the input's name
        ):
            module = Returning(3, 2)
            module.how = how
            model, _ = ours(module, torch.randn(4, 3))
            self.assertEqual([output.name for output in model.graph.output], names)

    def test_mixed_dropouts(self) -> None:
        torch.manual_seed(1)
        model, manifest = ours(Convolutional(), torch.randn(6, 1, 4, 4))
        self.assertEqual([entry["operator"] for entry in manifest["dropout"]], ["Bernoulli", "Dropout"])
        self.assertEqual([entry["p"] for entry in manifest["dropout"]], [0.3, 0.1])
        self.assertEqual([entry["module"] for entry in manifest["dropout"]], ["drop", "last"])
        self.assertEqual(manifest["buffers"], ["bn.running_mean", "bn.running_var"])
        self.assertEqual(manifest["batch_norm"][0]["momentum"], 0.3)
        self.assertIn({"value": "conv2d", "module": "conv"}, manifest["activations"])
        seeds = [
            a.i if n.op_type == "Dropout" else a.f for n in model.graph.node for a in n.attribute if a.name == "seed"
        ]
        self.assertEqual(seeds, [0, 1])
        self.assertEqual(model.graph.input[0].type.tensor_type.shape.dim[0].dim_param, "batch")
        self.assertEqual([value.name for value in model.graph.output], ["logits"])
        self.assertEqual(len(manifest["checks"]), 7)

    def test_opsets(self) -> None:
        class Mixed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv, self.norm, self.group = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4)
                self.layer, self.root, self.fc, self.drop = nn.LayerNorm(4), nn.RMSNorm(4), nn.Linear(16, 3), nn.Dropout(0.25)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                y = self.root(self.layer(self.group(self.norm(self.conv(x))).flatten(2)))
                return self.fc(self.drop(F.gelu(F.scaled_dot_product_attention(y, y, y)).flatten(1)))

        for opset, some in ((18, "Erf"), (export.OPSETS[1], "RMSNormalization")):  # each end, with what it is known by
            with self.subTest(opset):
                model, manifest = ours(Mixed(), torch.randn(4, 1, 4, 4), opset)
                self.assertEqual(model.opset_import[0].version, opset)
                self.assertIn(some, operators(model))
                self.assertEqual((len(manifest["dropout"]), len(manifest["batch_norm"])), (1, 1))
        with self.assertRaisesRegex(UnsupportedError, "opset is 26"):
            ours(nn.Linear(3, 2), torch.randn(4, 3), export.OPSETS[1] + 1)
        with self.assertRaisesRegex(UnsupportedError, "opset is 9"):
            ours(nn.Linear(3, 2), torch.randn(4, 3), 9)

    def test_static_batch(self) -> None:
        class Fixed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fc, self.norm, self.drop = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.drop(self.norm(self.fc(x.view(5, 2, 3).flatten(1))))

        value = torch.randn(5, 2, 3)
        with self.assertRaisesRegex(InputError, "model.static = true"):
            ours(Fixed(), value)
        model = export.export(Fixed(), {"x": value}, 20, static=True)
        manifest = json.loads(next(p.value for p in model.metadata_props if p.key == model_file.MANIFEST))
        self.assertEqual([d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim], [5, 2, 3])
        self.assertNotIn("Shape", operators(model))
        self.assertIn("batches of 5 rows alone", manifest["checks"][0])
        self.assertIn("fc", [entry["module"] for entry in manifest["activations"]])
        self.assertEqual([entry["module"] for entry in manifest["dropout"]], ["drop"])
        # The examination notices an open batch where it is asked for a fixed one.
        opened = onnx.ModelProto()
        opened.CopyFrom(model)
        opened.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
        with self.assertRaisesRegex(selfcheck.CheckError, "not for batches of 5 rows alone"):
            selfcheck._valid(selfcheck.Subject(opened, manifest, Fixed(), {"x": value}, [], static=True))

    def test_frozen_parameters_are_recorded(self) -> None:
        module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
        module[0].weight.requires_grad_(False)
        _, manifest = ours(module, torch.randn(4, 3))
        self.assertEqual([entry["requires_grad"] for entry in manifest["parameters"]], [False, True, True, True])


class Tables(nn.Module):
    """Numbers from constants alone: exact ones, those that float32 rounds, and whole ones that come from rounded ones."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(7, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        exact = torch.arange(7.0) * 0.5
        rounded = torch.linspace(-1, 1, 7) * 0.3
        buckets = torch.log(torch.arange(1.0, 8.0) * 1.7).to(torch.int64)
        return self.fc(x)[:, buckets] + exact + rounded


class Folding(unittest.TestCase):
    def test_what_float32_rounds_stays_arithmetic(self) -> None:
        """A folded table would be float32 to a candidate that computes in float64."""
        x = torch.randn(3, 7)
        module = Tables()
        proto = export.export(module, {"x": x}, 20)
        model = onnx.load_from_string(proto.SerializeToString())
        operators = [node.op_type for node in model.graph.node]
        self.assertIn("Sub", operators)  # of linspace, whose step is 1 / 3
        self.assertNotIn("Log", operators)  # PyTorch rounds to a bucket in float32 in every case
        self.assertNotIn("Cast", operators)
        tables = [numpy_helper.to_array(value) for value in model.graph.initializer if not value.name.startswith("fc")]
        self.assertTrue(any(np.array_equal(table, np.arange(7) * 0.5) for table in tables))
        for table in tables:
            if table.dtype == np.float32 and table.size > 1:
                np.testing.assert_array_equal(table, np.round(table * 2) / 2)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_allclose(found, module(x).detach().numpy(), atol=1e-6)


class Refusals(unittest.TestCase):
    def test_what_cannot_be_exported(self) -> None:
        class Unused(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.used, self.unused = nn.Linear(3, 2), nn.Linear(3, 2)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.used(x)

        class Noisy(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x + torch.randn_like(x))

        class Fixed(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x).view(4, 2)

        class Sum(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.sum(0)

        class Two(nn.Module):
            def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
                return x + y

        class Each(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return F.cross_entropy(super().forward(x), torch.zeros(x.shape[0], dtype=torch.int64), reduction="none")

        cases: list[tuple[str, nn.Module, type[Exception], str]] = [
            ("an argument too many", Two(), InputError, r"must be the arguments of forward\(x, y\)"),
            ("a loss of each row inside", Each(3, 2), UnsupportedError, "log_softmax"),
            ("an unused parameter", Unused(), selfcheck.CheckError, "unused.weight is not in the graph"),
            ("other randomness", Noisy(3, 2), UnsupportedError, "random operator"),
            ("a fixed batch", Fixed(3, 2), InputError, "must not fix the batch size"),
            ("rows lost", nn.Sequential(nn.Linear(3, 2), Sum()), InputError, "must be the batch"),
            ("rows that do not fit", nn.Linear(7, 2), InputError, r"x \[4, 3\]"),
            (
                "a cumulative average",
                nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, momentum=None)),
                UnsupportedError,
                "momentum None",
            ),
            ("dropout of everything", nn.Sequential(nn.Linear(3, 2), nn.Dropout(1.0)), UnsupportedError, "p = 1"),
            ("float64", nn.Linear(3, 2).double(), UnsupportedError, "float64"),
        ]
        for name, module, kind, message in cases:
            with self.subTest(name), self.assertRaisesRegex(kind, message):
                ours(module, torch.randn(4, 3))


class Examination(unittest.TestCase):
    """Each check must notice its fault: faults are planted into a right export."""

    @classmethod
    def setUpClass(cls) -> None:
        torch.manual_seed(2)
        cls.module = nn.Sequential(
            nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.4), nn.Linear(4, 3), nn.Dropout(0.1)
        ).train()
        cls.inputs = {"x": torch.randn(8, 5)}
        cls.sites, _ = export._probe(cls.module, cls.inputs)
        cls.model, cls.manifest = ours(cls.module, cls.inputs["x"])

    def examine(self, model: onnx.ModelProto, manifest: dict[str, Any] | None = None) -> list[str]:
        described = json.loads(json.dumps(manifest or self.manifest))
        return selfcheck.run(selfcheck.Subject(model, described, self.module, self.inputs, self.sites))

    def test_right(self) -> None:
        self.assertEqual(self.examine(self.model), self.manifest["checks"])

    def test_planted_faults(self) -> None:
        def find(model: onnx.ModelProto, operator: str) -> onnx.NodeProto:
            return next(node for node in model.graph.node if node.op_type == operator)

        def tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
            return next(t for t in model.graph.initializer if t.name == name)

        def change(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
            tensor(model, name).CopyFrom(numpy_helper.from_array(value, name))

        def one_bit(m: onnx.ModelProto) -> None:
            value = initializers(m)["0.weight"].copy()
            value.view(np.uint32)[0, 0] ^= 1
            change(m, "0.weight", value)

        def rename(m: onnx.ModelProto) -> None:
            tensor(m, "0.weight").name = "weight"
            find(m, "Gemm").input[1] = "weight"

        def inference(m: onnx.ModelProto) -> None:
            change(m, find(m, "Dropout").input[2], np.array(False))

        def ratio(m: onnx.ModelProto) -> None:
            change(m, find(m, "Dropout").input[1], np.array(0.5, dtype=np.float32))

        def swapped(m: onnx.ModelProto) -> None:
            first, second = [n for n in m.graph.node if n.op_type == "Dropout"]
            first.input[1], second.input[1] = second.input[1], first.input[1]

        def number(m: onnx.ModelProto) -> None:
            next(a for a in find(m, "Dropout").attribute if a.name == "seed").i = 5

        def folded_statistics(m: onnx.ModelProto) -> None:
            node = find(m, "BatchNormalization")
            del node.output[1:]
            kept = [a for a in node.attribute if a.name != "training_mode"]
            del node.attribute[:]
            node.attribute.extend(kept)

        def epsilon(m: onnx.ModelProto) -> None:
            next(a for a in find(m, "BatchNormalization").attribute if a.name == "epsilon").f = 0.1

        def alpha(m: onnx.ModelProto) -> None:
            next(a for a in find(m, "Gemm").attribute if a.name == "alpha").f = 1.001

        faults = [
            (one_bit, "not bit-equal"),
            (rename, "0.weight is not in the graph"),
            (inference, "not in training mode"),
            (ratio, "has the ratio 0.5"),
            (swapped, "ratio"),
            (number, "carries the number 5"),
            (folded_statistics, "BatchNorm"),
            (epsilon, "ONNX Runtime and PyTorch differ"),
            (alpha, "ONNX Runtime and PyTorch differ"),
        ]
        for plant, message in faults:
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            plant(model)
            with self.subTest(plant.__name__), self.assertRaisesRegex(selfcheck.CheckError, message):
                self.examine(model)

    def test_a_folded_copy_of_a_parameter(self) -> None:
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        value = numpy_helper.from_array(np.ascontiguousarray(initializers(model)["0.weight"].T), "copy")
        model.graph.initializer.append(value)
        manifest = {**self.manifest, "constants": [*self.manifest["constants"], "copy"]}
        with self.assertRaisesRegex(selfcheck.CheckError, "holds the numbers of parameter 0.weight"):
            self.examine(model, manifest)


class Command(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.data = fixtures.write_data(self.folder / "data.safetensors", fixtures.data())

    def export(self, experiment: dict[str, Any], output: str = "model.onnx") -> dict[str, Any]:
        path = fixtures.write_experiment(self.folder / "experiment.json", experiment)
        with contextlib.redirect_stderr(io.StringIO()):
            return export.run(path, self.data, str(self.folder / output), time.monotonic())

    def command(self, experiment: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
        path = fixtures.write_experiment(self.folder / "experiment.json", experiment)
        done = subprocess.run(
            [sys.executable, "-m", "tandem_pytorch.export", "--experiment", path, "--data", self.data]
            + ["--output", str(self.folder / "model.onnx")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 1, done.stdout + done.stderr)
        return done.returncode, json.loads(lines[0]), done.stderr

    def test_writes_the_same_file_in_every_process(self) -> None:
        status, answer, progress = self.command(fixtures.experiment())
        self.assertEqual(status, 0, progress)
        self.assertEqual(answer["parameters"], 12 * 8 + 8 + 8 * 6 + 6 + 6 * 4 + 4)
        self.assertEqual(answer["sha256"], hashlib.sha256((self.folder / "model.onnx").read_bytes()).hexdigest())
        self.assertEqual(answer, {**self.export(fixtures.experiment()), "model": answer["model"]})
        self.assertIn("checked:", progress)

    def test_no_path_of_the_machine_is_in_the_file(self) -> None:
        self.export(fixtures.experiment())
        content = (self.folder / "model.onnx").read_bytes()
        self.assertIn(b"torch/nn/modules/linear.py", content)
        for path in (str(ROOT), sys.prefix, str(self.folder)):
            self.assertNotIn(path.encode(), content)

    def test_targets_must_fit_the_output(self) -> None:
        args = {**fixtures.EXPERIMENT["model"]["args"], "classes": 3}
        with self.assertRaisesRegex(InputError, "train/target has the class 3, and the model's output logits has 3 classes"):
            self.export(fixtures.experiment(model={"args": args}))
        self.assertFalse((self.folder / "model.onnx").exists())

    def test_bad_input_is_status_2_and_leaves_nothing(self) -> None:
        path = fixtures.write_experiment(
            self.folder / "experiment.json", fixtures.experiment(model={"source": "mnist_mlp:nothing"})
        )
        with contextlib.redirect_stderr(io.StringIO()) as progress:
            answer, status = export.answer(path, self.data, str(self.folder / "model.onnx"))
        self.assertEqual((status, answer["error"]["kind"]), (2, "input"))
        self.assertIn('has no "nothing"', answer["error"]["message"])
        self.assertIn(answer["error"]["message"], progress.getvalue())
        with mock.patch.object(export, "run", side_effect=ZeroDivisionError), contextlib.redirect_stderr(io.StringIO()):
            answer, status = export.answer(path, self.data, str(self.folder / "model.onnx"))
        self.assertEqual((status, answer["error"]["kind"]), (3, "internal"))
        with self.assertRaisesRegex(InputError, "cannot write"):
            self.export(fixtures.experiment(), "no/such/folder/model.onnx")
        with self.assertRaisesRegex(InputError, '"train/pixels"'):
            self.export(fixtures.experiment(data={"input_name": "pixels"}))
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["data.safetensors", "experiment.json"])


if __name__ == "__main__":
    unittest.main()
