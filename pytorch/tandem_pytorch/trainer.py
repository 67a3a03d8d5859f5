"""The timed training step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from . import modes, optimizers
from .data import Batch, Data
from .errors import UnsupportedError
from .experiment import Experiment
from .gradients import call, copies
from .losses import LossFunction, outputs
from .masks import MaskSource, SharedMasks, Site


class Trainer:
    """Trains a module batch by batch, each step timed by itself.

    The clock covers clearing the gradients, forward, loss, backward, clipping, the optimizer's update and reading the loss. The
    batch is fetched and shared masks are drawn before it starts. Where gradients are added up over several batches, the step's
    parts, all of them are: each has its forward and backward pass, and its loss divided by their number.
    """

    def __init__(
        self,
        experiment: Experiment,
        module: nn.Module,
        data: Data,
        loss: LossFunction,
        mode: str,
        shared: bool,
        output: int = 0,
    ) -> None:
        self.mode = modes.find(mode)
        if self.mode.channels_last:
            modes.lay_out(module, mode)
        self.step = 0
        self.data = data
        self.masks = MaskSource(experiment.seed)
        self.settings = experiment.optimizer
        self.schedule = experiment.schedule
        self._part = experiment.batch if experiment.accumulate > 1 else 0
        self._averages = experiment.loss.reduction != "sum"
        self.optimizer = optimizers.build(self.settings, dict(module.named_parameters()), self.mode.implementation)
        self._module = module.train()
        self._parameters = list(module.parameters())
        self._loss = loss
        self._output = output
        self._shared = shared
        self._sites: dict[int, list[Site]] = {}
        self._forward: Callable[..., torch.Tensor] = self._plain_forward
        self._update: Callable[[], object] = self.optimizer.step
        if self.mode.compiled:
            if shared and self.sites(self.parts(data.batch(0))[0]):
                raise UnsupportedError(
                    f'mode "{mode}" cannot draw shared dropout masks, since its compiled graph draws its own; '
                    'load with random "own", or in mode "eager" or "fused"'
                )
            self._shared = False
            self._forward = modes.compiled(self._plain_forward, self.mode.autotuned)
        if self.mode.compiled_update:
            if self.schedule.kind != "constant" or self.schedule.warm_up > 0:
                raise UnsupportedError(
                    f'mode "{mode}": torch compiles the update anew for each learning rate of a schedule; '
                    'the mode "compile-fused" compiles the rest'
                )
            self._update = modes.compiled(self.optimizer.step)

    def sites(self, batch: Batch) -> list[Site]:
        """Return the dropout draws of a batch of this size, found by one forward pass that changes nothing."""
        known = self._sites.get(batch.size)
        if known is None:
            probe = SharedMasks(MaskSource(0))
            with torch.no_grad(), probe:
                call(self._module, copies(self._module, torch.float32), batch.inputs, torch.float32)
            known = self._sites[batch.size] = probe.sites
        return known

    def present(self) -> Batch:
        """Return the present step's batch, with the shared masks of the step prepared."""
        batch = self._batch()
        self.masks.prepare(self.step, *(self.sites(part) for part in self.parts(batch)))
        return batch

    def parts(self, batch: Batch) -> list[Batch]:
        """Return the parts of a step's batch, each with a forward and backward pass of its own; one, where nothing is added up."""
        return batch.parts(self._part) if 0 < self._part < batch.size else [batch]

    def share(self, parts: int) -> float:
        """Return what the loss of each of so many parts is multiplied with."""
        return 1.0 / parts if self._averages else 1.0

    def train(self) -> tuple[float, float]:
        """Take one step and return its loss and its wall time in seconds."""
        if self._shared:
            batch = self.present()
            # Without a draw there is nothing to replace, and the mode's own cost falls away.
            if any(self.sites(part) for part in self.parts(batch)):
                result = self._timed(self._masked_forward, batch)
            else:
                result = self._timed(self._forward, batch)
        else:
            result = self._timed(self._forward, self._batch())
        self.step += 1
        return result

    def _batch(self) -> Batch:
        batch = self.data.batch(self.step)
        if self.mode.channels_last:
            return Batch(tuple(modes.images_last(value) for value in batch.inputs), batch.target)
        return batch

    def _timed(self, forward: Callable[..., torch.Tensor], batch: Batch) -> tuple[float, float]:
        if len(parts := self.parts(batch)) > 1:
            return self._timed_parts(forward, parts)
        inputs, target, optimizer, update = batch.inputs, batch.target, self.optimizer, self._update
        start = time.perf_counter_ns()
        optimizer.zero_grad(set_to_none=True)
        loss = forward(inputs, target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizers.update(
            optimizer,
            self._parameters,
            self.settings,
            self.schedule,
            self.step,
            foreach=self.mode.implementation != "",
            apply=update,
        )
        value = loss.item()
        end = time.perf_counter_ns()
        return value, (end - start) / 1e9

    def _timed_parts(self, forward: Callable[..., torch.Tensor], parts: list[Batch]) -> tuple[float, float]:
        averages, count = self._averages, len(parts)
        total = torch.zeros(())
        start = time.perf_counter_ns()
        self.optimizer.zero_grad(set_to_none=True)
        for number, part in enumerate(parts):
            if forward == self._masked_forward:
                self.masks.begin(number)
            loss = forward(part.inputs, part.target)
            if averages:
                loss = loss / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        optimizers.update(
            self.optimizer,
            self._parameters,
            self.settings,
            self.schedule,
            self.step,
            foreach=self.mode.implementation != "",
            apply=self._update,
        )
        value = total.item()
        end = time.perf_counter_ns()
        return value, (end - start) / 1e9

    def _plain_forward(self, inputs: tuple[torch.Tensor, ...], target: torch.Tensor) -> torch.Tensor:
        returned: Any = self._module(*inputs)
        return self._loss(outputs(returned)[self._output], target)

    def _masked_forward(self, inputs: tuple[torch.Tensor, ...], target: torch.Tensor) -> torch.Tensor:
        with SharedMasks(self.masks):
            return self._plain_forward(inputs, target)
