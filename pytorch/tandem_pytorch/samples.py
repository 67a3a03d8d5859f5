"""A callable as the source of the data: ``python -m tandem_pytorch.samples --experiment E --output FILE``.

``data.source = "file.py:callable"`` is called once, with ``data.args``, right after ``torch.manual_seed(seed)`` (and NumPy's
and Python's own generators seeded alike), before anything is exported or trained. It returns

    {"train": samples, "test": samples}     or samples, of which tandem holds out the last for the test

where samples are one of

    (inputs..., targets)                    arrays in the order of data.inputs, then the targets, nested as you like
    {"name": array, ..., "target": array}   arrays by name
    a map-style torch Dataset               with __len__ and __getitem__, whose items are either of these, one sample each

and an array is a NumPy array or a torch tensor whose first dimension counts the samples: floats become float32, unsigned
bytes pixels from 0 to 1, other whole numbers and booleans int64. A loss without targets (loss.kind = "output") takes the
inputs alone. Of a Dataset of a split no more items are taken than data.train or data.test asks for.

What was returned is written down once, and both engines train on that file; types and numbers are brought to what
engines read by the Go side (package fixtures/dataset), as for every other source.

Standard output gets one JSON line: {"tensors": [names]}, or {"error": {...}} with exit status 2 where the user is at
fault and 3 otherwise.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from . import experiment as experiments
from . import protocol
from .data import SPLITS
from .errors import InputError, describe, user_trace
from .experiment import Experiment
from .files import listing, write_tensors
from .models import source

#: The name of the targets.
TARGET = "target"

#: What to return, for messages.
ADVICE = (
    'return {"train": samples, "test": samples}, or samples alone; samples are (inputs, targets), a dict of arrays by '
    "name, or a map-style torch Dataset"
)


def collect(experiment: Experiment) -> dict[str, np.ndarray]:
    """Call the experiment's data source and return its arrays by name, "train/NAME" and "test/NAME" or NAME alone."""
    name = experiment.data.name
    random.seed(experiment.seed)
    np.random.seed(experiment.seed % (1 << 32))
    returned = source.call("data", name, experiment.data.args, experiment.seed)
    names = [*experiment.inputs, *([TARGET] if experiment.loss.takes_target else [])]
    reader = _Reader(name, names)
    if not (isinstance(returned, Mapping) and any(split in returned for split in SPLITS)):
        return reader.samples(returned, 0, "")
    if set(returned) != set(SPLITS):
        raise reader.wrong(
            f'returned a dict of {listing(map(str, returned))}; a dict of splits has "train" and "test" and nothing else'
        )
    limits = {"train": experiment.data.train, "test": experiment.data.test}
    splits = {split: reader.samples(returned[split], limits[split], f" of {split}") for split in SPLITS}
    for part in names:
        one, other = (splits[split][part] for split in SPLITS)
        if one.shape[1:] != other.shape[1:] or one.dtype != other.dtype:
            raise reader.wrong(
                f'"{part}" is {_described(one)} in train and {_described(other)} in test; beyond the number of samples '
                "both must be alike"
            )
    return {f"{split}/{part}": splits[split][part] for split in SPLITS for part in names}


class _Reader:
    """Takes arrays out of what a data source returned, with errors that name it."""

    def __init__(self, source_name: str, names: list[str]) -> None:
        self.source = source_name
        self.names = names

    def wrong(self, problem: str, detail: str = "") -> InputError:
        return InputError(f'data source "{self.source}" {problem}', detail)

    def samples(self, given: Any, limit: int, where: str) -> dict[str, np.ndarray]:
        """Return the arrays of one set of samples by name; ``limit`` is the most that are wanted, 0 all."""
        if isinstance(given, IterableDataset):
            raise self.wrong(
                f"returned an IterableDataset{where}, whose length is not known; return a map-style Dataset, with "
                "__len__ and __getitem__, or arrays"
            )
        if _is_map_style(given):
            arrays = self._stacked(given, limit, where)
        else:
            values = self._named(given, f"returned{where}")
            arrays = {name: self._array(value, f'"{name}"{where}') for name, value in values.items()}
        rows = {name: len(value) if value.ndim else -1 for name, value in arrays.items()}
        for name, count in rows.items():
            if count < 0:
                raise self.wrong(f'returned one number as "{name}"{where}, not one for each sample')
            if count == 0:
                raise self.wrong(f'returned no sample{where}: "{name}" has shape {list(arrays[name].shape)}')
        if len(set(rows.values())) > 1:
            counts = ", ".join(f'{count} of "{name}"' for name, count in rows.items())
            raise self.wrong(f"returned different numbers of samples{where}: {counts}")
        for name, value in arrays.items():
            missing = np.isnan(value) if value.dtype.kind == "f" else np.zeros(0, bool)
            if missing.any():
                first = int(np.argwhere(missing)[0, 0])
                raise self.wrong(f'returned NaN in "{name}"{where}, first in sample {first}')
        return arrays

    def _stacked(self, given: Any, limit: int, where: str) -> dict[str, np.ndarray]:
        """Return a Dataset's items, one on the other."""
        kind = type(given).__name__
        try:
            count = len(given)
        except (TypeError, NotImplementedError) as error:
            raise self.wrong(f"returned the data set {kind}{where} without a length; it needs __len__") from error
        count = min(count, limit) if limit else count
        if count == 0:
            raise self.wrong(f"returned no sample{where}: the data set {kind} is empty")
        arrays: dict[str, np.ndarray] = {}
        for i in range(count):
            try:
                item = given[i]
            except Exception as error:
                raise self.wrong(
                    f"returned the data set {kind}{where}, whose item {i} of {count} failed: {type(error).__name__}: {error}",
                    user_trace(error),
                ) from error
            for name, value in self._named(item, f"has as item {i}{where}").items():
                one = self._array(value, f'"{name}" of item {i}{where}', single=True)
                if i == 0:
                    arrays[name] = np.empty((count, *one.shape), one.dtype)
                whole = arrays[name]
                if one.shape != whole.shape[1:] or one.dtype != whole.dtype:
                    raise self.wrong(
                        f'has "{name}" {_described(one)} in item {i}{where} and {_described(whole[0])} in item 0; all '
                        "samples must be alike, so pad or crop them"
                    )
                whole[i] = one
        return arrays

    def _named(self, given: Any, where: str) -> dict[str, Any]:
        """Return a dict's or tuple's values by name."""
        wanted = ", ".join(f'"{name}"' for name in self.names)
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise self.wrong(f"{where} a dict of {listing(map(str, given))}; wanted are {wanted}")
            return {name: given[name] for name in self.names}
        if isinstance(given, (tuple, list)) and given and isinstance(given[0], Mapping) and len(given) == 2:
            return self._named({**given[0], TARGET: given[1]}, where)
        values = list(_leaves(given))
        if len(values) != len(self.names):
            kinds = ", ".join(type(value).__name__ for value in values[:4]) or "nothing"
            more = f" and {len(values) - 4} more" if len(values) > 4 else ""
            raise self.wrong(f"{where} {len(values)} values ({kinds}{more}) for {wanted}; {ADVICE}")
        return dict(zip(self.names, values, strict=True))

    def _array(self, value: Any, where: str, single: bool = False) -> np.ndarray:
        """Return an array's numbers; of a single sample, plain numbers too."""
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.is_quantized:
                raise self.wrong(f"returned a tensor of {value.layout}, {value.dtype} as {where}; make it a plain one")
            value = value.detach().cpu().resolve_conj().resolve_neg()
            array = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
        elif isinstance(value, (np.ndarray, np.generic)) or (single and isinstance(value, (bool, int, float))):
            array = np.asarray(value)
        else:
            kinds = "a NumPy array, a torch tensor" + (" or a number" if single else "")
            raise self.wrong(f"returned {type(value).__name__} as {where}; it must be {kinds}; {ADVICE}")
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise self.wrong(f"returned {array.dtype} as {where}; numbers must be floats, whole numbers or booleans")
        if array.dtype == np.uint64 and array.size and int(array.max()) >= 1 << 63:
            raise self.wrong(f"returned {array.max()} as {where}, which int64 cannot hold")
        kept = array.astype(array.dtype.newbyteorder("="), copy=False)
        return kept.astype(np.int64) if kept.dtype.kind in "iub" and kept.dtype != np.uint8 else kept


def _is_map_style(given: Any) -> bool:
    """Tell a torch Dataset, or what is like one, from arrays and containers of arrays."""
    arrays = isinstance(given, (torch.Tensor, np.ndarray, np.generic, tuple, list, Mapping, str, bytes))
    return not arrays and hasattr(type(given), "__getitem__")


def _leaves(given: Any) -> Iterator[Any]:
    """Go through nested tuples and lists."""
    if isinstance(given, (tuple, list)):
        for value in given:
            yield from _leaves(value)
    else:
        yield given


def _described(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def answer(experiment_path: str, output: str) -> tuple[dict[str, Any], int]:
    """Run the command; return what it answers and its exit status."""
    try:
        arrays = collect(experiments.read(experiment_path))
        write_tensors(output, arrays)
        return {"tensors": list(arrays)}, 0
    except Exception as error:
        described = describe(error)
        if isinstance(error, InputError):
            described["detail"] = error.detail  # the user's own traceback; where tandem found the mistake helps nobody
        return protocol.failure(described)


def main(arguments: list[str] | None = None) -> int:
    """Run the command from its arguments, with its answer on standard output."""
    parser = argparse.ArgumentParser(prog="tandem_pytorch.samples", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--experiment", required=True, help="the resolved experiment, JSON")
    parser.add_argument("--output", required=True, help="the safetensors file to write")
    options = parser.parse_args(arguments)
    return protocol.respond(lambda: answer(options.experiment, options.output))


if __name__ == "__main__":
    sys.exit(main())
