"""A tiny experiment on disk: what every test of exporter and engine starts from."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

SAMPLES, TESTS, INPUTS, CLASSES, BATCH, EPOCHS = 45, 15, 12, 4, 16, 3
#: 45 samples in batches of 16: the last one of an epoch has 13.
STEPS = 9

EXPERIMENT: dict[str, Any] = {
    "name": "tiny",
    "description": "",
    "seed": 7,
    "model": {
        "source": "mnist_mlp:build",
        "args": {"inputs": INPUTS, "hidden": [8, 6], "classes": CLASSES, "dropout": 0.2},
        "opset": 20,
    },
    "data": {
        "source": "synthetic",
        "train": SAMPLES,
        "test": TESTS,
        "flatten": True,
        "shuffle": True,
        "input_name": "input",
    },
    "loss": {"kind": "cross_entropy", "reduction": "mean"},
    "optimizer": {
        "kind": "adam",
        "learning_rate": 0.01,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "weight_decay": 0,
        "momentum": 0,
        "dampening": 0,
        "nesterov": False,
        "alpha": 0.99,
        "centered": False,
        "lr_decay": 0,
        "initial_accumulator_value": 0,
        "momentum_decay": 0.004,
        "decoupled_weight_decay": False,
        "no_decay": [],
        "clip_norm": 0,
    },
    "schedule": {"kind": "constant", "warm_up": 0, "total": 0, "minimum": 0},
    "train": {"batch": BATCH, "epochs": EPOCHS, "max_steps": 0},
    "parity": {},
    "timing": {},
}

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"kind": "adam", "weight_decay": 0.01},
    "adamw": {"kind": "adamw", "weight_decay": 0.1},
    "adamw with groups and clipping": {
        "kind": "adamw",
        "weight_decay": 0.3,
        "no_decay": ["*.bias", "fc3*"],
        "clip_norm": 0.05,
    },
    "sgd": {"kind": "sgd"},
    "sgd with groups and clipping": {"kind": "sgd", "weight_decay": 0.3, "no_decay": ["*"], "clip_norm": 0.05},
    "sgd with dampened momentum": {"kind": "sgd", "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
    "sgd with Nesterov momentum": {"kind": "sgd", "momentum": 0.9, "nesterov": True},
    "rmsprop": {"kind": "rmsprop", "weight_decay": 0.01},
    "rmsprop, centered, with momentum": {"kind": "rmsprop", "alpha": 0.9, "centered": True, "momentum": 0.8},
    "adagrad": {"kind": "adagrad", "eps": 1e-6, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "weight_decay": 0.01},
    "nadam": {"kind": "nadam", "weight_decay": 0.01},
    "nadam with groups and decoupled decay": {
        "kind": "nadam",
        "weight_decay": 0.3,
        "decoupled_weight_decay": True,
        "no_decay": ["*.bias", "fc3*"],
    },
    "lion": {"kind": "lion", "betas": [0.9, 0.99], "weight_decay": 0.1},
}


def experiment(**sections: dict[str, Any]) -> dict[str, Any]:
    """Return the tiny experiment with some fields of its sections changed."""
    result = copy.deepcopy(EXPERIMENT)
    for section, fields in sections.items():
        result[section].update(fields)
    return result


def write_experiment(path: Path, content: dict[str, Any]) -> str:
    """Write an experiment file and return its path."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def data() -> dict[str, np.ndarray]:
    """Return the tensors of the tiny data file."""
    random = np.random.default_rng(3)
    order = np.concatenate([random.permutation(SAMPLES) for _ in range(EPOCHS)])
    offsets = [epoch * SAMPLES + start for epoch in range(EPOCHS) for start in range(0, SAMPLES, BATCH)]
    return {
        "train/input": random.random((SAMPLES, INPUTS), dtype=np.float32),
        "test/input": random.random((TESTS, INPUTS), dtype=np.float32),
        "train/target": random.integers(0, CLASSES, SAMPLES),
        "test/target": random.integers(0, CLASSES, TESTS),
        "order": order.astype(np.int64),
        "offsets": np.array([*offsets, SAMPLES * EPOCHS], dtype=np.int64),
    }


def write_data(path: Path, tensors: dict[str, np.ndarray]) -> str:
    """Write a data file and return its path."""
    safetensors.numpy.save_file(tensors, str(path))
    return str(path)
