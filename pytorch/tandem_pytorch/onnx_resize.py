"""ONNX's Resize in PyTorch: along each axis a product with the matrix of its weights, which are computed in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .errors import UnsupportedError
from .onnx_node import Call, Node, refuse


def resize(node: Node) -> Call:
    """Prepare a Resize. The formulas are those of ONNX's specification of operator set 19."""
    refuse(node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch", "keep_aspect_ratio_policy is not supported")
    shape = list(node.value(0).shape)
    axes = [axis % len(shape) for axis in node.attribute("axes", range(len(shape)))]
    mode, position = node.attribute("mode", "nearest"), node.attribute("coordinate_transformation_mode", "half_pixel")
    sizes = node.integers(3)
    if sizes:
        scales = [size / shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    else:
        scales = [float(scale) for scale in node.constant(2).reshape(-1).tolist()]
        sizes = [math.floor(shape[axis] * scale) for axis, scale in zip(axes, scales, strict=True)]
    refuse(len(sizes) != len(axes), f"{len(sizes)} sizes for {len(axes)} axes")
    given = {axis: (size, scale) for axis, size, scale in zip(axes, sizes, scales, strict=True) if (size, scale) != (shape[axis], 1.0)}
    fast = _interpolation(node, mode, position, given)
    if fast is not None:
        return fast
    steps: list[Call] = []
    for axis, (size, scale) in given.items():
        steps.append(_along(axis, _matrix(node, mode, position, shape[axis], size, scale), node.dtype))

    def call(x: torch.Tensor, *_: torch.Tensor | None) -> torch.Tensor:
        for step in steps:
            x = step(x)
        return x

    return call


def _interpolation(node: Node, mode: str, position: str, given: dict[int, tuple[int, float]]) -> Call | None:
    """Return PyTorch's own call, if it means the same: images, linearly, by whole sizes."""
    shape = node.value(0).shape
    if mode != "linear" or len(shape) != 4 or not given.keys() <= {2, 3} or node.attribute("antialias", 0):
        return None
    if position not in ("half_pixel", "align_corners") or any(size != shape[axis] * scale for axis, (size, scale) in given.items()):
        return None
    size = [given[axis][0] if axis in given else shape[axis] for axis in (2, 3)]
    corners = position == "align_corners"
    return lambda x, *_: F.interpolate(x, size, mode="bilinear", align_corners=corners)


def _along(axis: int, weights: torch.Tensor, dtype: torch.dtype) -> Call:
    """Return what multiplies an axis with a matrix [size after, size before]; a row of one 1 picks an element."""
    if bool(((weights == 1).sum(1) == 1).all() and ((weights == 0).sum(1) == weights.shape[1] - 1).all()):
        indices = weights.argmax(1)
        return lambda x: x.index_select(axis, indices)
    turned = weights.to(dtype).t()
    return lambda x: (x.movedim(axis, -1) @ turned).movedim(-1, axis)


def _matrix(node: Node, mode: str, position: str, before: int, after: int, scale: float) -> torch.Tensor:
    antialias = bool(node.attribute("antialias", 0)) and mode != "nearest"
    coefficients = _coefficients(node, mode, min(scale, 1.0) if antialias else 1.0)
    exclude = bool(node.attribute("exclude_outside", 0))
    weights = torch.zeros(after, before, dtype=torch.float64)
    for row in range(after):
        x = _position(position, row, before, after, scale)
        left = math.ceil(x) - 1  # so that a whole number is the right one of its two neighbours
        found = coefficients(x - left)
        first = left - len(found) // 2 + 1
        if exclude:
            found = [c if 0 <= first + i < before else 0.0 for i, c in enumerate(found)]
            total = sum(found)
            found = [c / total for c in found]
        for i, c in enumerate(found):
            weights[row, min(max(first + i, 0), before - 1)] += c
    return weights


def _position(mode: str, index: int, before: int, after: int, scale: float) -> float:
    """Return where an element of the result lies among those before."""
    if mode == "half_pixel" or mode == "pytorch_half_pixel" and after > 1:
        return (index + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return 0.0
    if mode == "asymmetric":
        return index / scale
    if mode == "align_corners":
        width = scale * before
        return 0.0 if width == 1 else index * (before - 1) / (width - 1)
    if mode == "half_pixel_symmetric":
        return before / 2 * (1 - after / (scale * before)) + (index + 0.5) / scale - 0.5
    raise UnsupportedError(f"coordinate_transformation_mode {mode} is not supported")


def _coefficients(node: Node, mode: str, stretch: float) -> Callable[[float], list[float]]:
    """Return what gives the weights of the neighbours of a place; its argument is the distance from the left one, in (0, 1]."""
    if mode == "nearest":
        return _nearest(node.attribute("nearest_mode", "round_prefer_floor"))
    if mode == "linear":
        kernel, reach = _tent, 1
    elif mode == "cubic":
        kernel, reach = _cubic(node.attribute("cubic_coeff_a", -0.75)), 2
    else:
        raise UnsupportedError(f"mode {mode} is not supported")
    start = math.floor(-reach / stretch) + 1

    def call(ratio: float) -> list[float]:
        found = [kernel(abs(i - ratio) * stretch) for i in range(start, 2 - start)]
        if stretch == 1:
            return found
        total = sum(found)
        return [c / total for c in found]

    return call


def _tent(x: float) -> float:
    return max(1.0 - x, 0.0)


def _cubic(a: float) -> Callable[[float], float]:
    """Keys' kernel. R. Keys, Cubic convolution interpolation for digital image processing, 1981."""

    def kernel(x: float) -> float:
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0

    return kernel


def _nearest(mode: str) -> Callable[[float], list[float]]:
    right = {
        "round_prefer_floor": lambda ratio: ratio > 0.5,
        "round_prefer_ceil": lambda ratio: ratio >= 0.5,
        "floor": lambda ratio: ratio == 1,
        "ceil": lambda ratio: True,
    }.get(mode)
    if right is None:
        raise UnsupportedError(f"nearest_mode {mode} is not supported")
    return lambda ratio: [0.0, 1.0] if right(ratio) else [1.0, 0.0]
