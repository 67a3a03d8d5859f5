"""The importer's operators against ONNX's official node tests, those of the archive that the native engine is tested with."""

from __future__ import annotations

import io
import json
import unittest
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
import torch
from onnx import numpy_helper

from tandem_pytorch.errors import UnsupportedError
from tandem_pytorch.model_file import ModelFile
from tandem_pytorch.onnx_module import OLDEST, OnnxModule, constant
from tandem_pytorch.onnx_operators import TABLE

ARCHIVE = Path(__file__).resolve().parents[2] / "native" / "op" / "testdata" / "nodetests.zip"

#: Tests of operators in the table that cannot agree, by how their names begin (with a full stop at the end), each with the reason.
EXCLUDED = {
    "test_training_dropout": "the mask is drawn by NumPy's generator",
    "test_bernoulli": "NumPy's generator draws",
    "test_gridsample_bicubic.": "its values were typed with four digits",
    "test_averagepool_2d_ceil_last_window_starts_on_pad": "its values were typed with four digits",
}

#: How many node tests agree, at least; a test that is refused is none of them.
AGREEING = 500

#: Every operator of the native engine.
NATIVE = ARCHIVE.parent / "operators.txt"


def imported(model: onnx.ModelProto, constants: set[str] | None = None) -> OnnxModule:
    """Return a module of a graph whose initializers are constants, but for running statistics."""
    initializers = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    manifest: dict[str, Any] = {
        "parameters": [],
        "buffers": [],
        "constants": list(initializers),
        "batch_norm": [],
        "dropout": [],
        "embedding_padding": [],
    }
    inputs = [value.name for value in model.graph.input if value.name not in initializers]
    outputs = [value.name for value in model.graph.output]
    return OnnxModule(ModelFile("test.onnx", initializers, inputs, outputs, dropout_sites=0, manifest=manifest, proto=model))


class Operators(unittest.TestCase):
    """What the native engine trains, PyTorch computes too, or there would be nothing to compare it with."""

    def test_the_same_as_the_native_engine(self) -> None:
        native = set(NATIVE.read_text().split())
        self.assertEqual([], sorted(native - TABLE.keys()), "operators of the native engine that TABLE lacks")
        self.assertEqual([], sorted(TABLE.keys() - native), "operators of TABLE that the native engine lacks")


class NodeTests(unittest.TestCase):
    """Each official test of an operator in the table agrees, or is refused by name."""

    def test_all(self) -> None:
        agreeing, refused, covered = 0, {}, set()
        with zipfile.ZipFile(ARCHIVE) as archive:
            names = sorted(name[: -len(".onnx")] for name in archive.namelist() if name.endswith(".onnx"))
            for name in names:
                model = onnx.load(io.BytesIO(archive.read(name + ".onnx")))
                operators = {node.op_type for node in model.graph.node} - {"Constant"}
                if not operators <= TABLE.keys() or any(f"{name}.".startswith(prefix) for prefix in EXCLUDED):
                    continue
                if not _of_today(model):
                    continue
                data = safetensors.numpy.load(archive.read(name + ".safetensors"))
                with self.subTest(name):
                    try:
                        self._run(model, data)
                    except UnsupportedError as error:
                        refused[name] = str(error)
                        continue
                    agreeing += 1
                    covered |= operators
        self.assertGreaterEqual(agreeing, AGREEING, json.dumps(refused, indent=1))
        self.assertEqual(set(), TABLE.keys() - covered - {"Bernoulli"}, "operators without a test")

    def _run(self, model: onnx.ModelProto, data: dict[str, np.ndarray]) -> None:
        graph = model.graph
        doubles = any(value.dtype == np.float64 for value in data.values())
        dtype = torch.float64 if doubles else torch.float32
        first, given = "", []
        for index, value in enumerate(list(graph.input)):
            array = data[f"input_{index}"]
            # The tests feed everything; what an operator wants to know before is a constant of the file in a model.
            if index > 0 and (array.dtype.kind in "iub" or array.ndim == 0) or graph.node[0].op_type in ("ConstantOfShape", "Range", "NonZero"):
                graph.initializer.append(numpy_helper.from_array(array, value.name))
                graph.input.remove(value)
            else:
                given.append(constant(array, dtype) if array.size != 1 else torch.from_numpy(array).to(_working(array, dtype)))
                first = first or value.name
        torch.set_default_dtype(dtype)
        try:
            module = imported(model)
            twice = [module(*[value.clone() for value in given]) for _ in range(2)]
        finally:
            torch.set_default_dtype(torch.float32)
        for returned in twice:
            results = [returned] if isinstance(returned, torch.Tensor) else list(returned)
            for index, result in enumerate(results):
                expected = data[f"output_{index}"]
                self.assertEqual(list(expected.shape), list(result.shape))
                loose = 2e-3 if any(v.dtype == np.float16 for v in data.values()) else 1e-5
                np.testing.assert_allclose(
                    result.detach().double().numpy(), expected.astype(np.float64), rtol=loose, atol=loose
                )


def _of_today(model: onnx.ModelProto) -> bool:
    """Say whether a test's operators mean the same in operator set 13 or newer, and give an older test that version."""
    version = model.opset_import[0].version
    if version >= OLDEST:
        return True
    model.opset_import[0].version = OLDEST
    return all(
        onnx.defs.get_schema(node.op_type, version).since_version
        == onnx.defs.get_schema(node.op_type, OLDEST).since_version
        for node in model.graph.node
    )


def _working(array: np.ndarray, dtype: torch.dtype) -> torch.dtype:
    return torch.bool if array.dtype == bool else torch.int64 if array.dtype.kind in "iu" else dtype
