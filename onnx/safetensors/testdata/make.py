"""Writes python.safetensors, the file that interop_test.go reads. Run it in this folder with safetensors, numpy and torch installed.

The committed file was made with safetensors 0.8.0, torch 2.15.0.
"""

import torch
from safetensors.torch import save_file

save_file(
    {
        "fc1.weight": torch.tensor([[1.5, -2.0, 0.1], [float("inf"), 1e-45, -0.0]]),
        "step": torch.tensor(7, dtype=torch.int64),
        "mask": torch.tensor([True, False, True]),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "half": torch.tensor([1.0, -2.5], dtype=torch.float16),
        "brain": torch.tensor([1.0, -2.5], dtype=torch.bfloat16),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "empty": torch.zeros(0, 4),
        "näme": torch.tensor([-3], dtype=torch.int32),
    },
    "python.safetensors",
    metadata={"made_by": "python", "text": 'quote " and \n newline'},
)
