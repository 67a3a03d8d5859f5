"""ONNX's LSTM, GRU and RNN in PyTorch: by torch's own kernels where the meaning is theirs, step by step where it is not.

ONNX keeps the weights of the gates in another order than PyTorch, all directions in one tensor:
W [directions, gates * hidden, inputs], R [directions, gates * hidden, hidden], B [directions, 2 * gates * hidden].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .onnx_node import Call, Node, Value, refuse

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}

#: A step of one direction: the products of the input with W [batch, gates * hidden], the state and its step's weights.
_Cell = Callable[["_Direction", torch.Tensor, torch.Tensor, Value], tuple[torch.Tensor, Value]]


@dataclass
class _Direction:
    """What one direction of a layer computes with."""

    hidden: int
    activations: list[Callable[[torch.Tensor], torch.Tensor]]
    w: torch.Tensor
    r: torch.Tensor
    b_input: torch.Tensor
    b_state: torch.Tensor
    peepholes: Value


@dataclass
class _Layer:
    """A node's attributes, checked."""

    gates: int
    hidden: int
    directions: int
    reverse: bool
    batch_first: bool
    activations: list[str]
    usual: bool  # the activations are the default ones


def _layer(node: Node, gates: int, default: list[str]) -> _Layer:
    for name in ("clip", "activation_alpha", "activation_beta", "input_forget"):
        refuse(bool(node.attribute(name)), f"the attribute {name} is not supported")
    steps = node.value(0).shape[1 if node.attribute("layout", 0) else 0]
    if node.has(4):
        lengths = node.integers(4)
        refuse(any(length != steps for length in lengths or []), f"sequence_lens {lengths} are not supported: all must be {steps}")
    direction = node.attribute("direction", "forward")
    directions = 2 if direction == "bidirectional" else 1
    usual = default * directions
    activations = [(name.decode() if isinstance(name, bytes) else name).lower() for name in node.attribute("activations", usual)]
    refuse(len(activations) != len(usual) or not set(activations) <= _ACTIVATIONS.keys(), f"the activations {activations} are not supported")
    reverse, batch_first = direction == "reverse", bool(node.attribute("layout", 0))
    return _Layer(gates, node.value(2).shape[2], directions, reverse, batch_first, activations, activations == usual)


def lstm(node: Node) -> Call:
    """Prepare an LSTM, whose gates are input, output, forget, cell."""
    layer = _layer(node, 4, ["sigmoid", "tanh", "tanh"])
    if layer.usual and not layer.reverse and not node.has(7):
        return _kernel(layer, "lstm", [0, 2, 3, 1])
    return _loop(layer, _lstm_step, 3)


def gru(node: Node) -> Call:
    """Prepare a GRU, whose gates are update, reset, hidden."""
    layer = _layer(node, 3, ["sigmoid", "tanh"])
    after = bool(node.attribute("linear_before_reset", 0))
    if layer.usual and not layer.reverse and after:
        return _kernel(layer, "gru", [1, 0, 2])
    return _loop(layer, _gru_after if after else _gru_before, 2)


def rnn(node: Node) -> Call:
    """Prepare an RNN."""
    layer = _layer(node, 1, ["tanh"])
    if len(set(layer.activations)) == 1 and layer.activations[0] != "sigmoid" and not layer.reverse:
        return _kernel(layer, "rnn_" + layer.activations[0], [0])
    return _loop(layer, _rnn_step, 1)


def _kernel(layer: _Layer, name: str, order: list[int]) -> Call:
    """Return a call of torch's function, for which the gates are put into its order."""
    function: Any = getattr(torch._VF, name)  # type: ignore[attr-defined]

    def gates(x: torch.Tensor) -> torch.Tensor:
        parts = x.chunk(layer.gates)
        return torch.cat([parts[i] for i in order]) if layer.gates > 1 else x

    def call(x: torch.Tensor, w: torch.Tensor, r: torch.Tensor, b: Value = None, _: Value = None, h: Value = None, c: Value = None, *__: Value) -> Any:
        x, h, c = _by_time(layer, x, h, c)
        weights = []
        for d in range(layer.directions):
            weights += [gates(w[d]), gates(r[d])]
            if b is not None:
                weights += [gates(half) for half in b[d].chunk(2)]
        state = (h, c) if name == "lstm" else h
        y, *last = function(x, state, weights, b is not None, 1, 0.0, True, layer.directions == 2, False)
        y = y.unflatten(-1, (layer.directions, layer.hidden)).transpose(1, 2)
        return _as_asked(layer, [y, *last])

    return call


def _loop(layer: _Layer, step: _Cell, count: int) -> Call:
    """Return what goes through the steps one by one; ``count`` is how many activations a direction has."""
    named = [_ACTIVATIONS[name] for name in layer.activations]

    def call(x: torch.Tensor, w: torch.Tensor, r: torch.Tensor, b: Value = None, _: Value = None, h: Value = None, c: Value = None, p: Value = None) -> Any:
        x, h, c = _by_time(layer, x, h, c)
        ys, hs, cs = [], [], []
        for d in range(layer.directions):
            b_input, b_state = b[d].chunk(2) if b is not None else (w.new_zeros(w.shape[1]), w.new_zeros(w.shape[1]))
            one = _Direction(
                layer.hidden, named[d * count : (d + 1) * count], w[d], r[d], b_input, b_state, None if p is None else p[d]
            )
            backward = layer.reverse or d == 1
            state, cell, states = h[d], c[d], []
            for t in reversed(range(len(x))) if backward else range(len(x)):
                state, cell = step(one, x[t] @ one.w.t() + one.b_input, state, cell)
                states.append(state)
            ys.append(torch.stack(states[::-1] if backward else states))
            hs.append(state)
            cs.append(cell)
        results = [torch.stack(ys, 1), torch.stack(hs)]
        return _as_asked(layer, results + [torch.stack(cs)] if layer.gates == 4 else results)

    return call


def _by_time(layer: _Layer, x: torch.Tensor, h: Value, c: Value) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return input and states with the time and the directions first; a state that is not given is zero."""
    if layer.batch_first:
        x = x.transpose(0, 1)
        h, c = (None if state is None else state.transpose(0, 1) for state in (h, c))
    zero = x.new_zeros(layer.directions, x.shape[1], layer.hidden)
    return x, zero if h is None else h.contiguous(), zero if c is None else c.contiguous()


def _as_asked(layer: _Layer, results: list[torch.Tensor]) -> Any:
    """Return the outputs [steps, directions, batch, hidden] and [directions, batch, hidden] in the layout of the node."""
    if layer.batch_first:
        results = [results[0].permute(2, 0, 1, 3), *(last.transpose(0, 1) for last in results[1:])]
    return tuple(results)


def _lstm_step(d: _Direction, x: torch.Tensor, h: torch.Tensor, c: Value) -> tuple[torch.Tensor, Value]:
    assert c is not None
    i, o, f, g = (x + h @ d.r.t() + d.b_state).chunk(4, -1)
    gate, candidate, out = d.activations
    if d.peepholes is not None:
        to_i, to_o, to_f = d.peepholes.chunk(3)
        i, f = i + to_i * c, f + to_f * c
    c = gate(f) * c + gate(i) * candidate(g)
    if d.peepholes is not None:
        o = o + to_o * c
    return gate(o) * out(c), c


def _gru_after(d: _Direction, x: torch.Tensor, h: torch.Tensor, c: Value) -> tuple[torch.Tensor, Value]:
    """The reset gate acts on the product, as PyTorch's and cuDNN's does."""
    gate, candidate = d.activations
    (xz, xr, xh), (hz, hr, hh) = x.chunk(3, -1), (h @ d.r.t() + d.b_state).chunk(3, -1)
    z, reset = gate(xz + hz), gate(xr + hr)
    new = candidate(xh + reset * hh)
    return (1 - z) * new + z * h, c


def _gru_before(d: _Direction, x: torch.Tensor, h: torch.Tensor, c: Value) -> tuple[torch.Tensor, Value]:
    """The reset gate acts on the state."""
    gate, candidate = d.activations
    (xz, xr, xh), (rz, rr, rh), (bz, br, bh) = x.chunk(3, -1), d.r.chunk(3), d.b_state.chunk(3)
    z, reset = gate(xz + h @ rz.t() + bz), gate(xr + h @ rr.t() + br)
    new = candidate(xh + (reset * h) @ rh.t() + bh)
    return (1 - z) * new + z * h, c


def _rnn_step(d: _Direction, x: torch.Tensor, h: torch.Tensor, c: Value) -> tuple[torch.Tensor, Value]:
    return d.activations[0](x + h @ d.r.t() + d.b_state), c
