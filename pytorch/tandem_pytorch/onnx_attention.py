"""ONNX's Attention and RotaryEmbedding (operator set 23 and newer) in PyTorch."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from .onnx_node import Call, Node, Value, refuse


def attention(node: Node) -> Call:
    """Prepare an Attention: scores, softcap, mask, softmax, values, as the operator's function body has them."""
    refuse(node.has(6) and node.has(4), "nonpad_kv_seqlen beside past_key is not supported")
    left, right = node.attribute("left_window_size", -1), node.attribute("right_window_size", -1)
    rank = node.value(0).dim()
    heads = node.attribute("q_num_heads") if rank == 3 else node.value(0).shape[1]
    shared = node.attribute("kv_num_heads") if rank == 3 else node.value(1).shape[1]
    refuse(not heads or not shared or heads % shared != 0, f"{heads} heads of queries for {shared} of keys")
    width = node.value(0).shape[-1] // heads if rank == 3 else node.value(0).shape[-1]
    scale = node.attribute("scale", 1.0 / math.sqrt(width))
    softcap, causal = node.attribute("softcap", 0.0), bool(node.attribute("is_causal", 0))
    mode = node.attribute("qk_matmul_output_mode", 0)

    def split(x: torch.Tensor, count: int) -> torch.Tensor:
        return x.unflatten(-1, (count, -1)).transpose(1, 2) if rank == 3 else x

    def call(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: Value = None,
        past_key: Value = None,
        past_value: Value = None,
        lengths: Value = None,
    ) -> Any:
        query, key, value = split(query, heads), split(key, shared), split(value, shared)
        before = 0
        if past_key is not None and past_value is not None:
            before = past_key.shape[2]
            key, value = torch.cat([past_key, key], 2), torch.cat([past_value, value], 2)
        present = key, value
        if heads != shared:
            key, value = (x.repeat_interleave(heads // shared, 1) for x in (key, value))
        length, keys = query.shape[2], key.shape[2]
        bias = _bias(mask, keys, query.dtype)
        if causal or left >= 0 or right >= 0 or lengths is not None:
            column = torch.arange(keys)
            first = torch.tensor(before) if lengths is None else lengths.reshape(-1, 1, 1, 1) - length
            ahead = column - (torch.arange(length).unsqueeze(-1) + first)  # how far a key is behind its query
            hidden = torch.zeros_like(ahead, dtype=torch.bool)
            if causal:
                hidden = hidden | (ahead > 0)
            if left >= 0:
                hidden = hidden | (-ahead > left)
            if right >= 0:
                hidden = hidden | (ahead > right)
            if lengths is not None:
                hidden = hidden | (column >= lengths.reshape(-1, 1, 1, 1))
            seen = torch.zeros(hidden.shape, dtype=query.dtype).masked_fill(hidden, -math.inf)
            bias = seen if bias is None else bias + seen
        scores = (query @ key.transpose(-1, -2)) * scale
        shown = scores
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
            shown = scores if mode == 1 else shown
        if bias is not None:
            scores = scores + bias
            shown = scores if mode == 2 else shown
            blocked = (bias == -math.inf).all(-1, keepdim=True)  # a row that sees nothing is zero, not NaN
            weights = F.softmax(scores.masked_fill(blocked, 0.0), -1).masked_fill(blocked, 0.0)
        else:
            shown = scores if mode == 2 else shown
            weights = F.softmax(scores, -1)
        result = weights @ value
        if rank == 3:
            result = result.transpose(1, 2).flatten(2)
        if not any(node.used[1:]):
            return result
        return result, *present, weights if mode == 3 else shown

    return call


def _bias(mask: Value, keys: int, dtype: torch.dtype) -> Value:
    """Return a mask as what is added to the scores; the keys that a short one leaves out are not seen."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, -math.inf)
    missing = keys - mask.shape[-1]
    return F.pad(mask, (0, missing), value=-math.inf) if missing > 0 else mask


def rotary_embedding(node: Node) -> Call:
    """Prepare a RotaryEmbedding: pairs of numbers are turned by the angle of their token's place."""
    rank, heads = node.value(0).dim(), node.attribute("num_heads", 0)
    width = node.value(0).shape[-1] // heads if rank == 3 else node.value(0).shape[-1]
    turned = node.attribute("rotary_embedding_dim", 0) or width
    interleaved = bool(node.attribute("interleaved", 0))

    def call(x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, places: Value = None) -> torch.Tensor:
        if rank == 3:
            x = x.unflatten(-1, (heads, width)).transpose(1, 2)
        if places is not None:
            cosines, sines = cosines[places], sines[places]
        cosines, sines = cosines.unsqueeze(1), sines.unsqueeze(1)  # for all heads
        part, rest = x[..., :turned], x[..., turned:]
        a, b = (part[..., ::2], part[..., 1::2]) if interleaved else part.chunk(2, -1)
        pair = cosines * a - sines * b, sines * a + cosines * b
        result = torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)
        result = torch.cat([result, rest], -1)
        return result.transpose(1, 2).flatten(2) if rank == 3 else result

    return call
