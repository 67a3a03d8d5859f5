"""Writes bn.onnx, which pytorch_test.go reads: a small network exported for training by tandem's own exporter, manifest included.

Run it in this folder with the folder pytorch of the repository on PYTHONPATH and PyTorch installed. The committed file was made with
torch 2.15.0, onnx 1.23.2 and onnxscript 0.7.2.
"""

import torch
from tandem_pytorch.export import export
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.body(x))
        return self.head(self.drop(h))


torch.manual_seed(0)
model = export(Net(), {"input": torch.randn(8, 3)}, 20)
with open("bn.onnx", "wb") as file:
    file.write(model.SerializeToString(deterministic=True))
