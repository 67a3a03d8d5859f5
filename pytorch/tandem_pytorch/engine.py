"""The reference engine: ``python -m tandem_pytorch.engine`` answers tandem's engine protocol with PyTorch.

The Go package results/engine specifies every command. What is this engine's own:

- Modes are those of the module ``modes``: "eager" is torch as it comes, "fused" has the one-kernel optimizer, "compile"
  compiles everything, and so on.
- ``grad`` always runs eagerly and always with the shared masks of the present step, whatever was loaded.
- ``grad`` answers "unsupported" for a variant that would not be the same computation for the loaded model.
- Dropout under random "own" is torch's, seeded with the experiment's seed at load.
- Activations are outputs of modules, under the ONNX value names that the exporter has matched by their numbers.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from . import (
    __version__,
    gradients,
    losses,
    memory,
    model_file,
    onnx_module,
    optimizers,
    parameters,
    protocol,
    state,
    variants,
)
from . import experiment as experiments
from .data import SPLITS, Data, digest
from .errors import InputError, UnsupportedError
from .experiment import Experiment
from .files import TensorFile, listing, write_tensors
from .models import source
from .modes import MODES
from .protocol import field
from .trainer import Trainer

#: Rows of one forward pass in ``forward``: the protocol's number (Go's engine.ForwardRows), since a scalar output has one
#: element for each pass.
FORWARD_ROWS = 256


@dataclass
class Loaded:
    """Everything that ``load`` made."""

    experiment: Experiment
    module: nn.Module
    named: parameters.Named
    model: gradients.Model
    data: Data
    trainer: Trainer
    variants: variants.Variants
    #: The rows that a static model takes; 0 for any number.
    batch: int

    def capture(self) -> state.State:
        """Copy out the present state."""
        return state.capture(self.named, self.trainer.optimizer, self.experiment.optimizer, self.trainer.step)


class Engine:
    """The commands of the protocol over one loaded model."""

    def __init__(self, baseline: memory.Resident | None = None) -> None:
        self._baseline = baseline or memory.resident()
        self._loaded: Loaded | None = None
        self.commands: dict[str, protocol.Command] = {
            "hello": self.hello,
            "load": self.load,
            "get_state": self.get_state,
            "set_state": self.set_state,
            "grad": self.grad,
            "update": self.update,
            "step": self.step,
            "forward": self.forward,
            "memory": self.memory,
        }

    @property
    def _present(self) -> Loaded:
        if self._loaded is None:
            raise InputError("nothing is loaded: send load first")
        return self._loaded

    def hello(self, params: dict[str, Any]) -> dict[str, Any]:
        """Describe the engine."""
        return {
            "protocol": protocol.VERSION,
            "name": "pytorch",
            "version": __version__,
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "onnx": onnx.__version__,
                "numpy": np.__version__,
            },
            "device": "cpu",
            "pid": os.getpid(),
            "dtypes": list(gradients.DTYPES),
            "modes": list(MODES),
            "variants": variants.names(),
            "mutants": [],
            "shared_random": True,
            "activations": True,
            "save": False,
        }

    def load(self, params: dict[str, Any]) -> dict[str, Any]:
        """Build the module, fill it from the ONNX file, read the data."""
        threads: int = field(params, "threads", int)
        if threads < 1:
            raise InputError(f"threads is {threads}; at least one is needed")
        random = field(params, "random", str)
        if random not in ("shared", "own"):
            raise UnsupportedError(f'random "{random}" is none of shared, own')
        if field(params, "mutant", str, ""):
            raise UnsupportedError(f'mutant "{params["mutant"]}": this engine is the reference and has no mutants')
        mode = field(params, "mode", str, "") or next(iter(MODES))
        self._loaded = None
        experiment = experiments.read(field(params, "experiment", str))
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(experiment.deterministic)
        # It would also fill what has not been written yet: that finds mistakes, changes no result and costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False
        from_file = onnx_module.is_file(experiment.model.source)
        file = model_file.read(field(params, "model", str), with_graph=from_file)
        module = onnx_module.build(file) if from_file else source.build(experiment.model, experiment.seed).train()
        named = parameters.load(module, file)
        data = Data(field(params, "data", str), file.inputs, experiment.loss)
        loss = losses.function(experiment.loss)
        torch.manual_seed(experiment.seed)
        output = losses.position(experiment.loss, file.outputs)
        trainer = Trainer(experiment, module, data, loss, mode, shared=random == "shared", output=output)
        if random == "shared":
            self._check_sites(trainer, file)
        model = gradients.Model(
            module,
            file.outputs,
            loss,
            {entry["value"]: entry["module"] for entry in file.manifest.get("activations", [])},
            file.outputs[output],
        )
        self._loaded = Loaded(
            experiment,
            module,
            named,
            model,
            data,
            trainer,
            variants.Variants(model, experiment.loss, trainer.masks, static=file.batch > 0),
            file.batch,
        )
        return {
            "parameters": [_info(name, value) for name, value in named.parameters.items()],
            "buffers": [_info(name, value) for name, value in named.buffers.items()],
            "data": data.digests,
            "threads": torch.get_num_threads(),
            "mode": mode,
            "dropout_sites": file.dropout_sites,
        }

    @staticmethod
    def _check_sites(trainer: Trainer, file: model_file.ModelFile) -> None:
        found = len(trainer.sites(trainer.parts(trainer.data.batch(0))[0]))
        if found != file.dropout_sites:
            raise InputError(
                f"{file.path} has {file.dropout_sites} Dropout and Bernoulli nodes, but the module draws {found} masks "
                "in a forward pass; export the model again with tandem"
            )

    def get_state(self, params: dict[str, Any]) -> dict[str, Any]:
        """Write the whole state."""
        present = self._present.capture()
        state.write(field(params, "file", str), present)
        return {"step": present.step}

    def set_state(self, params: dict[str, Any]) -> dict[str, Any]:
        """Replace the whole state, or nothing if the file does not fit."""
        loaded = self._present
        path = field(params, "file", str)
        given = state.read(path)
        state.check(given, loaded.capture(), path)
        state.restore(loaded.named, loaded.trainer.optimizer, loaded.experiment.optimizer, given)
        loaded.trainer.step = given.step
        return {"step": given.step}

    def grad(self, params: dict[str, Any]) -> dict[str, Any]:
        """Write loss, gradients, outputs, new buffers and, if asked, activations of the present step's batch."""
        loaded = self._present
        dtype = _dtype(params)
        path = field(params, "file", str)
        batch = loaded.trainer.present()
        parts = loaded.trainer.parts(batch)
        result = loaded.variants.step(
            field(params, "variant", str, ""),
            parts,
            loaded.trainer.share(len(parts)),
            dtype,
            field(params, "activations", bool, False),
        )
        tensors = {"loss": state.array(result.loss)}
        for prefix in ("gradients", "outputs", "activations"):
            for name, value in getattr(result, prefix).items():
                tensors[f"{prefix}/{name}"] = state.array(value)
        for name in loaded.named.buffers:
            tensors[f"buffers/{name}"] = state.array(result.buffers[name])
        write_tensors(path, tensors)
        answer: dict[str, Any] = {"loss": protocol.number(result.loss.item())}
        if dtype is torch.float32 and not params.get("variant"):
            answer["batch"] = {"target": digest(state.array(batch.target))} | {
                name: digest(state.array(value)) for name, value in zip(loaded.data.names, batch.inputs, strict=True)
            }
        return answer

    def update(self, params: dict[str, Any]) -> dict[str, Any]:
        """Write the state after one optimizer update of copies of the present parameters and moments."""
        loaded = self._present
        dtype = _dtype(params)
        origin = field(params, "gradients", str)
        given = TensorFile(origin).read_all("gradients/")
        settings, trainer = loaded.experiment.optimizer, loaded.trainer
        trained = {name: value for name, value in loaded.named.parameters.items() if value.requires_grad}
        if given.keys() != trained.keys():
            raise InputError(
                f"{origin}: gradients missing: {listing(trained.keys() - given.keys())}; "
                f"gradients of no parameter: {listing(given.keys() - trained.keys())}"
            )
        copies = {
            name: nn.Parameter(value.detach().to(dtype, copy=True), requires_grad=value.requires_grad)
            for name, value in loaded.named.parameters.items()
        }
        optimizer = optimizers.build(settings, copies, trainer.mode.implementation)
        moments = {
            copies[name]: {
                slot: optimizers.read_slot(trainer.optimizer, value, slot).to(dtype)
                for slot in optimizers.slots(settings)
            }
            for name, value in trained.items()
        }
        optimizers.restore(optimizer, settings, moments, trainer.step)
        for name, value in given.items():
            if list(value.shape) != list(copies[name].shape):
                raise InputError(
                    f"{origin}: gradients/{name} has shape {list(value.shape)}, "
                    f"the parameter {list(copies[name].shape)}"
                )
            copies[name].grad = torch.from_numpy(value).to(dtype, copy=True)
        foreach = trainer.mode.implementation != ""
        optimizers.update(optimizer, copies.values(), settings, trainer.schedule, trainer.step, foreach)
        buffers = {name: value.to(dtype) for name, value in loaded.named.buffers.items()}
        after = state.capture(parameters.Named(copies, buffers), optimizer, settings, trainer.step + 1)
        state.write(field(params, "file", str), after)
        return {"step": after.step}

    def step(self, params: dict[str, Any]) -> dict[str, Any]:
        """Train."""
        trainer = self._present.trainer
        count: int = field(params, "n", int)
        if count < 0:
            raise InputError(f"n is {count}; it must not be negative")
        taken = [trainer.train() for _ in range(count)]
        return {
            "losses": [protocol.number(loss) for loss, _ in taken],
            "seconds": [seconds for _, seconds in taken],
            "step": trainer.step,
        }

    def forward(self, params: dict[str, Any]) -> dict[str, Any]:
        """Write the outputs for all rows of a split in eval mode."""
        loaded = self._present
        dtype = _dtype(params)
        split = field(params, "split", str)
        if split not in SPLITS:
            raise InputError(f'split "{split}" is none of {", ".join(SPLITS)}')
        mode = field(params, "mode", str)
        if mode != "eval":
            raise UnsupportedError(f'forward mode "{mode}" is none of eval')
        rows = loaded.data.rows(split)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in loaded.model.outputs}
        tensors = gradients.copies(loaded.module, dtype)
        loaded.module.eval()
        try:
            with torch.no_grad():
                size = loaded.batch or FORWARD_ROWS
                for start in range(0, rows, size):
                    inputs = loaded.data.inputs(split, start, min(start + size, rows))
                    returned = gradients.call(loaded.module, tensors, inputs, dtype)
                    for name, value in losses.named_outputs(returned, loaded.model.outputs).items():
                        parts[name].append(np.atleast_1d(state.array(value)))
        finally:
            loaded.module.train()
        write_tensors(
            field(params, "file", str), {f"outputs/{name}": np.concatenate(values) for name, values in parts.items()}
        )
        return {"rows": rows}

    def memory(self, params: dict[str, Any]) -> dict[str, Any]:
        """Report resident memory."""
        now = memory.resident()
        return {
            "baseline_bytes": self._baseline.current,
            "current_bytes": now.current,
            "peak_bytes": now.peak,
            "data_bytes": self._loaded.data.size if self._loaded else 0,
            "baseline_program_bytes": self._baseline.program,
            "program_bytes": now.program,
        }


def _dtype(params: dict[str, Any]) -> torch.dtype:
    name = field(params, "dtype", str)
    if name not in gradients.DTYPES:
        raise UnsupportedError(f'dtype "{name}" is none of {", ".join(gradients.DTYPES)}')
    return gradients.DTYPES[name]


def _info(name: str, value: torch.Tensor) -> dict[str, Any]:
    array = state.array(value)
    return {"name": name, "dtype": str(array.dtype), "shape": list(array.shape), "sha256": digest(array)}


def _finish_imports() -> None:
    """Build one optimizer: torch's first one imports its compiler, some 160 MB and seconds that are no training."""
    torch.optim.Adam([nn.Parameter(torch.zeros(1))])


def main() -> int:
    """Serve the protocol until the input ends."""
    requests, answers = protocol.claim_streams()
    torch.set_num_interop_threads(1)
    _finish_imports()
    baseline = memory.resident()
    try:
        protocol.serve(Engine(baseline).commands, requests, answers)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
