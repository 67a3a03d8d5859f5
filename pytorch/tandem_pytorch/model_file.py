"""An ONNX file as the engine needs it: its initializers by name, inputs, outputs, dropout sites and manifest.

The graph itself is not run here; PyTorch runs the module that the experiment names, or makes one of the graph (onnx_module).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from .errors import InputError, UnsupportedError

#: The key of the manifest in the model's metadata_props.
MANIFEST = "tandem.manifest"
#: The operators that draw random numbers for dropout.
DROPOUT_OPERATORS = ("Dropout", "Bernoulli")


@dataclass(frozen=True)
class ModelFile:
    """What an ONNX file says about a model."""

    path: str
    initializers: dict[str, np.ndarray]
    inputs: list[str]
    outputs: list[str]
    dropout_sites: int
    #: The number of rows that all batches must have; 0 where they may have any.
    batch: int = 0
    manifest: dict[str, Any] = field(default_factory=dict)
    #: The whole file, where it was asked for.
    proto: onnx.ModelProto = field(default_factory=onnx.ModelProto, repr=False)

    @property
    def constants(self) -> set[str]:
        """The initializers that the manifest declares neither parameters nor buffers."""
        return set(self.manifest.get("constants", []))


def read(path: str | os.PathLike[str], with_graph: bool = False) -> ModelFile:
    """Read an ONNX file. Its graph is kept only where it is asked for: with the weights it takes memory."""
    try:
        model = onnx.load(os.fspath(path))
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except Exception as error:  # protobuf's own error types differ between its implementations
        raise InputError(f"{path} is not a readable ONNX file: {error}") from error
    graph = model.graph
    if not graph.node:
        raise InputError(f"{path} is not an ONNX model: it has no nodes")
    initializers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    manifest = _manifest(model, path)
    drawing = [
        node.name for node in graph.node if node.op_type in DROPOUT_OPERATORS and node.domain in ("", "ai.onnx")
    ]
    if "dropout" in manifest:  # of a file from elsewhere not each such node draws; the manifest has those that do
        named = {entry["node"] for entry in manifest["dropout"]}
        drawing = [name for name in drawing if name in named]
    return ModelFile(
        path=str(path),
        initializers=initializers,
        inputs=[value.name for value in graph.input if value.name not in initializers],
        outputs=[value.name for value in graph.output],
        dropout_sites=len(drawing),
        batch=max((v.type.tensor_type.shape.dim[0].dim_value for v in graph.input[:1] if v.type.tensor_type.shape.dim), default=0),
        manifest=manifest,
        **({"proto": model} if with_graph else {}),
    )


def _manifest(model: onnx.ModelProto, path: str | os.PathLike[str]) -> dict[str, Any]:
    for entry in model.metadata_props:
        if entry.key != MANIFEST:
            continue
        try:
            manifest = json.loads(entry.value)
        except ValueError as error:
            raise InputError(f"{path}: the metadata {MANIFEST} is not JSON: {error}; export the model again") from error
        version = manifest.get("version") if isinstance(manifest, dict) else None
        if version != 1:
            raise UnsupportedError(
                f"{path}: the manifest has version {version}, this engine reads 1; export the model again"
            )
        return dict(manifest)
    return {}
