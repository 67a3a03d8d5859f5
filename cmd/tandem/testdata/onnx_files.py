"""Writes ONNX files as a user has them: usage: python onnx_files.py FOLDER

mlp.onnx     an MLP by torch.onnx's default exporter, its batch open
cnn.onnx     a convolutional network with BatchNorm by the same, in eval mode and with the exporter's optimizer: BatchNorm is folded
legacy.onnx  the same network by the older exporter in training mode: BatchNorm with the batch's statistics, and dropout
block.onnx   a Transformer's block of numbers by the default exporter
hand.onnx    a graph by onnx.helper whose batch is fixed to 4, with numbers and whole numbers as inputs
half.onnx    an MLP of the newest operator set whose weights are of half precision and lie in a file of their own
old.onnx     the same of operator set 13, in one file
fixed.onnx   a graph whose Reshape fixes the batch
odd.onnx     a graph with an operator that nobody has
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
torch.manual_seed(0)
torch.backends.mha.set_fastpath_enabled(False)  # its operator has no translation to ONNX


def default(module, rows, name):
    batch = {0: torch.export.Dim("rows", min=2)}
    program = torch.onnx.export(module, (rows,), dynamo=True, opset_version=18, dynamic_shapes=(batch,), verbose=False, external_data=False)
    program.save(str(folder / name))


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(6)
        self.drop, self.fc = nn.Dropout(0.2), nn.Linear(6, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 2)
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(self.drop(x.mean((2, 3))))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(6, 16)
        self.place = nn.Parameter(torch.randn(1, 5, 16) * 0.1)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.leave = nn.Linear(16, 3)

    def forward(self, x):
        return self.leave(self.layer(self.enter(x) + self.place).mean(1))


default(nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 4)), torch.randn(3, 12), "mlp.onnx")
default(Convolutional().eval(), torch.randn(3, 1, 12, 12), "cnn.onnx")
default(Block().eval(), torch.randn(3, 5, 6), "block.onnx")
torch.onnx.export(
    Convolutional(), (torch.randn(3, 1, 12, 12),), str(folder / "legacy.onnx"), dynamo=False, opset_version=18, input_names=["image"],
    dynamic_axes={"image": {0: "n"}}, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
)  # fmt: skip

random = np.random.default_rng(0)


def weights(name, *shape):
    return numpy_helper.from_array((random.standard_normal(shape) * 0.3).astype(np.float32), name)


def scalar(name, value, kind):
    return numpy_helper.from_array(np.array(value, dtype=kind), name)


def by_hand(name, nodes, inputs, outputs, initializers, opset=18):
    values = [[helper.make_tensor_value_info(n, t, s) for n, t, s in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, name, *values, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), folder / name)


by_hand(
    "hand.onnx",
    [
        helper.make_node("Gather", ["table", "tokens"], ["embedded"]),
        helper.make_node("ReduceMean", ["embedded", "axes"], ["bag"], keepdims=0),
        helper.make_node("Concat", ["bag", "x"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "w1"], ["h0"]),
        helper.make_node("Add", ["h0", "b1"], ["h1"]),
        helper.make_node("Mul", ["h1", "scale"], ["h2"]),
        helper.make_node("Tanh", ["h2"], ["h3"]),
        helper.make_node("Dropout", ["h3", "ratio", "yes"], ["h4"], name="drop"),
        helper.make_node("Dropout", ["h4", "ratio"], ["h5"], name="idle"),
        helper.make_node("BatchNormalization", ["h5", "g", "c", "mean", "var"], ["h6", "new_mean", "new_var"], momentum=0.8, training_mode=1),
        helper.make_node("Gemm", ["h6", "w2", "b2"], ["y"], transB=1),
    ],
    [("tokens", TensorProto.INT64, [4, 3]), ("x", TensorProto.FLOAT, [4, 2])],
    [("y", TensorProto.FLOAT, [4, 3])],
    [
        weights("table", 9, 4), weights("w1", 6, 8), weights("b1", 8), scalar("scale", 0.7, np.float32), scalar("ratio", 0.25, np.float32),
        scalar("yes", True, bool), scalar("axes", [1], np.int64), weights("g", 8), weights("c", 8), weights("mean", 8),
        numpy_helper.from_array(np.ones(8, np.float32), "var"), weights("w2", 3, 8), weights("b2", 3),
    ],
)  # fmt: skip
def halves(name, opset, **saved):
    """Weights of float16 and bfloat16 and what makes them float32, as tools that shrink files write it."""
    cast = [helper.make_node("Cast", [f"{weight}_half"], [weight], to=TensorProto.FLOAT) for weight in ("w1", "w2")]
    nodes = [
        *cast,
        helper.make_node("MatMul", ["x", "w1"], ["h0"]),
        helper.make_node("Add", ["h0", "b1"], ["h1"]),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("MatMul", ["h2", "w2"], ["y"]),
    ]
    w1 = numpy_helper.from_array((random.standard_normal((6, 16)) * 0.3).astype(np.float16), "w1_half")
    values = random.standard_normal((16, 4)) * 0.3
    w2 = helper.make_tensor("w2_half", TensorProto.BFLOAT16, [16, 4], values.reshape(-1).tolist())
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [w1, w2, weights("b1", 16)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, folder / name, **saved)


halves("half.onnx", 24, save_as_external_data=True, location="half.bin", size_threshold=0)
halves("old.onnx", 13)
by_hand(
    "fixed.onnx",
    [helper.make_node("Reshape", ["x", "shape"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])],
    [("x", TensorProto.FLOAT, [4, 2, 3])],
    [("y", TensorProto.FLOAT, [4, 2])],
    [scalar("shape", [4, 6], np.int64), weights("w", 6, 2)],
)
by_hand(
    "odd.onnx",
    [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Det", ["h"], ["y"], name="the determinant")],
    [("x", TensorProto.FLOAT, ["n", 2, 2])],
    [("y", TensorProto.FLOAT, ["n"])],
    [weights("w", 2, 2)],
)
