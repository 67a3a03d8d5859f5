"""Every mode trains alike, and one that cannot work here says why."""

from __future__ import annotations

import contextlib
import io
import os
import time
import unittest
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch._dynamo.exc

from tandem_pytorch import export, modes
from tandem_pytorch.engine import Engine
from tandem_pytorch.errors import UnsupportedError

from . import fixtures, test_engine


class Modes(test_engine.InProcess):
    def setUp(self) -> None:
        super().setUp()
        model = {"args": fixtures.EXPERIMENT["model"]["args"] | {"dropout": 0.0}}
        self.write(fixtures.experiment(model=model), fixtures.data())

    def write(self, experiment: dict[str, Any], data: dict[str, np.ndarray]) -> None:
        self.files = {
            "experiment": fixtures.write_experiment(self.folder / "experiment.json", experiment),
            "data": fixtures.write_data(self.folder / "data.safetensors", data),
            "model": self.path("model.onnx"),
        }

    def train(self, mode: str) -> tuple[list[float], dict[str, np.ndarray]]:
        """Two steps without dropout, whose masks differ between a compiled graph and torch as it comes."""
        engine = Engine()
        loaded = engine.load(self.files | {"threads": 1, "random": "own", "mode": mode})
        self.assertEqual(loaded["mode"], mode)
        return engine.step({"n": 2})["losses"], self.state(engine)

    def export(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            export.run(self.files["experiment"], self.files["data"], self.files["model"], time.monotonic())

    def test_all_train_alike(self) -> None:
        self.export()
        losses, state = self.train("eager")
        for mode in modes.MODES:
            with self.subTest(mode):
                if modes.MODES[mode].channels_last:
                    with self.assertRaisesRegex(UnsupportedError, "no convolution of images"):
                        self.train(mode)
                    continue
                got, after = self.train(mode)
                np.testing.assert_allclose(got, losses, rtol=1e-5)
                self.assertEqual(after.keys(), state.keys())
                for name, value in state.items():
                    # Adam's first steps divide by the gradient's size: rounding of a tiny gradient is not small in them.
                    np.testing.assert_allclose(after[name], value, atol=1e-4, rtol=1e-4, err_msg=name)

    def test_channels_last_trains_alike(self) -> None:
        random = np.random.default_rng(3)
        args = {"width": 4, "blocks": [1], "classes": fixtures.CLASSES}
        data = fixtures.data()
        for split in ("train", "test"):
            rows = len(data[f"{split}/target"])
            data[f"{split}/input"] = random.random((rows, 3, 8, 8), dtype=np.float32)
        self.write(fixtures.experiment(model={"source": "resnet:build", "args": args}, optimizer={"kind": "sgd"}), data)
        self.export()
        losses, state = self.train("eager")
        got, after = self.train("channels-last")
        np.testing.assert_allclose(got, losses, rtol=1e-5)
        for name, value in state.items():
            np.testing.assert_allclose(after[name], value, atol=1e-5, rtol=1e-4, err_msg=name)

    def test_layout_is_channels_last(self) -> None:
        module = torch.nn.Conv2d(3, 4, 3)
        modes.lay_out(module, "channels-last")
        images = modes.images_last(torch.zeros(2, 3, 8, 8))
        for value in (module.weight, images, module(images)):
            self.assertTrue(value.is_contiguous(memory_format=torch.channels_last))

    def test_a_compiler_is_needed_and_named(self) -> None:
        with mock.patch.dict(os.environ, {"CXX": "no-such-compiler"}):
            for name, mode in modes.MODES.items():
                with self.subTest(name):
                    if mode.compiled or mode.compiled_update:
                        with self.assertRaisesRegex(UnsupportedError, "no-such-compiler"):
                            modes.find(name)
                    else:
                        self.assertIs(modes.find(name), mode)

    def test_products_are_autotuned_where_asked(self) -> None:
        for autotuned, want in ((False, None), (True, "max-autotune")):
            with mock.patch.object(torch, "compile") as compiler:
                modes.compiled(torch.sin, autotuned)
            self.assertEqual(compiler.call_args.kwargs["mode"], want)

    def test_what_cannot_be_compiled_is_unsupported(self) -> None:
        def broken(x: torch.Tensor) -> torch.Tensor:
            raise torch._dynamo.exc.BackendCompilerFailed(len, RuntimeError("no space left on device"), None)

        with mock.patch.object(torch, "compile", lambda function, **_: function):
            call = modes.compiled(broken)
        with self.assertRaisesRegex(UnsupportedError, "torch.compile failed: .*no space left"):
            call(torch.zeros(1))


if __name__ == "__main__":
    unittest.main()
