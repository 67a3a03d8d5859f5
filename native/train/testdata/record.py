"""Writes torch.onnx and torch.safetensors: a small PyTorch model with most of the operators that a multilayer perceptron may have, a
batch, and PyTorch's loss and gradients in float64.

usage: python record.py    (needs torch, onnx, onnxscript and safetensors; torch's version is written into the metadata)

The batch is left open in the ONNX file, so that its shapes are computed from Shape.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 4)
        self.fc1 = torch.nn.Linear(10, 12)
        self.fc2 = torch.nn.Linear(12, 12, bias=False)
        self.fc3 = torch.nn.Linear(6, 8)
        self.fc4 = torch.nn.Linear(16, 3)
        self.scale = torch.nn.Parameter(torch.rand(12) + 0.5)

    def forward(self, x, kind):
        h = torch.cat([x, self.embedding(kind)], dim=1)
        h = F.gelu(self.fc1(h)) + torch.sigmoid(self.fc2(torch.tanh(self.fc1(h)))) * self.scale
        h = h / (h.pow(2).mean(dim=1, keepdim=True) + 1e-3).sqrt()
        h = h.view(h.size(0), 2, 6)
        h = F.leaky_relu(self.fc3(h), 0.1)
        a = torch.softmax(h @ h.transpose(1, 2) / 2.8, dim=-1)  # a short decimal: sqrt(8) would be rounded to float32 in the file
        h = F.elu(a @ h) - F.softplus(h).clamp(0.2, 1.5)
        h = torch.where(h > 0, h, 0.5 * h).flatten(1)
        return F.log_softmax(self.fc4(h), dim=1)


torch.manual_seed(3)
model = Model()
x, kind, target = torch.randn(7, 6), torch.randint(0, 5, (7,)), torch.randint(0, 3, (7,))
program = torch.onnx.export(
    model, (x, kind), dynamo=True, optimize=False, opset_version=20, external_data=False, verbose=False,
    input_names=["x", "kind"], output_names=["scores"], dynamic_shapes=({0: torch.export.Dim("batch")}, {0: torch.export.Dim("batch")}),
)
proto = program.model_proto
for node in proto.graph.node:
    del node.metadata_props[:]  # they hold the paths of the machine
(HERE / "torch.onnx").write_bytes(proto.SerializeToString(deterministic=True))
model = model.double()
loss = F.cross_entropy(model(x.double(), kind), target)
loss.backward()
tensors = {"x": x, "kind": kind, "target": target, "loss": loss.detach()}
tensors |= {"gradients/" + name: p.grad for name, p in model.named_parameters()}
save_file(tensors, HERE / "torch.safetensors", {"torch": torch.__version__.split("+")[0]})
