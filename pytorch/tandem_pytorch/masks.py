"""The shared dropout masks in the place of PyTorch's own draws.

A TorchDispatchMode sits below autograd, where every kind of dropout has become one of a few random operators: so
dropout inside attention, LSTM, Dropout2d or stochastic depth is found as well, which replacing ``F.dropout`` would
miss. Draws are numbered by the order of the calls, which is the order of the Dropout nodes in the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from . import philox
from .errors import UnsupportedError

_aten = torch.ops.aten


@dataclass(frozen=True)
class Site:
    """One draw of a forward pass: where in the order of calls, its shape, and the probability to keep an element."""

    index: int
    shape: tuple[int, ...]
    keep: float
    operator: str


class MaskSource:
    """Draws masks for one step and keeps them, so that they can be prepared before a clock starts."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._step = 0
        self._first = 0
        #: The number of each part's first site.
        self.parts = [0]
        self._prepared: dict[tuple[int, tuple[int, ...], float], torch.Tensor] = {}

    def prepare(self, step: int, *parts: list[Site]) -> None:
        """Begin a step: forget the masks of the last one and draw those of the sites that are known, part by part."""
        self._step = step
        self._prepared = {}
        self.parts = [sum(len(sites) for sites in parts[:k]) for k in range(len(parts))]
        for k, sites in enumerate(parts):
            self.begin(k)
            for site in sites:
                self.mask(site.index, site.shape, site.keep)
        self.begin(0)

    def begin(self, part: int) -> None:
        """Begin a part of the step: its sites are numbered behind those of the parts before it."""
        self._first = self.parts[part]

    def mask(self, index: int, shape: tuple[int, ...], keep: float) -> torch.Tensor:
        """Return a site's float32 mask of ones and zeros at the present step."""
        index += self._first
        known = self._prepared.get((index, shape, keep))
        if known is None:
            drawn = philox.keep_mask(shape, keep, self.seed, self._step, index)
            known = torch.from_numpy(drawn).to(torch.float32)
            self._prepared[index, shape, keep] = known
        return known


class SharedMasks(TorchDispatchMode):
    """Replaces every dropout or Bernoulli draw inside the ``with`` block and refuses other random operators.

    ``sites`` lists the draws that were made. ``transform`` may rearrange a mask before it is used: a batch in another
    order must meet the same masks.
    """

    def __init__(self, source: MaskSource, transform: Any = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sites: list[Site] = []
        self._source = source
        self._transform = transform

    def _draw(self, like: torch.Tensor, keep: float, operator: str) -> torch.Tensor:
        site = Site(len(self.sites), tuple(like.shape), keep, operator)
        self.sites.append(site)
        if self._transform is not None:
            mask: torch.Tensor = self._transform(self._source, site)
        else:
            mask = self._source.mask(site.index, site.shape, keep)
        return mask.to(like.dtype)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _aten.bernoulli_.float:
            keep = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            return args[0].copy_(self._draw(args[0], keep, "bernoulli_"))
        if func is _aten.bernoulli.p:
            return self._draw(args[0], args[1], "bernoulli")
        if func is _aten.native_dropout.default:
            value, p, train = args
            if train is False or p == 0:
                return func(*args, **kwargs)
            mask = self._draw(value, 1 - p, "native_dropout")
            return value * (mask / (1 - p)), mask.bool()
        if torch.Tag.nondeterministic_seeded in func.tags and not _draws_nothing(func, args, kwargs):
            raise UnsupportedError(
                f"the forward pass calls {func}, a random operator that cannot draw shared masks; "
                "use nn.Dropout or torch.bernoulli, or draw in the data instead"
            )
        return func(*args, **kwargs)


def _draws_nothing(func: Any, args: Any, kwargs: Any) -> bool:
    """Say whether a random operator's dropout probability is zero in this call, as in attention without dropout."""
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in ("dropout_p", "dropout"):
            value = args[position] if position < len(args) else kwargs.get(argument.name, argument.default_value)
            return bool(value == 0)
    return False
