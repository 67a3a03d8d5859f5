"""The importer's module: the same training as the module that a file was exported from, and clear refusals."""

from __future__ import annotations

import tempfile
import unittest
import unittest.mock
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import nn

from tandem_pytorch import export, gradients, masks, model_file, onnx_import, onnx_module
from tandem_pytorch.data import Batch
from tandem_pytorch.errors import EngineError, InputError, UnsupportedError

from .test_export import Attention, Convolutional, Twins


def read(proto: onnx.ModelProto) -> model_file.ModelFile:
    """Write a model and read it as an engine does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(proto, path)
        return model_file.read(path, with_graph=True)


class RoundTrip(unittest.TestCase):
    """A module, exported by tandem and imported again, has the same loss, gradients and running statistics in float64."""

    def test_models(self) -> None:
        cases: dict[str, tuple[nn.Module, torch.Tensor]] = {
            "convolutions, BatchNorm, dropout of channels": (Convolutional(), torch.randn(5, 1, 4, 4)),
            "LayerNorms of equal values, two dropouts": (Twins(), torch.randn(4, 6)),
            "attention with dropout, a tied embedding with padding": (Attention(), torch.randint(0, 9, (4, 5))),
        }
        for name, (module, inputs) in cases.items():
            with self.subTest(name):
                torch.manual_seed(0)
                file = read(export.export(module, {"input": inputs}, 20))
                imported = onnx_module.build(file)
                found = []
                for model in (module.train(), imported):
                    source = masks.MaskSource(3)
                    source.prepare(7, [])
                    found.append(
                        gradients.evaluate(
                            gradients.Model(model, file.outputs, lambda out, _: out.square().mean(), {}),
                            Batch((inputs,), torch.zeros(len(inputs))),
                            source,
                            torch.float64,
                        )
                    )
                own, other = found
                torch.testing.assert_close(other.loss, own.loss, rtol=1e-12, atol=0)
                self.assertEqual(own.gradients.keys(), other.gradients.keys())
                for key, value in own.gradients.items():
                    torch.testing.assert_close(other.gradients[key], value, rtol=1e-9, atol=1e-12)
                for key in file.manifest["buffers"]:
                    torch.testing.assert_close(other.buffers[key], own.buffers[key], rtol=1e-12, atol=0)

    def test_the_examination_can_fail(self) -> None:
        proto = export.export(Convolutional(), {"input": torch.randn(5, 1, 4, 4)}, 20)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.onnx")
            onnx.save(proto, path)
            inputs = {"input": torch.randn(5, 1, 4, 4)}
            onnx_import.examined(path, inputs)
            with self.assertRaisesRegex(InputError, "has the inputs input"):
                onnx_import.examined(path, {"image": inputs["input"]})
            wrong = lambda node: lambda x: torch.relu(x) * 1.001  # noqa: E731
            with unittest.mock.patch.dict(onnx_module.TABLE, {"Relu": wrong}), self.assertRaisesRegex(EngineError, "differ"):
                onnx_import.examined(path, inputs)


class Refusals(unittest.TestCase):
    """What cannot be imported is named before training."""

    def test_operator(self) -> None:
        proto = export.export(nn.Sequential(nn.Linear(2, 2)), {"x": torch.randn(3, 2)}, 20)
        proto.graph.node[0].op_type = "Det"
        with self.assertRaisesRegex(UnsupportedError, "operator Det, node"):
            onnx_module.build(read(proto))

    def test_no_manifest(self) -> None:
        proto = export.export(nn.Sequential(nn.Linear(2, 2)), {"x": torch.randn(3, 2)}, 20)
        helper.set_model_props(proto, {"other": "entry"})
        with self.assertRaisesRegex(InputError, "nothing to train"):
            onnx_module.build(read(proto))
