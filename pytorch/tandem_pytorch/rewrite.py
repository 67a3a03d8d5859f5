"""Copies of an exported graph that ONNX Runtime can be asked about: in eval mode, and with dropout masks as inputs.

The exported file itself never passes through here; these copies exist to check it.
"""

from __future__ import annotations

import onnx
from onnx import helper

from .model_file import DROPOUT_OPERATORS


def in_eval_mode(model: onnx.ModelProto, running_means: set[str]) -> onnx.ModelProto:
    """Return a copy without dropout, with BatchNorm on its running statistics.

    Dropout passes its input on; Bernoulli becomes its probability, so that what is drawn and divided by the
    probability is one. A BatchNorm without running statistics (its mean is none of ``running_means``) stays as it is.
    """
    copy = _copy(model)
    nodes = []
    for node in copy.graph.node:
        if node.op_type in DROPOUT_OPERATORS:
            nodes.append(helper.make_node("Identity", [node.input[0]], [node.output[0]]))
            continue
        if node.op_type == "BatchNormalization" and node.input[3] in running_means:
            kept = [attribute for attribute in node.attribute if attribute.name != "training_mode"]
            del node.attribute[:]
            node.attribute.extend(kept)
            del node.output[1:]
        nodes.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def with_mask_inputs(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Return a copy in which each dropout site takes its mask from an input, and the inputs' names by site.

    A Dropout's input is multiplied by the mask, which must be scaled by 1 / (1 - p) already; a Bernoulli's output is
    the mask, ones and zeros.
    """
    copy = _copy(model)
    names: list[str] = []
    nodes = []
    for node in copy.graph.node:
        if node.op_type not in DROPOUT_OPERATORS:
            nodes.append(node)
            continue
        name = f"tandem.mask.{len(names)}"
        names.append(name)
        copy.graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        if node.op_type == "Dropout":
            nodes.append(helper.make_node("Mul", [node.input[0], name], [node.output[0]]))
        else:
            nodes.append(helper.make_node("Identity", [name], [node.output[0]]))
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy, names


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """Return a copy with further values as outputs."""
    copy = _copy(model)
    present = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    return copy


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
