"""The losses: shapes, settings, and the weights of a batch's parts."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tandem_pytorch import experiment as experiments
from tandem_pytorch import losses
from tandem_pytorch.data import Data
from tandem_pytorch.errors import EngineError, InputError
from tandem_pytorch.experiment import LOSSES, Loss

from . import fixtures


def draw(loss: Loss, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw an output and targets that fit a loss."""
    random = torch.Generator().manual_seed(1)
    output = torch.randn(rows, 4, 3, generator=random, dtype=torch.float64)
    if loss.takes_classes:
        shape, classes = ((rows, 3), 4) if loss.class_dim == 1 else ((rows, 4), 3)
        return output, torch.randint(0, classes, shape, generator=random)
    return output, torch.rand(output.shape, generator=random)


class Losses(unittest.TestCase):
    def test_every_loss_of_a_batch_is_that_of_its_parts(self) -> None:
        settings: list[dict[str, Any]] = [{"kind": kind} for kind in LOSSES]
        settings += [
            {"kind": "cross_entropy", "class_weights": (1.0, 0.5, 2.0), "ignore_index": 1},
            {"kind": "cross_entropy", "class_weights": (1.0, 0.5, 2.0, 0.1), "class_dim": 1, "label_smoothing": 0.2},
            {"kind": "bce_with_logits", "positive_weights": (1.0, 2.0, 3.0)},
            {"kind": "kl_div", "log_target": True},
        ]
        for chosen in settings:
            for reduction in ("mean", "sum", *(("batchmean",) if chosen["kind"] == "kl_div" else ())):
                loss = Loss(**chosen, reduction=reduction)
                with self.subTest(loss=loss):
                    compute = losses.function(loss)
                    output, target = draw(loss, 5)
                    whole = losses.weight(loss, target)
                    parts = sum(
                        compute(output[rows], target[rows]) * losses.weight(loss, target[rows]) / whole
                        for rows in (slice(0, 2), slice(2, 5))
                    )
                    torch.testing.assert_close(parts, compute(output, target), rtol=1e-12, atol=0)

    def test_targets_that_do_not_fit_the_output(self) -> None:
        classes = torch.tensor([[0, 2], [1, 0], [-100, 2]])
        numbers = torch.zeros(3, 2)
        entropy, other = Loss("cross_entropy", "mean", ignore_index=-100), Loss("cross_entropy", "mean", class_dim=1)
        losses.check(entropy, "logits", [0, 2, 3], {"train/target": classes})
        losses.check(Loss("mse", "mean"), "logits", [0, 2, 1], {"train/target": numbers})
        losses.check(Loss("nll", "mean", class_dim=1), "logits", [0, 3, 2], {"train/target": classes.clamp(min=0)})
        cases: list[tuple[Loss, list[int], torch.Tensor, str]] = [
            (entropy, [0, 2, 2], classes, "test/target has the class 2, and the model's output logits has 2 classes: .* 0 to 1"),
            (Loss("nll", "mean"), [0, 2, 3], classes, "has the class -100, .*loss.ignore_index = -100"),
            (entropy, [0, 3], classes, r"output has shape \[3, 3\] for targets of shape \[3, 2\]"),
            (other, [0, 2, 3], classes, "its classes second"),
            (entropy, [], classes, "for targets of shape"),
            (Loss("l1", "mean"), [0, 3], numbers, "l1 needs both alike"),
            (Loss("huber", "mean"), [], numbers, "huber needs both alike"),
        ]
        for loss, shape, target, message in cases:
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                losses.check(loss, "logits", shape, {"test/target": target})

    def test_shapes(self) -> None:
        mse, entropy = Loss("mse", "mean"), Loss("cross_entropy", "mean")
        self.assertEqual(losses.as_output(mse, torch.zeros(5, 1), torch.zeros(5)).shape, (5, 1))
        self.assertEqual(losses.as_output(mse, torch.zeros(5), torch.zeros(5, 1)).shape, (5,))
        self.assertEqual(losses.as_output(mse, torch.zeros(5, 2).double(), torch.zeros(5, 2)).dtype, torch.float64)
        # torch would broadcast these, with a warning.
        for output, target in (((5, 1), (1, 5)), ((5, 2), (5,)), ((5,), (4,)), ((5, 2, 3), (5, 6))):
            with self.subTest(output=output, target=target), self.assertRaisesRegex(InputError, "needs both alike"):
                losses.as_output(mse, torch.zeros(output), torch.zeros(target))
        with self.assertRaisesRegex(InputError, "after it the classes"):
            losses.as_rows(entropy, torch.zeros(2, 3, 4), torch.zeros(2, 4))
        with self.assertRaisesRegex(InputError, "its classes second"):
            losses.as_rows(Loss("cross_entropy", "mean", class_dim=1), torch.zeros(2, 3, 4), torch.zeros(2, 3))

    def test_settings_of_an_experiment(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "experiment.json"

            def read(**loss: Any) -> Loss:
                content = fixtures.experiment()
                content["loss"] = {"reduction": "mean", **loss}
                return experiments.read(fixtures.write_experiment(path, content)).loss

            whole = read(
                kind="cross_entropy", output="1", class_weights=[1, 2.5], ignore_index=-100, class_dim=1, label_smoothing=0.1
            )
            self.assertEqual(whole, Loss("cross_entropy", "mean", "1", (1.0, 2.5), -100, 0.1, 1))
            self.assertEqual(read(kind="huber", delta=2), Loss("huber", "mean", delta=2.0))
            for wrong in ({"kind": "mse", "delta": 1}, {"kind": "nll", "class_weights": "1"}, {"kind": "hinge"}):
                with self.subTest(wrong=wrong), self.assertRaises(EngineError):
                    read(**wrong)

    def test_which_output(self) -> None:
        names = ["loss", "scores", "0"]
        for output, want in (("", 0), ("scores", 1), ("1", 1), ("0", 2)):  # a name goes before a position
            self.assertEqual(losses.position(Loss("mse", "mean", output), names), want)
        for output in ("logits", "3", "-1"):
            with self.assertRaisesRegex(InputError, f'"{output}": it may be one of loss, scores, 0, or a position from 0 to 2'):
                losses.position(Loss("mse", "mean", output), names)

    def test_targets_of_the_data_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.safetensors"
            tensors = fixtures.data()
            fixtures.write_data(path, tensors)
            with self.assertRaisesRegex(InputError, "mse needs float32 numbers"):
                Data(path, ["input"], Loss("mse", "mean"))
            numbers = {
                **tensors,
                "train/target": np.zeros((fixtures.SAMPLES, 2), np.float32),
                "test/target": np.zeros((fixtures.TESTS, 2), np.float32),
            }
            fixtures.write_data(path, numbers)
            self.assertEqual(Data(path, ["input"], Loss("mse", "mean")).batch(0).target.shape, (fixtures.BATCH, 2))
            with self.assertRaisesRegex(InputError, "cross_entropy needs int64"):
                Data(path, ["input"], Loss("cross_entropy", "mean"))
            fixtures.write_data(path, {name: value for name, value in tensors.items() if not name.endswith("target")})
            data = Data(path, ["input"], Loss("output", "mean"))
            self.assertEqual((data.rows("test"), data.batch(0).size), (fixtures.TESTS, fixtures.BATCH))


if __name__ == "__main__":
    unittest.main()
