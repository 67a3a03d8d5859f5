"""Writes for each model of models.py its ONNX file, as tandem's own exporter makes it, a batch, and PyTorch's loss and gradients in float64.

usage: python record_models.py    (needs the packages of pytorch/requirements.txt; torch's version is written into the metadata)
"""

import copy
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "pytorch"))

from models import MODELS  # noqa: E402
from tandem_pytorch.export import export  # noqa: E402
from tandem_pytorch.masks import MaskSource, SharedMasks  # noqa: E402

ROWS = 5
SEED = 77  # of the masks, at step 0
for name, (kind, opset) in MODELS.items():
    torch.manual_seed(3)
    model = kind()
    inputs = kind.example(ROWS)
    target = torch.randint(0, 3, (ROWS,))
    proto = export(copy.deepcopy(model), inputs, opset)
    for node in proto.graph.node:
        del node.metadata_props[:]  # they hold lines of Python that change with torch
    (HERE / f"{name}.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    model = model.double()
    with SharedMasks(MaskSource(SEED)):
        scores = model(*(v.double() if v.is_floating_point() else v for v in inputs.values()))
    loss = F.cross_entropy(scores, target)
    loss.backward()
    tensors = {"target": target, "loss": loss.detach()}
    tensors |= {"inputs/" + key: value for key, value in inputs.items()}
    tensors |= {"gradients/" + key: p.grad for key, p in model.named_parameters()}
    save_file(tensors, HERE / f"{name}.safetensors", {"torch": torch.__version__.split("+")[0]})
    print(name, sorted({node.op_type for node in proto.graph.node}))
