"""The experiment file, as tandem writes it: JSON with every value filled in.

Nothing has a default here. A missing field is an error, since a default of one engine's own would make two engines
train different things.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from .errors import InputError, UnsupportedError


#: The kinds of optimizers, with the keys that only some of them use.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum", "dampening", "nesterov"),
    "adam": ("betas", "eps"),
    "adamw": ("betas", "eps"),
    "rmsprop": ("alpha", "eps", "momentum", "centered"),
    "adagrad": ("lr_decay", "initial_accumulator_value", "eps"),
    "nadam": ("betas", "eps", "momentum_decay", "decoupled_weight_decay"),
    "lion": ("betas",),
}


#: The kinds of losses, with the settings that only some of them use. All may be absent.
LOSSES: dict[str, tuple[str, ...]] = {
    "cross_entropy": ("class_weights", "ignore_index", "label_smoothing", "class_dim"),
    "nll": ("class_weights", "ignore_index", "class_dim"),
    "mse": (),
    "l1": (),
    "huber": ("delta",),
    "smooth_l1": ("beta",),
    "bce_with_logits": ("positive_weights",),
    "kl_div": ("log_target",),
    "output": (),
}


@dataclass(frozen=True)
class Model:
    """``source`` is "module:callable" or "file.py:callable"; ``args`` are the callable's keyword arguments."""

    source: str
    args: dict[str, Any]
    opset: int
    #: The ONNX file is for batches of the experiment's size alone.
    static: bool = False
    #: Patterns of the names of parameters that are not trained; "*" stands for any text.
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where the samples come from: ``name`` and ``args`` as a model's source and args where it is a callable."""

    name: str
    args: dict[str, Any]
    #: Samples of each split; 0 means all that there are.
    train: int
    test: int


@dataclass(frozen=True)
class Loss:
    """``kind`` is one of LOSSES, which says what each kind uses; what is not used, or absent, has the value here."""

    kind: str
    reduction: str
    #: The output that the loss is taken of, by name or position from 0 as text; "" is the first.
    output: str = ""
    class_weights: tuple[float, ...] = ()
    ignore_index: int | None = None
    label_smoothing: float = 0.0
    #: 1, or -1 for the last dimension.
    class_dim: int = -1
    delta: float = 1.0
    beta: float = 1.0
    positive_weights: tuple[float, ...] = ()
    log_target: bool = False

    @property
    def takes_classes(self) -> bool:
        """The targets are class numbers."""
        return "class_dim" in LOSSES[self.kind]

    @property
    def takes_target(self) -> bool:
        """There are targets."""
        return self.kind != "output"

    @property
    def plain(self) -> bool:
        """A loss of classes without weights, smoothing and ignored targets."""
        return not self.class_weights and self.ignore_index is None and self.label_smoothing == 0


@dataclass(frozen=True)
class Optimizer:
    """``kind`` is one of OPTIMIZERS, which says what each kind uses; other values are zero."""

    kind: str
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float]
    alpha: float
    eps: float
    momentum: float
    dampening: float
    nesterov: bool
    centered: bool
    lr_decay: float
    initial_accumulator_value: float
    momentum_decay: float
    decoupled_weight_decay: bool
    #: Patterns of the names of parameters without weight decay; "*" stands for any text.
    no_decay: tuple[str, ...]
    #: The largest norm that all gradients together may have; 0 does not clip.
    clip_norm: float


@dataclass(frozen=True)
class Schedule:
    """``kind`` is "constant", "linear", "cosine" or "step"; ``warm_up`` and ``total`` are steps, ``minimum`` is a rate."""

    kind: str
    warm_up: int
    total: int
    minimum: float
    #: Of "step": the steps at which the rate is multiplied by ``gamma``.
    milestones: tuple[int, ...] = ()
    gamma: float = 1.0


@dataclass(frozen=True)
class Experiment:
    """The parts of an experiment that PyTorch's side needs."""

    name: str
    seed: int
    #: The model's inputs in the order of forward's arguments.
    inputs: tuple[str, ...]
    batch: int
    data: Source
    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    #: The same bits are wanted run after run.
    deterministic: bool = False
    #: A step adds up the gradients of so many batches.
    accumulate: int = 1


def fitting(pattern: str, names: Collection[str], setting: str) -> set[str]:
    """Return the parameters' names that fit a pattern of a setting, in which "*" stands for any text; none is an error."""
    expression = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    found = {name for name in names if expression.fullmatch(name)}
    if not found:
        raise InputError(
            f'no parameter\'s name fits the pattern "{pattern}" of {setting}; the parameters are ' + ", ".join(names)
        )
    return found


def read(path: str | os.PathLike[str]) -> Experiment:
    """Read and check an experiment file."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise InputError(f"cannot read experiment {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"experiment {path} is not JSON: {error}") from error
    return _Reader(str(path), content).experiment()


class _Reader:
    """Takes typed fields out of the JSON, with errors that name the file and the field."""

    def __init__(self, path: str, content: Any) -> None:
        self.path = path
        self.content = content

    def get(self, field: str, kind: type | tuple[type, ...]) -> Any:
        value = self.content
        for part in field.split("."):
            if not isinstance(value, dict) or part not in value:
                raise InputError(f'experiment {self.path}: field "{field}" is missing')
            value = value[part]
        right = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
        if not right:
            raise InputError(f'experiment {self.path}: field "{field}" is {value!r}, which has the wrong type')
        return value

    def number(self, field: str) -> float:
        return float(self.get(field, (int, float)))

    def not_negative(self, field: str) -> float:
        value = self.number(field)
        if not value >= 0:
            raise InputError(f"experiment {self.path}: {field} is {value}; it must not be negative")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        values: list[Any] = self.get(field, list)
        if not all(isinstance(value, str) for value in values):
            raise InputError(f"experiment {self.path}: {field} is {values!r}, not a list of texts")
        return tuple(values)

    def rising(self, field: str) -> tuple[int, ...]:
        values: list[Any] = self.get(field, list)
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        if not whole or not values or any(b <= a for a, b in zip([0, *values], values, strict=False)):
            raise InputError(f"experiment {self.path}: {field} is {values!r}, not a list of rising steps")
        return tuple(values)

    def numbers(self, field: str) -> tuple[float, ...]:
        values: list[Any] = self.get(field, list)
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            raise InputError(f"experiment {self.path}: {field} is {values!r}, not a list of numbers")
        return tuple(float(value) for value in values)

    def choice(self, field: str, choices: tuple[str, ...]) -> str:
        value: str = self.get(field, str)
        if value not in choices:
            raise UnsupportedError(f'experiment {self.path}: {field} "{value}" is none of {", ".join(choices)}')
        return value

    def experiment(self) -> Experiment:
        deterministic = "deterministic" in self.get("train", dict) and self.get("train.deterministic", bool)
        batch = self.get("train.batch", int)
        if batch < 1:
            raise InputError(f"experiment {self.path}: train.batch is {batch}; it must be at least 1")
        accumulate = self.get("train.accumulate", int) if "accumulate" in self.content["train"] else 1
        if accumulate < 1:
            raise InputError(f"experiment {self.path}: train.accumulate is {accumulate}; it must be at least 1")
        seed = self.get("seed", int)
        if not 0 <= seed < 1 << 64:
            raise InputError(f"experiment {self.path}: seed {seed} is not a 64-bit unsigned number")
        args = self.content.get("model", {}).get("args") if isinstance(self.content, dict) else None
        return Experiment(
            name=self.get("name", str),
            seed=seed,
            inputs=self.inputs(),
            batch=batch,
            data=self.source(),
            deterministic=deterministic,
            accumulate=accumulate,
            model=Model(
                self.get("model.source", str),
                dict(args or {}),
                self.get("model.opset", int),
                "static" in self.content["model"] and self.get("model.static", bool),
                self.texts("model.frozen") if "frozen" in self.content["model"] else (),
            ),
            loss=self.loss(),
            optimizer=self.optimizer(),
            schedule=self.schedule(),
        )

    def source(self) -> Source:
        args = self.get("data.args", dict) if "args" in self.get("data", dict) else {}
        return Source(
            self.get("data.source", str), dict(args), self.get("data.train", int), self.get("data.test", int)
        )

    def inputs(self) -> tuple[str, ...]:
        first = self.get("data.input_name", str)
        if "inputs" not in self.content["data"]:
            return (first,)
        names = self.texts("data.inputs")
        if not names or names[0] != first or len(set(names)) < len(names):
            raise InputError(f"experiment {self.path}: data.inputs is {list(names)}, with data.input_name {first}")
        return names

    def loss(self) -> Loss:
        kind = self.choice("loss.kind", tuple(LOSSES))
        reduction = self.choice("loss.reduction", ("mean", "sum", *(("batchmean",) if kind == "kl_div" else ())))
        readers: dict[str, Callable[[str], Any]] = {
            "output": lambda field: self.get(field, str),
            "class_weights": self.numbers,
            "positive_weights": self.numbers,
            "ignore_index": lambda field: self.get(field, int),
            "class_dim": lambda field: self.get(field, int),
            "label_smoothing": self.not_negative,
            "delta": self.not_negative,
            "beta": self.not_negative,
            "log_target": lambda field: self.get(field, bool),
        }
        given = self.content["loss"]
        settings = {key: readers[key](f"loss.{key}") for key in ("output", *LOSSES[kind]) if key in given}
        unknown = given.keys() - {"kind", "reduction", "output", *LOSSES[kind]}
        if unknown:
            raise InputError(f'experiment {self.path}: the loss "{kind}" has no {", ".join(sorted(unknown))}')
        return Loss(kind, reduction, **settings)

    def optimizer(self) -> Optimizer:
        kind = self.choice("optimizer.kind", tuple(OPTIMIZERS))
        used = OPTIMIZERS[kind]

        def number(key: str) -> float:
            return self.number(f"optimizer.{key}") if key in used else 0.0

        def switch(key: str) -> bool:
            return bool(self.get(f"optimizer.{key}", bool)) if key in used else False

        betas = (0.0, 0.0)
        if "betas" in used:
            given = self.get("optimizer.betas", list)
            if len(given) != 2 or not all(isinstance(beta, (int, float)) for beta in given):
                raise InputError(f"experiment {self.path}: optimizer.betas is {given!r}, not two numbers")
            betas = (float(given[0]), float(given[1]))
        return Optimizer(
            kind=kind,
            learning_rate=self.number("optimizer.learning_rate"),
            weight_decay=self.number("optimizer.weight_decay"),
            betas=betas,
            alpha=number("alpha"),
            eps=number("eps"),
            momentum=number("momentum"),
            dampening=number("dampening"),
            nesterov=switch("nesterov"),
            centered=switch("centered"),
            lr_decay=number("lr_decay"),
            initial_accumulator_value=number("initial_accumulator_value"),
            momentum_decay=number("momentum_decay"),
            decoupled_weight_decay=switch("decoupled_weight_decay"),
            no_decay=self.texts("optimizer.no_decay"),
            clip_norm=self.not_negative("optimizer.clip_norm"),
        )

    def schedule(self) -> Schedule:
        kind = self.choice("schedule.kind", ("constant", "linear", "cosine", "step"))
        by_steps = kind == "step"
        schedule = Schedule(
            kind=kind,
            warm_up=self.get("schedule.warm_up", int),
            total=self.get("schedule.total", int),
            minimum=self.not_negative("schedule.minimum"),
            milestones=self.rising("schedule.milestones") if by_steps else (),
            gamma=self.not_negative("schedule.gamma") if by_steps else 1.0,
        )
        declines = kind in ("linear", "cosine")
        if schedule.warm_up < 0 or (declines and schedule.total <= schedule.warm_up):
            raise InputError(
                f"experiment {self.path}: schedule.warm_up {schedule.warm_up} and schedule.total {schedule.total} leave "
                "no step after the warm-up"
            )
        return schedule
