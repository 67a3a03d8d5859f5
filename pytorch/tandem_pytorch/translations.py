"""Translations of PyTorch operators that torch.onnx gets wrong, or writes unfit, for training.

============================== ======================================== ===========================================
operator                       what torch.onnx 2.15 writes              what is written here
============================== ======================================== ===========================================
BatchNorm in training mode     inference mode, whatever the module says training_mode=1 with the new statistics
attention with dropout         Dropout without training_mode: a no-op   Dropout with training_mode true
torch.bernoulli(p)             RandomUniformLike, Less, Cast            one Bernoulli node, a dropout site
cross_entropy                  label_smoothing silently dropped         refused: the loss stays outside the graph
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


def _cross_entropy(self: Any, target: Any, *rest: Any, **options: Any) -> Any:
    raise UntranslatableError(
        "the model computes cross_entropy itself: return the logits, since the loss stays outside the graph"
    )


def table() -> dict[Any, Callable[..., Any]]:
    """Return the translation table for ``torch.onnx.export(custom_translation_table=...)``."""
    return {
        _aten._native_batch_norm_legit_functional.default: _batch_norm,
        _aten._native_batch_norm_legit.no_stats: _batch_norm_without_statistics,
        _aten.scaled_dot_product_attention.default: _attention,
        _aten.bernoulli.p: _bernoulli,
        _aten.cross_entropy_loss.default: _cross_entropy,
    }
