"""Legitimate ways to compute the same float32 gradient that differ in rounding alone.

Their spread around the float64 gradient is the reference's noise floor. A variant that would change the mathematics
for a model (halves of a batch under BatchNorm, for instance) is refused: variants that rearrange the batch must first
agree with the plain gradient in float64, and with its scalar outputs. Where a model has those, as a loss that it computes
itself, every batch is asked anew: whether a scalar of a batch is the mean of its halves' may depend on the samples.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from . import losses
from .data import Batch
from .errors import UnsupportedError
from .experiment import Loss
from .gradients import Evaluation, MaskTransform, Model, evaluate, joined
from .masks import MaskSource, Site

#: Largest norm-wise difference in float64 between a rearranged batch's gradient and the plain one. Rounding of
#: reductions stays orders below; another semantics stays orders above.
AGREEMENT = 1e-9


def names() -> list[str]:
    """The variants, by the names that ``grad`` takes."""
    return list(_VARIANTS)


class Variants:
    """Computes gradients by variant for one loaded model, and remembers which variants that model admits."""

    def __init__(self, model: Model, loss: Loss, source: MaskSource, static: bool = False) -> None:
        self._model = model
        self._static = static
        self._loss = loss
        self._source = source
        self._refused: dict[str, str | None] = {}
        self._buffers: dict[str, torch.Tensor] | None = None

    def step(
        self, variant: str, parts: list[Batch], share: float, dtype: torch.dtype, activations: bool = False
    ) -> Evaluation:
        """Return the gradient of a step of several parts; each has the running statistics that the one before it leaves."""
        done: list[Evaluation] = []
        try:
            for number, part in enumerate(parts):
                self._source.begin(number)
                done.append(self.evaluate(variant, part, dtype, activations))
                self._buffers = done[-1].buffers
        finally:
            self._source.begin(0)
            self._buffers = None
        return done[0] if len(done) == 1 else joined(done, share)

    def evaluate(
        self, variant: str, batch: Batch, dtype: torch.dtype = torch.float32, activations: bool = False
    ) -> Evaluation:
        """Return the gradient of a batch, computed as ``variant`` says; the empty name is the plain way."""
        if not variant:
            return self._run(batch, dtype, activations)
        if variant not in _VARIANTS:
            raise UnsupportedError(f'variant "{variant}" is none of {", ".join(_VARIANTS)}')
        run = _VARIANTS[variant]
        if variant in _REARRANGING:
            self._admit(variant, run, batch)
        return run(self, batch, dtype, activations)

    def _admit(self, variant: str, run: _Run, batch: Batch) -> None:
        """Refuse a rearranging variant whose float64 gradient is not the plain one's; asked once per model.

        It is asked for each batch where outputs are scalars, which are compared too.
        """
        if variant not in self._refused:
            plain = evaluate(self._model, batch, self._source, torch.float64)
            other = run(self, batch, torch.float64, False)
            scalars = {name: value for name, value in plain.outputs.items() if value.dim() == 0}
            gap = _distance(plain, other)
            reason = None if gap <= AGREEMENT else f"its float64 gradient differs from the plain one's by {gap:.1e}"
            for name, value in scalars.items():
                off = abs(float(other.outputs[name] - value)) / max(abs(float(value)), torch.finfo(torch.float64).tiny)
                if reason is None and not off <= AGREEMENT:
                    reason = f"the scalar output {name} differs from the plain one in float64 by {off:.1e}"
            if reason is None and scalars:
                return
            self._refused[variant] = reason
        reason = self._refused[variant]
        if reason is not None:
            raise UnsupportedError(
                f'variant "{variant}" is not the same computation for this model: {reason}; '
                "its samples depend on each other, as in BatchNorm or a loss of the whole batch that is no mean over its samples"
            )

    def _run(self, batch: Batch, dtype: torch.dtype, activations: bool, **extra: Any) -> Evaluation:
        return evaluate(self._model, batch, self._source, dtype, activations=activations, buffers=self._buffers, **extra)

    # The variants themselves. Each takes the batch, the element type and whether activations are wanted.

    def _one_thread(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        return self._with_threads(1, batch, dtype, activations)

    def _all_threads(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        return self._with_threads(os.cpu_count() or 1, batch, dtype, activations)

    def _with_threads(self, count: int, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            return self._run(batch, dtype, activations)
        finally:
            torch.set_num_threads(before)

    def _without_mkldnn(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # switching oneDNN off warns about the GPUs of another maker
            with torch.backends.mkldnn.flags(enabled=False):
                return self._run(batch, dtype, activations)

    def _permuted(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        """The batch's rows in another, fixed order, with masks alike; outputs in the original order."""
        order = torch.randperm(batch.size, generator=torch.Generator().manual_seed(0))
        moved = Batch(tuple(value[order] for value in batch.inputs), batch.target[order])
        result = self._run(moved, dtype, activations, transform=_rows_of_mask(batch.size, order))
        back = torch.argsort(order)
        for values in (result.outputs, result.activations):
            for name, value in values.items():
                if value.dim() == 0 and values is result.outputs:
                    continue
                values[name] = _blocks(value, batch.size, name)[back].reshape(value.shape)
        return result

    def _split(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        """The batch in two halves, each with its share of the masks; losses and gradients summed by their weights."""
        if batch.size < 2:
            raise UnsupportedError('variant "split" needs a batch of at least two samples')
        if self._static:
            raise UnsupportedError('variant "split" needs a model that takes batches of any size, and this one was exported static')
        middle = (batch.size + 1) // 2
        parts: list[tuple[float, Evaluation]] = []
        for rows in (torch.arange(middle), torch.arange(middle, batch.size)):
            part = Batch(tuple(value[rows] for value in batch.inputs), batch.target[rows])
            weight = losses.weight(self._loss, part.target) / losses.weight(self._loss, batch.target)
            parts.append((weight, self._run(part, dtype, activations, transform=_rows_of_mask(batch.size, rows))))
        first = parts[0][1]
        return Evaluation(
            loss=_weighted([(weight, part.loss) for weight, part in parts]),
            gradients={
                name: _weighted([(weight, part.gradients[name]) for weight, part in parts]) for name in first.gradients
            },
            outputs={
                name: torch.cat([part.outputs[name] for _, part in parts])
                if value.dim() > 0
                else _weighted([(weight, part.outputs[name]) for weight, part in parts])
                for name, value in first.outputs.items()
            },
            activations={name: torch.cat([part.activations[name] for _, part in parts]) for name in first.activations},
            buffers=first.buffers,  # what depends on the batch is not admitted
        )

    def _flipped(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        with _Flipped():
            return self._run(batch, dtype, activations)

    def _halved(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        with _Halved():
            return self._run(batch, dtype, activations)

    def _logsumexp(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        """Cross-entropy as logsumexp(z) - z[target], instead of torch's log_softmax."""
        if self._loss.kind != "cross_entropy" or not self._loss.plain:
            raise UnsupportedError('variant "logsumexp" needs a cross-entropy without settings')
        mean = self._loss.reduction == "mean"

        def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            rows, classes = losses.as_rows(self._loss, logits, target)
            each = torch.logsumexp(rows, 1) - rows.gather(1, classes.unsqueeze(1)).squeeze(1)
            return each.mean() if mean else each.sum()

        return self._run(batch, dtype, activations, loss=loss)

    def _channels_last(self, batch: Batch, dtype: torch.dtype, activations: bool) -> Evaluation:
        """4-D inputs and weights with the channel as the fastest dimension."""
        if not any(value.dim() == 4 for value in batch.inputs):
            raise UnsupportedError('variant "channels_last" needs a model with a 4-D input')

        def prepare(value: torch.Tensor) -> torch.Tensor:
            return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value

        return self._run(batch, dtype, activations, prepare=prepare)


_Run = Callable[[Variants, Batch, torch.dtype, bool], Evaluation]

_VARIANTS: dict[str, _Run] = {
    "threads=1": Variants._one_thread,
    "threads=all": Variants._all_threads,
    "mkldnn=off": Variants._without_mkldnn,
    "permuted": Variants._permuted,
    "split": Variants._split,
    "flipped": Variants._flipped,
    "halved": Variants._halved,
    "logsumexp": Variants._logsumexp,
    "channels_last": Variants._channels_last,
}

#: Variants that are right only where samples do not depend on each other or on their order.
_REARRANGING = ("permuted", "split")

_CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)


class _Flipped(TorchFunctionMode):
    """Sums every linear layer's and ungrouped convolution's products in the opposite order of input features."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.linear:
            return func(args[0].flip(-1), args[1].flip(-1), *args[2:], **kwargs)
        if func in _CONVOLUTIONS and args[0].shape[-args[1].dim() + 1] == args[1].shape[1]:
            channel = -args[1].dim() + 1
            return func(args[0].flip(channel), args[1].flip(1), *args[2:], **kwargs)
        return func(*args, **kwargs)


class _Halved(TorchFunctionMode):
    """Computes every linear layer and ungrouped convolution as the sum of two, each over half of the input features."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.linear and args[1].shape[-1] >= 2:
            middle = args[1].shape[-1] // 2
            upper = func(args[0][..., middle:], args[1][..., middle:])
            return func(args[0][..., :middle], args[1][..., :middle], *args[2:], **kwargs) + upper
        channel = -args[1].dim() + 1 if func in _CONVOLUTIONS else 0
        if channel != 0 and args[0].shape[channel] == args[1].shape[1] >= 2:
            middle, features = args[1].shape[1] // 2, args[1].shape[1]
            unbiased = {**kwargs, "bias": None} if "bias" in kwargs else kwargs
            upper = func(
                args[0].narrow(channel, middle, features - middle),
                args[1].narrow(1, middle, features - middle),
                *(None, *args[3:])[: max(0, len(args) - 2)],
                **unbiased,
            )
            return func(args[0].narrow(channel, 0, middle), args[1].narrow(1, 0, middle), *args[2:], **kwargs) + upper
        return func(*args, **kwargs)


def _rows_of_mask(batch: int, rows: torch.Tensor) -> MaskTransform:
    """Return the transform that gives the masks of some rows of a batch, in the order of ``rows``.

    A mask's first dimension is the batch, or the batch times something within a sample, as in attention's
    (batch * heads, ...).
    """

    def transform(source: MaskSource, site: Site) -> torch.Tensor:
        if not site.shape or site.shape[0] % len(rows) != 0:
            raise UnsupportedError(
                f"dropout site {site.index} draws a mask of shape {list(site.shape)}, whose first dimension is not the "
                f"batch: the variant cannot rearrange it"
            )
        whole = (site.shape[0] // len(rows) * batch, *site.shape[1:])
        mask = source.mask(site.index, whole, site.keep)
        return _blocks(mask, batch, f"mask {site.index}")[rows].reshape(site.shape)

    return transform


def _blocks(value: torch.Tensor, batch: int, name: str) -> torch.Tensor:
    """View a tensor as (batch, what belongs to a sample)."""
    if value.dim() == 0 or value.shape[0] % batch != 0:
        raise UnsupportedError(
            f"{name} has shape {list(value.shape)}, whose first dimension is not the batch of {batch}"
        )
    return value.reshape(batch, -1)


def _weighted(parts: list[tuple[float, torch.Tensor]]) -> torch.Tensor:
    total = parts[0][0] * parts[0][1]
    for weight, value in parts[1:]:
        total = total + weight * value
    return total


def _distance(reference: Evaluation, other: Evaluation) -> float:
    """Return the norm of the gradients' difference over the norm of the reference's."""
    difference = sum(float((other.gradients[n] - g).square().sum()) for n, g in reference.gradients.items())
    norm = sum(float(g.square().sum()) for g in reference.gradients.values())
    return (difference / norm) ** 0.5 if norm > 0 else (0.0 if difference == 0 else float("inf"))
