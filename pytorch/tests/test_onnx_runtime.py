"""The importer's larger operators against ONNX Runtime, with settings that the official node tests have not; and their gradients."""

from __future__ import annotations

import unittest
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper

from .test_onnx_operators import imported

_RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def whole(*values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@dataclass
class Case:
    """A node: what varies (its gradient is checked), what is constant, its attributes."""

    operator: str
    inputs: list[np.ndarray]
    #: By the position among the inputs; an omitted input is None.
    constants: dict[int, np.ndarray | None] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 20

    def model(self) -> onnx.ModelProto:
        names, initializers, given = [], [], list(self.inputs)
        inputs = []
        for position in range(len(self.inputs) + len(self.constants)):
            if position not in self.constants:
                value = given.pop(0)
                names.append(f"input_{position}")
                inputs.append(helper.make_tensor_value_info(names[-1], helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
                continue
            constant = self.constants[position]
            names.append("" if constant is None else f"constant_{position}")
            if constant is not None:
                initializers.append(numpy_helper.from_array(constant, names[-1]))
        results = [f"output_{i}" for i in range(self.outputs)]
        node = helper.make_node(self.operator, names, results, name="node", **self.attributes)
        outputs = [onnx.ValueInfoProto(name=name) for name in results]
        graph = helper.make_graph([node], "case", inputs, outputs, initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)


def recurrent(operator: str, gates: int, directions: int = 1, outputs: int = 2, **attributes: Any) -> Case:
    steps, batch, inputs, hidden = 4, 3, 5, 2
    weights = [normal(directions, gates * hidden, inputs), normal(directions, gates * hidden, hidden)]
    given = [normal(steps, batch, inputs), *weights, normal(directions, 2 * gates * hidden), normal(directions, batch, hidden)]
    if operator == "LSTM":
        given.append(normal(directions, batch, hidden))
    return Case(operator, given, {4: None}, {"hidden_size": hidden, **attributes}, outputs)


def scaled(shape: tuple[int, ...], scales: list[float], **attributes: Any) -> Case:
    return Case("Resize", [normal(*shape)], {1: None, 2: np.array(scales, np.float32)}, attributes)


def sized(shape: tuple[int, ...], sizes: list[int], **attributes: Any) -> Case:
    return Case("Resize", [normal(*shape)], {1: None, 2: None, 3: whole(*sizes)}, attributes)


IMAGE = (2, 3, 5, 6)

CASES: dict[str, Case] = {
    "LSTM of torch": recurrent("LSTM", 4, outputs=3),
    "LSTM in both directions": recurrent("LSTM", 4, 2, 3, direction="bidirectional"),
    "LSTM backwards": recurrent("LSTM", 4, outputs=3, direction="reverse"),
    "LSTM with other activations": recurrent("LSTM", 4, outputs=3, activations=["Sigmoid", "Relu", "Tanh"]),
    "GRU of torch": recurrent("GRU", 3, linear_before_reset=1),
    "GRU in both directions": recurrent("GRU", 3, 2, direction="bidirectional", linear_before_reset=1),
    "GRU with the reset before": recurrent("GRU", 3),
    "GRU in both directions with the reset before": recurrent("GRU", 3, 2, direction="bidirectional"),
    "GRU backwards": recurrent("GRU", 3, direction="reverse", linear_before_reset=1),
    "RNN of torch": recurrent("RNN", 1),
    "RNN with relu": recurrent("RNN", 1, activations=["Relu"]),
    "RNN in both directions": recurrent("RNN", 1, 2, direction="bidirectional", activations=["Tanh", "Relu"]),
    "Resize of images, linearly": sized(IMAGE, [2, 3, 10, 9], mode="linear"),
    "Resize of images by corners": sized(IMAGE, [2, 3, 7, 4], mode="linear", coordinate_transformation_mode="align_corners"),
    "Resize of images asymmetrically": scaled(IMAGE, [1, 1, 2, 1.5], mode="linear", coordinate_transformation_mode="asymmetric"),
    "Resize of sequences": sized((2, 3, 7), [2, 3, 4], mode="linear"),
    "Resize to one": sized(IMAGE, [2, 3, 1, 1], mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    "Resize to the nearest": scaled(IMAGE, [1, 1, 2, 2], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "Resize to the nearest, ceil": scaled(IMAGE, [1, 1, 0.6, 1.7], mode="nearest", nearest_mode="ceil"),
    "Resize with cubes": sized(IMAGE, [2, 3, 8, 8], mode="cubic", cubic_coeff_a=-0.5),
    "Resize with cubes of what is there": scaled(IMAGE, [1, 1, 1.5, 0.7], mode="cubic", exclude_outside=1),
    "Resize without aliases": scaled(IMAGE, [1, 1, 0.5, 0.6], mode="linear", antialias=1),
    "Resize with cubes without aliases": scaled(IMAGE, [1, 1, 0.5, 0.6], mode="cubic", antialias=1),
    "Attention": Case("Attention", [normal(2, 4, 3, 8), normal(2, 4, 5, 8), normal(2, 4, 5, 6)], opset=23),
    "Attention, causal, of grouped heads, capped": Case(
        "Attention", [normal(2, 3, 16), normal(2, 3, 8), normal(2, 3, 8)],
        attributes={"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1, "scale": 0.3, "softcap": 2.0}, opset=23,
    ),
    "Attention with a mask and what went before": Case(
        "Attention", [normal(2, 4, 3, 8), normal(2, 4, 3, 8), normal(2, 4, 3, 8), normal(3, 5), normal(2, 4, 2, 8), normal(2, 4, 2, 8)],
        outputs=3, opset=23,
    ),
    "GridSample": Case("GridSample", [normal(*IMAGE), normal(2, 3, 4, 2)]),
    "GridSample at the border": Case("GridSample", [normal(*IMAGE), normal(2, 3, 4, 2)], attributes={"padding_mode": "border", "align_corners": 1}),
    "GridSample with cubes": Case("GridSample", [normal(*IMAGE), normal(2, 3, 4, 2)], attributes={"mode": "cubic", "padding_mode": "reflection"}),
    "GridSample of volumes": Case("GridSample", [normal(2, 3, 4, 5, 6), normal(2, 2, 3, 4, 3)]),
    "ScatterElements": Case("ScatterElements", [normal(4, 3), normal(2, 3)], {1: whole([0, -1, 2], [1, 0, 3])}),
    "ScatterElements, added": Case("ScatterElements", [normal(3, 5), normal(3, 2)], {1: whole([1, 1], [0, -1], [4, 4])}, {"axis": 1, "reduction": "add"}),
    "ScatterElements, multiplied": Case("ScatterElements", [normal(3, 5), normal(3, 2)], {1: whole([1, 1], [0, -1], [4, 4])}, {"axis": 1, "reduction": "mul"}),
    "ScatterND": Case("ScatterND", [normal(4, 3, 2), normal(2, 2)], {1: whole([0, 2], [-1, 0])}),
    "ScatterND, added": Case("ScatterND", [normal(4, 3), normal(3, 3)], {1: whole([1], [1], [0])}, {"reduction": "add"}),
    "ScatterND, the larger": Case("ScatterND", [normal(4, 3), normal(3, 3)], {1: whole([1], [1], [0])}, {"reduction": "max"}),
    "TopK": Case("TopK", [normal(3, 7)], {1: whole(3)}, outputs=2),
    "TopK, the smallest of columns": Case("TopK", [normal(5, 3)], {1: whole(2)}, {"axis": 0, "largest": 0}, outputs=2),
    "OneHot": Case("OneHot", [np.array([0.5, 2.0], np.float32)], {0: whole([0, -1], [3, 9]), 1: whole(4)}, {"axis": 1}),
    "DepthToSpace": Case("DepthToSpace", [normal(2, 8, 2, 3)], attributes={"blocksize": 2}),
    "DepthToSpace, columns first": Case("DepthToSpace", [normal(2, 8, 2, 3)], attributes={"blocksize": 2, "mode": "CRD"}),
    "SpaceToDepth": Case("SpaceToDepth", [normal(2, 3, 4, 6)], attributes={"blocksize": 2}),
    "LpNormalization": Case("LpNormalization", [normal(3, 4)], attributes={"axis": 0, "p": 1}),
    "Hardmax": Case("Hardmax", [np.array([[1, 3, 3], [2, 2, 0]], np.float32)]),
    "EyeLike": Case("EyeLike", [normal(3, 5)], attributes={"k": 1}),
    "Shrink": Case("Shrink", [normal(3, 5)], attributes={"lambd": 0.7, "bias": 0.2}),
    "ThresholdedRelu": Case("ThresholdedRelu", [normal(3, 5)], attributes={"alpha": 0.4}),
    "SoftmaxCrossEntropyLoss": Case("SoftmaxCrossEntropyLoss", [normal(4, 5)], {1: whole(0, 4, 2, 1)}, outputs=2),
}


class Cases(unittest.TestCase):
    def test_same_as_onnx_runtime(self) -> None:
        for name, case in CASES.items():
            with self.subTest(name):
                model = case.model()
                names = [value.name for value in model.graph.input]
                session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
                expected = session.run(None, dict(zip(names, case.inputs, strict=True)))
                returned = imported(model)(*[torch.from_numpy(value) for value in case.inputs])
                found = [returned] if isinstance(returned, torch.Tensor) else list(returned)
                self.assertEqual(len(expected), len(found))
                for want, got in zip(expected, found, strict=True):
                    self.assertEqual(want.shape, tuple(got.shape))
                    np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-5)  # float32 on both sides

    def test_gradients(self) -> None:
        """Against differences in float64: what is moved by hand, such as the gates of an LSTM, is moved back."""
        for name, case in CASES.items():
            if case.operator in ("Hardmax", "EyeLike"):
                continue  # constant almost everywhere
            with self.subTest(name):
                torch.set_default_dtype(torch.float64)
                try:
                    module = imported(case.model())
                    given = [torch.from_numpy(value).double().requires_grad_() for value in case.inputs]

                    def outputs(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
                        found = module(*values)
                        return tuple(v for v in ([found] if isinstance(found, torch.Tensor) else found) if v.is_floating_point())

                    self.assertTrue(torch.autograd.gradcheck(outputs, given, fast_mode=True))
                finally:
                    torch.set_default_dtype(torch.float32)


if __name__ == "__main__":
    unittest.main()
