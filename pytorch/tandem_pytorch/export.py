"""Export for training: ``python -m tandem_pytorch.export --experiment E --data D --output MODEL``.

The module is exported in training mode without torch.onnx's optimizer, with tandem's translations and folding, the
loss outside, the batch dimension free, every parameter and buffer under PyTorch's own name, and a manifest. The result
is examined before it is written (module selfcheck). A model that comes as an ONNX file is examined alone (module onnx_import).

Standard output gets one JSON line: {"model", "sha256", "parameters", "checks"}, or {"error": {...}} with exit status 2
where the user is at fault and 3 otherwise. Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import inspect
import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from torch import nn

from . import experiment as experiments
from . import manifest, model_file, onnx_import, onnx_module, protocol, scalars, selfcheck, translations
from .data import Data
from .errors import InputError, UnsupportedError, describe
from .experiment import Experiment
from .files import write_atomically
from .fold import fold
from .gradients import call, copies
from .losses import check, outputs, position
from .masks import MaskSource, SharedMasks, Site
from .models import source
from .parameters import floating_buffers

#: The first output's name where forward gives none; further ones are output_1, output_2, ...
LOGITS = "logits"
#: Most rows of the example batch; tracing and checking need no more.
EXAMPLE_ROWS = 32
#: The oldest opset of the translations, and the newest that torch.onnx 2.15 writes: asked for more, it leaves nodes of another one.
OPSETS = (18, 25)


def export(
    module: nn.Module, inputs: dict[str, torch.Tensor], opset: int, static: bool = False
) -> onnx.ModelProto:
    """Return the module as a training-mode ONNX model with its manifest, examined.

    ``inputs`` are example tensors of at least two rows by input name, in the order of forward's arguments. A ``static`` model
    is for batches of as many rows alone, which may be one.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise UnsupportedError(f"model.opset is {opset}; this exporter writes {OPSETS[0]} to {OPSETS[1]}")
    module.train()
    _refuse(module)
    sites, names = _probe(module, inputs, static)
    model, numbers = _trace(module, inputs, names, opset, static)
    protected = {*manifest.first_names(module), *floating_buffers(module)}
    fold(model, protected, numbers)
    _untie(model.graph, manifest.first_names(module))
    _drop_idle_dropout(model.graph)
    _number_dropout(model.graph)
    _shorten_paths(model)
    described = manifest.describe(model.graph, module, sites, numbers)
    proto = ir.to_proto(model)
    described["checks"] = selfcheck.run(selfcheck.Subject(proto, described, module, inputs, sites, static))
    onnx.helper.set_model_props(
        proto, {**{p.key: p.value for p in proto.metadata_props}, model_file.MANIFEST: json.dumps(described)}
    )
    return proto


def example(experiment: Experiment, data: Data) -> dict[str, torch.Tensor]:
    """Return the first training rows as example inputs: a whole batch, at most EXAMPLE_ROWS and at least two rows.

    Of a static model it is the batch as it is.
    """
    rows = experiment.batch if experiment.model.static else max(2, min(experiment.batch, EXAMPLE_ROWS))
    if data.rows("train") < rows:
        raise InputError(f"{data.path} has {data.rows('train')} training samples; exporting needs {rows}")
    given = data.inputs("train", 0, rows)
    return {name: value.clone() for name, value in zip(experiment.inputs, given, strict=True)}


def _refuse(module: nn.Module) -> None:
    """Refuse what cannot be carried over, before the time for tracing is spent."""
    for path, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats and layer.momentum is None:
            raise UnsupportedError(
                f"BatchNorm {path} has momentum None (a cumulative average), which ONNX cannot say; give it a number"
            )
        if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p == 1:
            raise UnsupportedError(f"dropout {path} has p = 1: nothing passes, and nothing before it can be trained")
    for name, parameter in module.named_parameters():
        if parameter.dtype != torch.float32 or parameter.device.type != "cpu":
            raise UnsupportedError(
                f"parameter {name} is {parameter.dtype} on {parameter.device}; float32 on the CPU is needed"
            )


def _probe(
    module: nn.Module, inputs: dict[str, torch.Tensor], static: bool = False
) -> tuple[list[Site], list[str]]:
    """Run the module twice without changing it: its dropout draws, and names for its outputs.

    An output has a row for each sample, or it is a scalar, as a loss that the model computes itself.
    """
    rows = next(iter(inputs.values())).shape[0]
    returned, sites = _forward(module, inputs, "")
    names = _names(module, inputs, returned)
    if static:
        for name, value in zip(names, outputs(returned), strict=True):
            if value.dim() > 0 and value.shape[0] != rows:
                raise InputError(
                    f"output {name} of the model's forward has the shape {list(value.shape)} for {rows} rows; its first "
                    "dimension must be the batch, or it must be a scalar"
                )
        return sites, names
    longer = {name: torch.cat([value, value[:1]]) for name, value in inputs.items()}
    remark = f" while it works for {rows} rows: it must not fix the batch size, as x.view(32, ...) does"
    other, _ = _forward(module, longer, remark)
    for name, first, second in zip(names, outputs(returned), outputs(other), strict=True):
        if first.dim() == second.dim() == 0:
            continue
        if first.dim() == 0 or first.shape[0] != rows or second.shape[0] != rows + 1:
            raise InputError(
                f"output {name} of the model's forward has the shape {list(first.shape)} for {rows} rows and "
                f"{list(second.shape)} for one more; the first dimension of an output must be the batch, or it must be a scalar, as "
                'a loss that the model computes itself (loss.kind = "output")'
            )
    return sites, names


def _names(module: nn.Module, inputs: dict[str, torch.Tensor], returned: Any) -> list[str]:
    """Name the outputs: as the mapping or named tuple does that forward returns, otherwise by their position."""
    count = len(outputs(returned))
    names = [LOGITS, *(f"output_{number}" for number in range(1, count))]
    own = list(returned) if isinstance(returned, Mapping) else list(getattr(returned, "_fields", ()))
    taken = {*inputs, *manifest.first_names(module), *floating_buffers(module)}
    if len(own) == count and all(isinstance(name, str) and name.isidentifier() for name in own) and not taken & {*own}:
        return own
    return names


def _forward(module: nn.Module, inputs: dict[str, torch.Tensor], remark: str) -> tuple[Any, list[Site]]:
    probe = SharedMasks(MaskSource(0))
    try:
        with torch.no_grad(), probe:
            returned = call(module, copies(module, torch.float32), tuple(inputs.values()), torch.float32)
            outputs(returned)
    except (InputError, UnsupportedError):
        raise
    except Exception as error:
        shapes = ", ".join(f"{name} {list(value.shape)} {value.dtype}" for name, value in inputs.items())
        text = f"the model's forward failed on a batch of the data ({shapes}){remark}: {error}"
        if isinstance(error, TypeError) and "positional argument" in str(error):
            taken = ", ".join(inspect.signature(module.forward).parameters)
            text += f"; the data's inputs (--input, data.inputs) must be the arguments of forward({taken})"
        elif remark or "invalid for input of size" in str(error):
            text += (
                "; where forward takes batches of one size alone, say so: model.static = true with train.batch as that size, or tandem "
                "export --static ROWS"
            )
        raise InputError(text) from error
    return returned, probe.sites


def _trace(
    module: nn.Module, inputs: dict[str, torch.Tensor], names: list[str], opset: int, static: bool = False
) -> tuple[ir.Model, set[float]]:
    """Run torch.onnx with nothing but the translation: no optimizer, no folding. Also return the program's numbers."""
    try:
        with _without_in_place_dropout(module), _quiet():
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                optimize=False,
                verbose=False,
                external_data=False,
                opset_version=opset,
                # At least two rows, since BatchNorm in training mode refuses one.
                dynamic_shapes=None if static else tuple({0: torch.export.Dim(selfcheck.BATCH, min=2)} for _ in inputs),
                custom_translation_table=translations.table(),
                input_names=list(inputs),
                output_names=names,
            )
    except Exception as error:
        own = _cause(error, translations.UntranslatableError)
        if own is not None:
            raise UnsupportedError(str(own)) from error
        origin: BaseException = error
        while (before := origin.__cause__ or origin.__context__) is not None:
            origin = before
        first = str(origin).strip().splitlines() or ["no message"]
        raise UnsupportedError(
            f"torch.onnx cannot export this model: {type(origin).__name__}: {first[0]} (the usual cause is a forward whose "
            "course depends on the values of tensors: choose by torch.where in place of if, and leave out .item() and .tolist())"
        ) from error
    assert program is not None  # with dynamo=True there always is one
    assert program.exported_program is not None
    return program.model, scalars.numbers(program.exported_program)


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


@contextlib.contextmanager
def _without_in_place_dropout(module: nn.Module) -> Iterator[None]:
    """Trace in-place dropout as plain dropout: the same numbers, but one node instead of a chain of random ones."""
    layers = [m for m in module.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.inplace]
    for layer in layers:
        layer.inplace = False
    try:
        yield
    finally:
        for layer in layers:
            layer.inplace = True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide torch.onnx's warnings about training mode, which is what is wanted, and about packages not installed."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _untie(graph: ir.Graph, names: dict[str, str]) -> None:
    """Give a tied parameter one initializer under its first name, whichever of its names the exporter took."""
    for name in list(graph.initializers):
        first = names.get(name, name)
        if first == name:
            continue
        value = graph.initializers.pop(name)
        if first in graph.initializers:
            value.replace_all_uses_with(graph.initializers[first])
        else:
            value.name = first
            graph.initializers[first] = value


def _drop_idle_dropout(graph: ir.Graph) -> None:
    """Remove Dropout nodes with p = 0, for which PyTorch draws nothing, so that they take no site's number."""
    for node in list(graph):
        if node.op_type != "Dropout" or manifest.ratio(node) != 0.0:
            continue
        passed = node.inputs[0]
        if passed is None or node.outputs[0].is_graph_output():
            raise UnsupportedError(f"dropout {manifest.module_path(node)} has p = 0 and is an output: remove it")
        node.outputs[0].replace_all_uses_with(passed)
        graph.remove(node, safe=True)
    used = {value for node in graph for value in node.inputs}
    for name in [
        name for name, value in graph.initializers.items() if value not in used and not value.is_graph_output()
    ]:
        del graph.initializers[name]


def _number_dropout(graph: ir.Graph) -> None:
    """Stamp each dropout node with its site's number, in the order of the graph."""
    nodes = [node for node in graph if node.op_type in model_file.DROPOUT_OPERATORS]
    for site, node in enumerate(nodes):
        if node.op_type == "Dropout":
            node.attributes["seed"] = ir.AttrInt64("seed", site)
        else:  # Bernoulli's seed is a float
            node.attributes["seed"] = ir.AttrFloat32("seed", float(site))


def _shorten_paths(model: ir.Model) -> None:
    """Cut the machine's folders out of the stack traces in the metadata: a model file should not depend on them."""
    roots = [re.escape(str(Path(torch.__file__).parent.parent)), re.escape(str(Path(__file__).parent.parent))]
    inside = re.compile(f'File "(?:{"|".join(roots)})/')
    outside = re.compile(r'File "/(?:[^"/]*/)*([^"/]+)"')
    for node in model.graph:
        for key, text in list(node.metadata_props.items()):
            if 'File "' in text:
                node.metadata_props[key] = outside.sub(r'File "\1"', inside.sub('File "', text))


def _say(text: str, start: float) -> None:
    print(f"{time.monotonic() - start:6.1f} s  {text}", file=sys.stderr, flush=True)


def run(experiment_path: str, data_path: str, output: str, start: float) -> dict[str, Any]:
    """Export what an experiment names and write the file; return the command's result."""
    experiment = experiments.read(experiment_path)
    data = Data(data_path, list(experiment.inputs), experiment.loss)
    if onnx_module.is_file(experiment.model.source):
        _say(f"examining {experiment.model.source}", start)
        proto, described, count = onnx_import.examined(experiment.model.source, example(experiment, data))
        _check_targets(proto, experiment, data)
        return _written(proto, described, count, output, start)
    _say(f"building {experiment.model.source}", start)
    module = source.build(experiment.model, experiment.seed)
    inputs = example(experiment, data)
    _say(f"exporting in training mode, opset {experiment.model.opset}", start)
    proto = export(module, inputs, experiment.model.opset, experiment.model.static)
    _check_targets(proto, experiment, data)
    described = json.loads(next(p.value for p in proto.metadata_props if p.key == model_file.MANIFEST))
    return _written(proto, described, sum(parameter.numel() for parameter in module.parameters()), output, start)


def _check_targets(proto: onnx.ModelProto, experiment: Experiment, data: Data) -> None:
    """Refuse targets that do not fit the model's output, before an engine meets them in the middle of a training."""
    if not experiment.loss.takes_target:
        return
    output = proto.graph.output[position(experiment.loss, [value.name for value in proto.graph.output])]
    dims = output.type.tensor_type.shape.dim
    if output.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims[1:]):
        check(experiment.loss, output.name, [dim.dim_value for dim in dims], data.targets())


def _written(proto: onnx.ModelProto, described: dict[str, Any], count: int, output: str, start: float) -> dict[str, Any]:
    """Write the file and return the command's result."""
    content = proto.SerializeToString(deterministic=True)
    for check in described["checks"]:
        _say(f"checked: {check}", start)

    def write(temporary: str) -> None:
        Path(temporary).write_bytes(content)

    write_atomically(output, write)
    _say(f"wrote {output}, {len(content)} bytes", start)
    return {
        "model": os.path.abspath(output),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": count,
        "checks": described["checks"],
    }


def answer(experiment_path: str, data_path: str, output: str) -> tuple[dict[str, Any], int]:
    """Run the command; return what it answers and its exit status."""
    try:
        return run(experiment_path, data_path, output, time.monotonic()), 0
    except Exception as error:
        described = describe(error)
        print(f"error: {described['message']}", file=sys.stderr)
        return protocol.failure(described)


def main(arguments: list[str] | None = None) -> int:
    """Run the command from its arguments, with its answer on standard output."""
    parser = argparse.ArgumentParser(prog="tandem_pytorch.export", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--experiment", required=True, help="the resolved experiment, JSON")
    parser.add_argument("--data", required=True, help="the data file, safetensors")
    parser.add_argument("--output", required=True, help="the ONNX file to write")
    options = parser.parse_args(arguments)
    return protocol.respond(lambda: answer(options.experiment, options.data, options.output))


if __name__ == "__main__":
    sys.exit(main())
