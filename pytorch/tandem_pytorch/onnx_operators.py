"""ONNX's operators in PyTorch: one function for each, which prepares a node's call.

A function of TABLE takes a Node, whose attributes and known inputs it reads, and returns what computes the node: a
callable that takes the node's inputs (None for an omitted one) and returns a tensor, or a tuple where the node has several
outputs. It is prepared once for each set of shapes, so that a training step spends no time on attributes and axes.

The meaning is that of ONNX's operator sets 13 and newer. What cannot be computed exactly as ONNX says is refused, with
UnsupportedError; the module adds the node.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto

from .errors import UnsupportedError
from .onnx_attention import attention, rotary_embedding
from .onnx_node import Call, Node, Value, refuse
from .onnx_recurrent import gru, lstm, rnn
from .onnx_resize import resize

_INTEGERS = {TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.UINT8}
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}


def _plain(function: Call) -> Callable[[Node], Call]:
    """Wrap a function of the inputs alone."""
    return lambda node: function


def _axis(node: Node, default: int, index: int = 0) -> int:
    axis, rank = node.attribute("axis", default), node.value(index).dim()
    refuse(not -rank <= axis <= max(rank - 1, 0), f"axis {axis} of a tensor of rank {rank}")
    return int(axis % rank) if rank else 0


# Arithmetic


def _div(node: Node) -> Call:
    if node.value(0).is_floating_point():
        return torch.div
    return lambda a, b: torch.div(a, b, rounding_mode="trunc")


def _pow(node: Node) -> Call:
    base = node.value(0).dtype
    if node.known[1] and node.value(1).numel() == 1 and node.value(1).dim() <= node.value(0).dim():
        exponent = node.value(1).item()
        return lambda x, y: torch.pow(x, exponent).to(base)
    return lambda x, y: torch.pow(x, y).to(base)


def _mod(node: Node) -> Call:
    return torch.fmod if node.attribute("fmod", 0) else torch.remainder


def _folded(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[[Node], Call]:
    def call(*values: torch.Tensor) -> torch.Tensor:
        result = values[0]
        for value in values[1:]:
            result = function(result, value)
        return result

    return _plain(call)


def _mean(*values: torch.Tensor) -> torch.Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values)


def _clip(node: Node) -> Call:
    bounds: list[Any] = []
    for index in (1, 2):
        if not node.has(index):
            bounds.append(None)
        else:
            bounds.append(node.constant(index).reshape(()).item())
    low, high = bounds
    if low is None and high is None:
        return lambda x, *_: x
    return lambda x, *_: torch.clamp(x, low, high)


def _cast(node: Node) -> Call:
    to = _type(int(node.attribute("to")), node.dtype)
    return lambda x: x.to(to)


def _cast_like(node: Node) -> Call:
    to = node.value(1).dtype
    return lambda x, like: x.to(to)


def _type(code: int, dtype: torch.dtype) -> torch.dtype:
    if code in _FLOATS:
        return dtype
    if code in _INTEGERS:
        return torch.int64
    if code == TensorProto.BOOL:
        return torch.bool
    raise UnsupportedError(f"elements of type {TensorProto.DataType.Name(code)} are not supported")


# Activation functions


def _elu(node: Node) -> Call:
    alpha = node.attribute("alpha", 1.0)
    return lambda x: F.elu(x, alpha)


def _celu(node: Node) -> Call:
    alpha = node.attribute("alpha", 1.0)
    return lambda x: F.celu(x, alpha)


def _selu(node: Node) -> Call:
    alpha = node.attribute("alpha", 1.6732632423543772)
    gamma = node.attribute("gamma", 1.0507009873554805)
    return lambda x: gamma * F.elu(x, alpha)


def _leaky_relu(node: Node) -> Call:
    alpha = node.attribute("alpha", 0.01)
    return lambda x: F.leaky_relu(x, alpha)


def _gelu(node: Node) -> Call:
    approximate = node.attribute("approximate", "none")
    return lambda x: F.gelu(x, approximate=approximate)


def _hard_sigmoid(node: Node) -> Call:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0)


def _swish(node: Node) -> Call:
    alpha = node.attribute("alpha", 1.0)
    return F.silu if alpha == 1.0 else lambda x: x * torch.sigmoid(alpha * x)


def _prelu(x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    return torch.where(x < 0, slope * x, x)


def _softplus(x: torch.Tensor) -> torch.Tensor:
    # PyTorch's softplus is the identity from 20 on, which ONNX's is not.
    return torch.logaddexp(x, torch.zeros((), dtype=x.dtype))


def _shrink(node: Node) -> Call:
    bound, bias = node.attribute("lambd", 0.5), node.attribute("bias", 0.0)
    return lambda x: torch.where(x < -bound, x + bias, torch.where(x > bound, x - bias, torch.zeros_like(x)))


def _thresholded_relu(node: Node) -> Call:
    alpha = node.attribute("alpha", 1.0)
    return lambda x: torch.where(x > alpha, x, torch.zeros_like(x))


def _hardmax(node: Node) -> Call:
    axis = _axis(node, -1)

    def call(x: torch.Tensor) -> torch.Tensor:
        largest = x == x.amax(axis, keepdim=True)
        return (largest & (largest.cumsum(axis) == 1)).to(x.dtype)  # the first of equal ones

    return call


def _softmax(node: Node) -> Call:
    axis = _axis(node, -1)
    return lambda x: F.softmax(x, axis)


def _log_softmax(node: Node) -> Call:
    axis = _axis(node, -1)
    return lambda x: F.log_softmax(x, axis)


# Products


def _gemm(node: Node) -> Call:
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    turn_a, turn_b = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))
    if alpha == 1.0 and beta == 1.0 and not turn_a and turn_b and (not node.has(2) or node.value(2).dim() == 1):
        if not node.has(2) or node.value(2).shape[0] == node.value(1).shape[0]:
            return F.linear

    def call(a: torch.Tensor, b: torch.Tensor, c: Value = None) -> torch.Tensor:
        product = torch.mm(a.t() if turn_a else a, b.t() if turn_b else b)
        if alpha != 1.0:
            product = product * alpha
        if c is None:
            return product
        return product + (c if beta == 1.0 else c * beta)

    return call


def _einsum(node: Node) -> Call:
    equation = node.attribute("equation")
    return lambda *values: torch.einsum(equation, *values)


@dataclass(frozen=True)
class _Window:
    """How a convolution or pooling moves over the spatial dimensions."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    begins: list[int]
    ends: list[int]

    @property
    def symmetric(self) -> bool:
        return self.begins == self.ends

    def padded(self, x: torch.Tensor, value: float) -> torch.Tensor:
        """Pad explicitly; F.pad takes the last dimension first."""
        pads = [n for pair in zip(reversed(self.begins), reversed(self.ends), strict=True) for n in pair]
        return F.pad(x, pads, value=value)


def _window(node: Node, kernel: list[int]) -> _Window:
    rank = len(kernel)
    refuse(not 1 <= rank <= 3, f"{rank} spatial dimensions are not supported")
    refuse(node.value(0).dim() != rank + 2, f"a window of {rank} dimensions for input {list(node.value(0).shape)}")
    strides = list(node.attribute("strides", [1] * rank))
    dilations = list(node.attribute("dilations", [1] * rank))
    pads = list(node.attribute("pads", [0] * 2 * rank))
    begins, ends = pads[:rank], pads[rank:]
    auto = node.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(rank):
            size = node.value(0).shape[axis + 2]
            count = -(-size // strides[axis])
            total = max((count - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - size, 0)
            begins[axis] = total // 2 if auto == "SAME_UPPER" else total - total // 2
            ends[axis] = total - begins[axis]
    elif auto == "VALID":
        begins, ends = [0] * rank, [0] * rank
    return _Window(kernel, strides, dilations, begins, ends)


def _conv(node: Node) -> Call:
    window = _window(node, list(node.value(1).shape[2:]))
    function: Call = (F.conv1d, F.conv2d, F.conv3d)[len(window.kernel) - 1]
    group = node.attribute("group", 1)
    if window.symmetric:
        return lambda x, w, b=None: function(x, w, b, window.strides, window.begins, window.dilations, group)
    return lambda x, w, b=None: function(window.padded(x, 0.0), w, b, window.strides, 0, window.dilations, group)


def _conv_transpose(node: Node) -> Call:
    refuse("output_shape" in node.attributes, "output_shape is not supported")
    refuse(node.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID"), "auto_pad is not supported")
    window = _window(node, list(node.value(1).shape[2:]))
    refuse(not window.symmetric, f"pads {window.begins} and {window.ends} that differ are not supported")
    function: Call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(window.kernel) - 1]
    group, more = node.attribute("group", 1), list(node.attribute("output_padding", [0] * len(window.kernel)))
    return lambda x, w, b=None: function(x, w, b, window.strides, window.begins, more, group, window.dilations)


# Pooling


def _max_pool(node: Node) -> Call:
    node.only_first_output()
    window = _window(node, list(node.attribute("kernel_shape")))
    function: Call = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(window.kernel) - 1]
    ceil = bool(node.attribute("ceil_mode", 0))
    fits = all(2 * pad <= size for pad, size in zip(window.begins, window.kernel, strict=True))
    if window.symmetric and fits:
        return lambda x: function(x, window.kernel, window.strides, window.begins, window.dilations, ceil)
    refuse(ceil, f"pads {window.begins} and {window.ends} with ceil_mode are not supported")
    infinity = float("-inf")
    return lambda x: function(window.padded(x, infinity), window.kernel, window.strides, 0, window.dilations)


def _average_pool(node: Node) -> Call:
    window = _window(node, list(node.attribute("kernel_shape")))
    refuse(any(d != 1 for d in window.dilations), f"dilations {window.dilations} are not supported")
    function: Call = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(window.kernel) - 1]
    ceil, include = bool(node.attribute("ceil_mode", 0)), bool(node.attribute("count_include_pad", 0))
    fits = all(2 * pad <= size for pad, size in zip(window.begins, window.kernel, strict=True))
    if window.symmetric and fits:
        return lambda x: function(x, window.kernel, window.strides, window.begins, ceil, include)
    refuse(ceil, f"pads {window.begins} and {window.ends} with ceil_mode are not supported")
    if include:
        return lambda x: function(window.padded(x, 0.0), window.kernel, window.strides)
    like = node.value(0)
    share = function(window.padded(torch.ones((1, 1, *like.shape[2:]), dtype=node.dtype), 0.0), window.kernel, window.strides)
    return lambda x: function(window.padded(x, 0.0), window.kernel, window.strides) / share


def _global_pool(reduce: Callable[..., torch.Tensor]) -> Callable[[Node], Call]:
    def prepare(node: Node) -> Call:
        axes = tuple(range(2, node.value(0).dim()))
        return lambda x: reduce(x, axes, keepdim=True)

    return prepare


# Normalization and dropout


def _batch_normalization(node: Node) -> Call:
    epsilon = node.attribute("epsilon", 1e-5)
    if not node.attribute("training_mode", 0) or not node.training:
        refuse(node.training and any(node.used[1:]), "statistics as outputs without training_mode")
        return lambda x, scale, shift, mean, var: F.batch_norm(x, mean, var, scale, shift, False, 0.0, epsilon)
    if node.momentum is not None:
        refuse(any(node.used[1:]), "the new statistics are read by another node")
        momentum = node.momentum
        return lambda x, scale, shift, mean, var: F.batch_norm(x, mean, var, scale, shift, True, momentum, epsilon)
    keep = node.attribute("momentum", 0.9)
    axes = tuple(axis for axis in range(node.value(0).dim()) if axis != 1)

    def call(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> Any:
        with torch.no_grad():  # ONNX's running variance is the biased one, PyTorch's is not
            fresh, biased = x.mean(axes), x.var(axes, unbiased=False)
            new_mean, new_var = mean * keep + fresh * (1 - keep), var * keep + biased * (1 - keep)
            mean.copy_(new_mean)
            var.copy_(new_var)
        return F.batch_norm(x, None, None, scale, shift, True, 0.0, epsilon), new_mean, new_var

    return call


def _layer_normalization(node: Node) -> Call:
    axis, epsilon = _axis(node, -1), node.attribute("epsilon", 1e-5)
    shape = list(node.value(0).shape[axis:])
    if any(node.used[1:]):  # the mean and the inverse deviation

        def whole(x: torch.Tensor, scale: torch.Tensor, shift: Value = None) -> Any:
            axes = tuple(range(axis, x.dim()))
            mean = x.mean(axes, keepdim=True)
            inverse = torch.rsqrt((x - mean).square().mean(axes, keepdim=True) + epsilon)
            result = (x - mean) * inverse * scale
            return (result if shift is None else result + shift), mean, inverse

        return whole
    if all(list(node.value(index).shape) == shape for index in (1, 2) if node.has(index)):
        return lambda x, scale, shift=None: F.layer_norm(x, shape, scale, shift, epsilon)

    def call(x: torch.Tensor, scale: torch.Tensor, shift: Value = None) -> torch.Tensor:
        result = F.layer_norm(x, shape, None, None, epsilon) * scale
        return result if shift is None else result + shift

    return call


def _rms_normalization(node: Node) -> Call:
    shape, epsilon = list(node.value(0).shape[_axis(node, -1) :]), node.attribute("epsilon", 1e-5)
    return lambda x, scale: F.rms_norm(x, shape, None, epsilon) * scale


def _lp_normalization(node: Node) -> Call:
    axis, order = _axis(node, -1), node.attribute("p", 2)

    def call(x: torch.Tensor) -> torch.Tensor:
        norm = torch.linalg.vector_norm(x, order, axis, True)
        return x / torch.where(norm == 0, torch.ones_like(norm), norm)

    return call


def _softmax_cross_entropy_loss(node: Node) -> Call:
    reduction, ignored = node.attribute("reduction", "mean"), node.attribute("ignore_index", -100)

    def call(scores: torch.Tensor, labels: torch.Tensor, weights: Value = None) -> Any:
        loss = F.cross_entropy(scores, labels, weights, ignore_index=ignored, reduction=reduction)
        return (loss, F.log_softmax(scores, 1)) if any(node.used[1:]) else loss

    return call


def _instance_normalization(node: Node) -> Call:
    epsilon = node.attribute("epsilon", 1e-5)
    return lambda x, scale, shift: F.instance_norm(x, None, None, scale, shift, True, 0.0, epsilon)


def _group_normalization(node: Node) -> Call:
    groups, epsilon = node.attribute("num_groups"), node.attribute("epsilon", 1e-5)
    refuse(node.opset < 21, "before operator set 21 the scale was one for a group, which was withdrawn")
    return lambda x, scale, shift: F.group_norm(x, groups, scale, shift, epsilon)


def _dropout(node: Node) -> Call:
    refuse(any(node.used[1:]), "the mask as an output is not supported")
    drops = node.drops
    if drops is None or not node.training:
        ratio = float(node.constant(1).item()) if node.has(1) else 0.5
        active = node.has(2) and bool(node.constant(2).item())
        if active and node.training and ratio >= 1:
            return lambda x, *_: x * 0.0
        return lambda x, *_: x
    return lambda x, *_: F.dropout(x, drops, True)


def _bernoulli(node: Node) -> Call:
    if not node.training:
        return lambda x: x  # the probability, as a dropout's mean is
    if node.drops is None:
        raise UnsupportedError("a random draw whose probability is not a constant is not supported")
    keep = 1 - node.drops
    return lambda x: torch.bernoulli(x, keep)


# Shapes


def _shape(node: Node) -> Call:
    dims = list(node.value(0).shape)[node.attribute("start", 0) : node.attribute("end", None)]
    return lambda x: torch.tensor(dims, dtype=torch.int64)


def _size(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


def _reshape(node: Node) -> Call:
    shape = node.integers(1) or []
    if not node.attribute("allowzero", 0):
        shape = [node.value(0).shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return lambda x, _: x.reshape(shape)


def _flatten(node: Node) -> Call:
    axis, shape = node.attribute("axis", 1), node.value(0).shape
    split = axis if axis >= 0 else axis + len(shape)
    rows, columns = math.prod(shape[:split]), math.prod(shape[split:])
    return lambda x: x.reshape(rows, columns)


def _transpose(node: Node) -> Call:
    order = list(node.attribute("perm", range(node.value(0).dim())[::-1]))
    return lambda x: x.permute(order)


def _concat(node: Node) -> Call:
    axis = _axis(node, 0)
    return lambda *values: torch.cat(values, axis)


def _split(node: Node) -> Call:
    axis = _axis(node, 0)
    size, sizes = node.value(0).shape[axis], node.integers(1, "split")
    if sizes is None:
        parts = node.attribute("num_outputs", len(node.used))
        each = -(-size // parts)
        sizes = [max(0, min(each, size - each * i)) for i in range(parts)]
    chosen = sizes
    return lambda x, *_: torch.split(x, chosen, axis)


def _slice(node: Node) -> Call:
    starts, ends = node.integers(1) or [], node.integers(2) or []
    shape = node.value(0).shape
    axes = node.integers(3) or list(range(len(starts)))
    steps = node.integers(4) or [1] * len(starts)
    plain: list[slice] = [slice(None)] * len(shape)
    backwards: list[tuple[int, torch.Tensor]] = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        first, last, by = slice(start, end, step).indices(shape[axis])
        if by > 0:
            plain[axis % len(shape)] = slice(first, max(first, last), by)
        else:
            backwards.append((axis % len(shape), torch.tensor(list(range(first, last, by)), dtype=torch.int64)))

    def call(x: torch.Tensor, *_: Value) -> torch.Tensor:
        x = x[tuple(plain)]
        for axis, rows in backwards:
            x = x.index_select(axis, rows)
        return x

    return call


def _squeeze(node: Node) -> Call:
    axes = node.integers(1, "axes")
    shape = node.value(0).shape
    gone = {i for i, n in enumerate(shape) if n == 1} if axes is None else {axis % len(shape) for axis in axes}
    refuse(any(shape[axis] != 1 for axis in gone), f"axes {axes} of shape {list(shape)} are not all of size 1")
    rest = [n for i, n in enumerate(shape) if i not in gone]
    return lambda x, *_: x.reshape(rest)


def _unsqueeze(node: Node) -> Call:
    axes = node.integers(1, "axes") or []
    rank = node.value(0).dim() + len(axes)
    places = sorted(axis % rank for axis in axes)

    def call(x: torch.Tensor, *_: Value) -> torch.Tensor:
        for place in places:
            x = x.unsqueeze(place)
        return x

    return call


def _expand(node: Node) -> Call:
    shape = torch.broadcast_shapes(node.value(0).shape, tuple(node.integers(1) or []))
    return lambda x, _: x.expand(shape)


def _tile(node: Node) -> Call:
    times = node.integers(1) or []
    return lambda x, _: x.repeat(times)


def _pad(node: Node) -> Call:
    mode = node.attribute("mode", "constant")
    pads, rank = node.integers(1) or [], node.value(0).dim()
    axes = node.integers(3) or list(range(rank))
    both = [[0, 0] for _ in range(rank)]
    for i, axis in enumerate(axes):
        both[axis % rank] = [pads[i], pads[i + len(axes)]]
    if mode == "constant":
        value = node.constant(2).item() if node.has(2) else 0
        flat = [n for pair in reversed(both) for n in pair]
        return lambda x, *_: F.pad(x, flat, value=value)
    names = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    refuse(mode not in names or not 3 <= rank <= 5 or any(map(any, both[:2])), f"mode {mode} of {both} is not supported")
    refuse(any(n < 0 for pair in both for n in pair), f"negative pads {both} in mode {mode} are not supported")
    flat = [n for pair in reversed(both[2:]) for n in pair]
    return lambda x, *_: F.pad(x, flat, mode=names[mode])


def _constant_of_shape(node: Node) -> Call:
    shape, value = node.integers(0) or [], node.attribute("value")
    number = 0.0 if value is None else np.asarray(value).reshape(-1)[0]
    kind = node.dtype if value is None or value.dtype.kind == "f" else torch.bool if value.dtype == bool else torch.int64
    return lambda _: torch.full(shape, number.item() if value is not None else 0.0, dtype=kind)


def _range(node: Node) -> Call:
    start, end, step = (node.constant(i).item() for i in range(3))
    kind = node.value(0).dtype
    return lambda *_: torch.arange(start, end, step, dtype=kind)


def _depth_to_space(node: Node) -> Call:
    count, channels, height, width = node.value(0).shape
    size = int(node.attribute("blocksize"))
    rest = channels // size**2
    if node.attribute("mode", "DCR") == "DCR":
        shape, order = (count, size, size, rest, height, width), (0, 3, 4, 1, 5, 2)
    else:
        shape, order = (count, rest, size, size, height, width), (0, 1, 4, 2, 5, 3)
    return lambda x: x.reshape(shape).permute(order).reshape(count, rest, height * size, width * size)


def _space_to_depth(node: Node) -> Call:
    count, channels, height, width = node.value(0).shape
    size = int(node.attribute("blocksize"))
    high, wide = height // size, width // size
    shape = (count, channels, high, size, wide, size)
    order = (0, 3, 5, 1, 2, 4) if node.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return lambda x: x.reshape(shape).permute(order).reshape(count, channels * size**2, high, wide)


def _eye_like(node: Node) -> Call:
    rows, columns = node.value(0).shape
    code = node.attribute("dtype")
    to = node.value(0).dtype if code is None else _type(int(code), node.dtype)
    ones = torch.ones(rows, columns).triu(node.attribute("k", 0)).tril(node.attribute("k", 0)).to(to)
    return lambda _: ones


def _grid_sample(node: Node) -> Call:
    modes = {"bilinear": "bilinear", "linear": "bilinear", "nearest": "nearest", "bicubic": "bicubic", "cubic": "bicubic"}
    mode = modes[node.attribute("mode", "linear")]
    refuse(mode == "bicubic" and node.value(0).dim() != 4, "mode cubic of volumes is not supported")
    padding, corners = node.attribute("padding_mode", "zeros"), bool(node.attribute("align_corners", 0))
    return lambda x, grid: F.grid_sample(x, grid, mode, padding, corners)


def _nonzero(node: Node) -> Call:
    node.constant(0)  # else the shape of what follows would depend on the batch
    return lambda x: torch.stack(torch.nonzero(x, as_tuple=True))


def _one_hot(node: Node) -> Call:
    depth = int(node.constant(1).reshape(-1)[0].item())
    rank = node.value(0).dim() + 1
    axis = int(node.attribute("axis", -1)) % rank
    classes = torch.arange(depth).reshape([-1 if i == axis else 1 for i in range(rank)])

    def call(indices: torch.Tensor, _: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        indices = indices.to(torch.int64)
        return torch.where(torch.where(indices < 0, indices + depth, indices).unsqueeze(axis) == classes, values[1], values[0])

    return call


#: ONNX's reductions of what is scattered to one place, as torch.scatter_reduce calls them.
_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _scatter_elements(node: Node) -> Call:
    axis, reduction = _axis(node, 0), node.attribute("reduction", "none")
    size = node.value(0).shape[axis]
    if reduction == "none":
        return lambda x, indices, updates: x.scatter(axis, indices % size, updates)
    kind = _REDUCTIONS[reduction]
    return lambda x, indices, updates: x.scatter_reduce(axis, indices % size, updates, kind)


def _scatter_nd(node: Node) -> Call:
    reduction, depth = node.attribute("reduction", "none"), node.value(1).shape[-1]
    if reduction in ("none", "add"):
        return lambda x, indices, updates: x.index_put(indices.unbind(-1), updates, accumulate=reduction == "add")
    kind, shape = _REDUCTIONS[reduction], node.value(0).shape
    places = math.prod(shape[:depth])

    def call(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        place = torch.zeros(indices.shape[:-1], dtype=torch.int64)
        for index, size in zip(indices.unbind(-1), shape[:depth], strict=True):
            place = place * size + index % size
        rows = updates.reshape(place.numel(), -1)
        return x.reshape(places, -1).scatter_reduce(0, place.reshape(-1, 1).expand_as(rows), rows, kind).reshape(shape)

    return call


def _top_k(node: Node) -> Call:
    axis, largest = _axis(node, -1), bool(node.attribute("largest", 1))
    count = int(node.constant(1).reshape(-1)[0].item())

    def call(x: torch.Tensor, _: torch.Tensor) -> Any:
        values, indices = torch.sort(x, dim=axis, descending=largest, stable=True)  # of equal ones the first
        return values.narrow(axis, 0, count), indices.narrow(axis, 0, count)

    return call


def _trilu(node: Node) -> Call:
    diagonal = (node.integers(1) or [0])[0]
    function: Call = torch.triu if node.attribute("upper", 1) else torch.tril
    return lambda x, *_: function(x, diagonal)


# Choosing elements


def _gather(node: Node) -> Call:
    axis, data = _axis(node, 0), node.value(0)
    size, padding = data.shape[axis], node.padding

    if axis == 0 and data.dim() == 2 and data.is_floating_point():
        if padding is not None:
            return lambda x, rows: F.embedding(torch.where(rows < 0, rows + size, rows), x, padding)
        return lambda x, rows: F.embedding(torch.where(rows < 0, rows + size, rows), x)
    refuse(padding is not None, "an embedding of other than two dimensions with a padding row")
    shape = [*data.shape[:axis], *node.value(1).shape, *data.shape[axis + 1 :]]

    def call(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        places = torch.where(places < 0, places + size, places)
        return x.index_select(axis, places.reshape(-1)).reshape(shape)

    return call


def _gather_elements(node: Node) -> Call:
    axis = _axis(node, 0)
    size = node.value(0).shape[axis]
    shape = list(node.value(1).shape)
    bounds = [slice(None) if i == axis else slice(0, n) for i, n in enumerate(shape)]
    return lambda x, places: x[tuple(bounds)].gather(axis, torch.where(places < 0, places + size, places))


def _gather_nd(node: Node) -> Call:
    refuse(node.attribute("batch_dims", 0) != 0, "batch_dims is not supported")
    return lambda x, places: x[tuple(places.movedim(-1, 0))]


def _cum_sum(node: Node) -> Call:
    axis = int(node.constant(1).item())
    reverse, exclusive = node.attribute("reverse", 0), node.attribute("exclusive", 0)

    def call(x: torch.Tensor, _: Value) -> torch.Tensor:
        value = x.flip(axis) if reverse else x
        total = value.cumsum(axis)
        total = total - value if exclusive else total
        return total.flip(axis) if reverse else total

    return call


def _arg(function: Callable[..., torch.Tensor]) -> Callable[[Node], Call]:
    def prepare(node: Node) -> Call:
        refuse(bool(node.attribute("select_last_index", 0)), "select_last_index is not supported")
        axis, keep = _axis(node, 0), bool(node.attribute("keepdims", 1))
        return lambda x: function(x, axis, keep)

    return prepare


# Reductions


def _reduction(function: Callable[..., torch.Tensor]) -> Callable[[Node], Call]:
    def prepare(node: Node) -> Call:
        keep, rank = bool(node.attribute("keepdims", 1)), node.value(0).dim()
        axes = node.integers(1, "axes")
        if not axes:
            if axes is not None and node.attribute("noop_with_empty_axes", 0) or not rank:
                refuse(node.operator not in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"), "a reduction of no axis")
                return lambda x, *_: x
            refuse(axes is None and bool(node.attribute("noop_with_empty_axes", 0)), "noop_with_empty_axes without axes")
            axes = list(range(rank))
        chosen = tuple(axis % rank for axis in axes)
        refuse(
            node.operator in ("ReduceMax", "ReduceMin") and any(node.value(0).shape[axis] == 0 for axis in chosen),
            "an extremum of no elements is not supported",
        )
        return lambda x, *_: function(x, chosen, keep)

    return prepare


def _product(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _identity(x: torch.Tensor) -> torch.Tensor:
    return x


#: How each operator is prepared.
TABLE: dict[str, Callable[[Node], Call]] = {
    "Abs": _plain(torch.abs),
    "Acos": _plain(torch.acos),
    "Acosh": _plain(torch.acosh),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "Asin": _plain(torch.asin),
    "Asinh": _plain(torch.asinh),
    "Atan": _plain(torch.atan),
    "Atanh": _plain(torch.atanh),
    "Attention": attention,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Bernoulli": _bernoulli,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Ceil": _plain(torch.ceil),
    "Celu": _celu,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Cos": _plain(torch.cos),
    "Cosh": _plain(torch.cosh),
    "CumSum": _cum_sum,
    "DepthToSpace": _depth_to_space,
    "Div": _div,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Elu": _elu,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Floor": _plain(torch.floor),
    "GRU": gru,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool(torch.mean),
    "GlobalMaxPool": _global_pool(torch.amax),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "GridSample": _grid_sample,
    "GroupNormalization": _group_normalization,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Hardmax": _hardmax,
    "Identity": _plain(_identity),
    "InstanceNormalization": _instance_normalization,
    "IsInf": lambda node: (lambda x: torch.isinf(x)) if not node.attributes else _unsupported("its attributes"),
    "IsNaN": _plain(torch.isnan),
    "LSTM": lstm,
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _leaky_relu,
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_normalization,
    "MatMul": _plain(torch.matmul),
    "Max": _folded(torch.maximum),
    "MaxPool": _max_pool,
    "Mean": _plain(_mean),
    "Min": _folded(torch.minimum),
    "Mish": _plain(F.mish),
    "Mod": _mod,
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "NonZero": _nonzero,
    "Not": _plain(torch.logical_not),
    "OneHot": _one_hot,
    "Or": _plain(torch.logical_or),
    "PRelu": _plain(_prelu),
    "Pad": _pad,
    "Pow": _pow,
    "RMSNormalization": _rms_normalization,
    "RNN": rnn,
    "Range": _range,
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceL1": _reduction(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceLogSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": _reduction(lambda x, axes, keep: torch.logsumexp(x, axes, keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: torch.amax(x, axes, keep)),
    "ReduceMean": _reduction(lambda x, axes, keep: torch.mean(x, axes, keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: torch.amin(x, axes, keep)),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(lambda x, axes, keep: torch.sum(x, axes, keep)),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep)),
    "Relu": _plain(F.relu),
    "Reshape": _reshape,
    "Resize": resize,
    "RotaryEmbedding": rotary_embedding,
    "Round": _plain(torch.round),
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Selu": _selu,
    "Shape": _shape,
    "Shrink": _shrink,
    "Sigmoid": _plain(torch.sigmoid),
    "Sign": _plain(torch.sign),
    "Sin": _plain(torch.sin),
    "Sinh": _plain(torch.sinh),
    "Size": _plain(_size),
    "Slice": _slice,
    "Softmax": _softmax,
    "SoftmaxCrossEntropyLoss": _softmax_cross_entropy_loss,
    "Softplus": _plain(_softplus),
    "Softsign": _plain(F.softsign),
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Swish": _swish,
    "Tan": _plain(torch.tan),
    "Tanh": _plain(torch.tanh),
    "ThresholdedRelu": _thresholded_relu,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
    "Where": _plain(torch.where),
    "Xor": _plain(torch.logical_xor),
}


def _unsupported(what: str) -> Call:
    raise UnsupportedError(f"{what} are not supported")
