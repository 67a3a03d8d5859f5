"""Writes convolutional.onnx and convolutional.safetensors, as record.py does torch.onnx: a model of all that a convolutional network has.

usage: python record_convolutional.py    (needs torch, onnx and safetensors)

Convolutions with strides, padding, dilation and groups, one for each channel, one with a bias (before batch normalization its gradient is zero); batch normalization in training mode; pools, one of
them over equal elements; means; a sum whose result has two readers. The exporter is the older one, which writes batch normalization as it is in training.
"""

import pathlib

import onnx
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 5, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(6, momentum=0.3)
        self.grouped = nn.Conv2d(6, 8, 3, padding=(1, 2), groups=2, bias=False)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.dilated = nn.Conv2d(8, 8, (2, 3), padding=2, dilation=(2, 1))
        self.skip = nn.Conv2d(8, 8, 1, 2, bias=False)
        self.bn2 = nn.BatchNorm2d(8, eps=1e-3)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.bn1(self.stem(x)))
        x = F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True)
        x = torch.sigmoid(self.grouped(x))
        y = x + self.depthwise(x)  # read by both branches
        a = F.avg_pool2d(self.dilated(y), 2, padding=1, count_include_pad=True)
        b = self.bn2(self.skip(y))
        a = a[:, :, : b.shape[2], : b.shape[3]]
        z = F.relu(a + b)
        pooled = F.adaptive_avg_pool2d(z, 1).flatten(1)
        means = (z * z).mean(dim=(2, 3))
        return self.fc(torch.cat([pooled, means], dim=1))


torch.manual_seed(5)
model = Model().train()
x, target = torch.randn(4, 3, 17, 14), torch.randint(0, 4, (4,))
x[:, :, :6] = 0.25  # equal pixels, so that maxima are found more than once
torch.onnx.export(
    model, (x,), HERE / "convolutional.onnx", dynamo=False, opset_version=20, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
    keep_initializers_as_inputs=False, input_names=["x"], output_names=["scores"], dynamic_axes={"x": {0: "batch"}, "scores": {0: "batch"}},
)
proto = onnx.load(HERE / "convolutional.onnx")
for node in proto.graph.node:
    del node.metadata_props[:]
    node.doc_string = ""
(HERE / "convolutional.onnx").write_bytes(proto.SerializeToString(deterministic=True))
print(sorted({node.op_type for node in proto.graph.node}))
model = model.double()
loss = F.cross_entropy(model(x.double()), target)
loss.backward()
tensors = {"x": x, "target": target, "loss": loss.detach()}
tensors |= {"gradients/" + name: p.grad for name, p in model.named_parameters()}
save_file(tensors, HERE / "convolutional.safetensors", {"torch": torch.__version__.split("+")[0]})
