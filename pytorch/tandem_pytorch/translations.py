"""Translations of PyTorch operators that torch.onnx gets wrong, or writes unfit, for training.

============================== ======================================== ===========================================
operator                       what torch.onnx 2.15 writes              what is written here
============================== ======================================== ===========================================
BatchNorm in training mode     inference mode, whatever the module says training_mode=1 with the new statistics
attention with dropout         Dropout without training_mode: a no-op   Dropout with training_mode true
torch.bernoulli(p)             RandomUniformLike, Less, Cast            one Bernoulli node, a dropout site
cross_entropy                  label_smoothing silently dropped         basic operators with all that PyTorch's has
============================== ======================================== ===========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import onnxscript
import torch

_aten = torch.ops.aten

#: What is built here exists since operator set 18 and did not change up to 25.
_op: Any = onnxscript.opset18  # its own types do not know traced values


class UntranslatableError(Exception):
    """A use of an operator that has no right translation; the message says what to do."""


def _per_channel(value: float, source: Any) -> Any:
    """Return a vector of one value as long as the channels of ``source`` (N, C, ...)."""
    return _op.Expand(_op.Constant(value_floats=[value]), _op.Shape(source, start=1, end=2))


def _batch_norm(
    input: Any,
    weight: Any = None,
    bias: Any = None,
    running_mean: Any = None,
    running_var: Any = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """BatchNorm with running statistics. ONNX's momentum weighs the old value, PyTorch's the new one."""
    scale = _per_channel(1.0, input) if weight is None else weight
    shift = _per_channel(0.0, input) if bias is None else bias
    if not training:
        result = _op.BatchNormalization(input, scale, shift, running_mean, running_var, epsilon=eps)
        return result, running_mean, running_var, running_mean, running_var
    result, mean, var = _op.BatchNormalization(
        input, scale, shift, running_mean, running_var, epsilon=eps, momentum=1.0 - momentum, training_mode=1
    )
    # The operator's outputs: result, saved mean, saved inverse deviation (for backward alone), new mean, new variance.
    return result, mean, var, mean, var


def _batch_norm_without_statistics(
    input: Any, weight: Any = None, bias: Any = None, training: bool = True, momentum: float = 0.1, eps: float = 1e-5
) -> Any:
    """BatchNorm that keeps no running statistics: the batch's own in every mode."""
    scale = _per_channel(1.0, input) if weight is None else weight
    shift = _per_channel(0.0, input) if bias is None else bias
    result, mean, var = _op.BatchNormalization(
        input, scale, shift, _per_channel(0.0, input), _per_channel(1.0, input), epsilon=eps, training_mode=1
    )
    return result, mean, var


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(Q K^T scale + mask) V with dropout on the weights, from basic operators."""
    if enable_gqa:
        raise UntranslatableError(
            "scaled_dot_product_attention with enable_gqa is not translated: repeat keys and values in the model"
        )
    rank = len(query.shape)
    factor = scale if scale is not None else 1.0 / math.sqrt(query.shape[-1])
    transposed = _op.Transpose(key, perm=[*range(rank - 2), rank - 1, rank - 2])
    scores = _op.Mul(_op.MatMul(query, transposed), _op.CastLike(_op.Constant(value_float=float(factor)), query))
    blocked = _op.CastLike(_op.Constant(value_float=-math.inf), query)
    if is_causal:
        size = _op.Concat(_op.Shape(query, start=-2, end=-1), _op.Shape(key, start=-2, end=-1), axis=0)
        lower = _op.Trilu(_op.Expand(_op.Constant(value_float=1.0), size), upper=0)
        scores = _op.Where(_op.Cast(lower, to=int(ir.DataType.BOOL)), scores, blocked)
    if attn_mask is not None:
        boolean = attn_mask.dtype == ir.DataType.BOOL
        scores = _op.Where(attn_mask, scores, blocked) if boolean else _op.Add(scores, attn_mask)
    weights = _op.Softmax(scores, axis=-1)
    if dropout_p > 0:
        ratio = _op.Constant(value_float=float(dropout_p))
        weights, _ = _op.Dropout(weights, ratio, _op.Constant(value=ir.tensor(True)))
    return _op.MatMul(weights, value)


def _bernoulli(self: Any, p: float) -> Any:
    probability = _op.CastLike(_op.Constant(value_float=float(p)), self)
    return _op.Bernoulli(_op.Expand(probability, _op.Shape(self)))


def _cross_entropy(
    self: Any, target: Any, weight: Any = None, reduction: int = 1, ignore_index: int = -100, label_smoothing: float = 0.0
) -> Any:
    """PyTorch's cross-entropy of a model that computes its loss itself; scores (C), (N, C) or (N, C, ...).

    With p the log-softmax, w the classes' weights and t the target, the loss of a position is -w[t] p[t], of target
    probabilities -sum of w t p over the classes. Smoothing by e takes e of it away and adds e/C times -sum of w p. A mean is
    over the sum of w[t] of the positions that are not ignored, of probabilities over the number of positions.
    """
    axis = 0 if len(self.shape) == 1 else 1
    classes = self.shape[axis]
    if not isinstance(classes, int):
        raise UntranslatableError("the model computes cross_entropy of a number of classes that is not fixed")
    if reduction == 0:  # torch.onnx 2.15 declares its result a scalar, and what follows after it wrongly too
        raise UntranslatableError(
            'the model computes cross_entropy with reduction="none", whose shape torch.onnx gets wrong: write '
            "-F.log_softmax(scores, 1).gather(1, target.unsqueeze(1)).squeeze(1)"
        )
    logarithm = _op.LogSoftmax(self, axis=axis)
    spread = None if weight is None else _op.Reshape(weight, _op.Constant(value_ints=[-1] + [1] * (len(self.shape) - 1 - axis)))
    weighted = logarithm if spread is None else _op.Mul(logarithm, spread)
    along = _op.Constant(value_ints=[axis])

    def number(value: float) -> Any:
        return _op.CastLike(_op.Constant(value_float=float(value)), self)

    divisor = None
    if target.dtype == ir.DataType.INT64:
        counted = _op.Not(_op.Equal(target, _op.Constant(value_int=ignore_index)))
        label = _op.Unsqueeze(_op.Where(counted, target, _op.Constant(value_int=0)), along)
        mask = _op.CastLike(counted, self)
        each = _op.Mul(_op.Squeeze(_op.GatherElements(weighted, label, axis=axis), along), mask)
        smooth = _op.Mul(_op.ReduceSum(weighted, along, keepdims=0), mask) if label_smoothing > 0 else None
        divisor = mask
        if weight is not None:
            divisor = _op.Mul(mask, _op.Gather(weight, _op.Squeeze(label, along)))
    else:
        each = _op.ReduceSum(_op.Mul(weighted, target), along, keepdims=0)
        smooth = _op.ReduceSum(weighted, along, keepdims=0) if label_smoothing > 0 else None
    if smooth is not None:  # each + e (smooth/C - each): e and C stand in the graph as they are, and no rounded 1 - e or e/C
        each = _op.Add(
            each, _op.Mul(_op.Sub(_op.Div(smooth, number(classes)), each), number(label_smoothing))
        )
    loss = _op.Neg(each)
    if reduction == 2:
        return _op.ReduceSum(loss, keepdims=0)
    if divisor is None:
        return _op.ReduceMean(loss, keepdims=0)
    return _op.Div(_op.ReduceSum(loss, keepdims=0), _op.ReduceSum(divisor, keepdims=0))


def table() -> dict[Any, Callable[..., Any]]:
    """Return the translation table for ``torch.onnx.export(custom_translation_table=...)``."""
    return {
        _aten._native_batch_norm_legit_functional.default: _batch_norm,
        _aten._native_batch_norm_legit.no_stats: _batch_norm_without_statistics,
        _aten.scaled_dot_product_attention.default: _attention,
        _aten.bernoulli.p: _bernoulli,
        _aten.cross_entropy_loss.default: _cross_entropy,
    }
