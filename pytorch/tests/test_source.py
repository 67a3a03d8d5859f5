"""The built-in model and the lookup of models, with the errors a user meets."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tandem_pytorch.errors import InputError
from tandem_pytorch.experiment import Model
from tandem_pytorch.models import mnist_mlp, source

USER = """
from neighbour import WIDTH
from torch import nn
def build(width=WIDTH): return nn.Linear(width, 2)
def failing(): raise RuntimeError("no such luck")
def number(): return 5
def rms(): return nn.Sequential(nn.RMSNorm(3), nn.RMSNorm(3, eps=1e-3))
def empty(): return nn.ReLU()
def frozen(): return build().requires_grad_(False)
def half_frozen(): return nn.Sequential(frozen(), nn.Linear(2, 2))
class Holder:
    build = staticmethod(build)
CONSTANT = 3
READY = build()
def forgets(): build()
"""


class BuiltIn(unittest.TestCase):
    def test_mnist_mlp(self) -> None:
        model = mnist_mlp.build()
        self.assertEqual(sum(p.numel() for p in model.parameters()), 109_386)
        self.assertEqual(
            [name for name, _ in model.named_children()],
            ["fc1", "relu1", "drop1", "fc2", "relu2", "drop2", "fc3"],
        )
        self.assertEqual(model(torch.zeros(2, 784)).shape, (2, 10))


class Lookup(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "user.py"
        self.file.write_text(USER, encoding="utf-8")
        (Path(folder.name) / "neighbour.py").write_text("WIDTH = 3\n", encoding="utf-8")
        (Path(folder.name) / "broken.py").write_text("import nowhere_at_all\n", encoding="utf-8")

    def build(self, text: str, **args: Any) -> nn.Module:
        return source.build(Model(text, args, 20), seed=11)

    def test_sources(self) -> None:
        for text in (
            "mnist_mlp:build",
            "tandem_pytorch.models.mnist_mlp:build",
            f"{self.file}:build",
            f"{self.file}:Holder.build",
        ):
            with self.subTest(text):
                self.assertIsInstance(self.build(text), nn.Module)

    def test_frozen(self) -> None:
        def trained(*patterns: str, text: str = "mnist_mlp:build") -> list[str]:
            module = source.build(Model(text, {}, 20, frozen=patterns), seed=11)
            return [name for name, parameter in module.named_parameters() if parameter.requires_grad]

        self.assertEqual(trained("fc1.*", "*3.bias"), ["fc2.weight", "fc2.bias", "fc3.weight"])
        self.assertEqual(trained("weight", text=f"{self.file}:build"), ["bias"])
        self.assertEqual(trained(text=f"{self.file}:half_frozen"), ["1.weight", "1.bias"])
        for patterns, message in (
            (("fc1", "*.bias"), 'no parameter\'s name fits the pattern "fc1" of model.frozen; the parameters are fc1.weight, '),
            (("*",), "model.frozen, \\*, leaves no parameter to train; the parameters are fc1.weight, "),
        ):
            with self.subTest(patterns), self.assertRaisesRegex(InputError, message):
                trained(*patterns)
        with self.assertRaisesRegex(InputError, 'model source ".*:frozen" leaves no parameter to train'):
            trained(text=f"{self.file}:frozen")

    def test_seed_decides_the_weights(self) -> None:
        torch.manual_seed(11)
        expected = nn.Linear(4, 2)
        torch.rand(3)
        got = self.build(f"{self.file}:build", width=4)
        self.assertTrue(torch.equal(got.weight, expected.weight))  # type: ignore[arg-type]

    def test_rms_norm_computes_with_one_epsilon(self) -> None:
        layers = list(self.build(f"{self.file}:rms").children())
        self.assertEqual([layer.eps for layer in layers], [torch.finfo(torch.float32).eps, 1e-3])
        x = torch.tensor([[1e-3, 2e-3, 3e-3]], dtype=torch.float64)
        # In float64 as in float32: without, the two would be 1 % apart here.
        single, double = layers[0](x.float()), layers[0].double()(x)
        self.assertTrue(torch.allclose(single.double(), double, rtol=1e-6))

    def test_errors_say_what_is_wrong(self) -> None:
        cases = {
            "no_colon": 'must be "module:callable"',
            "no_such_module_anywhere:build": "no module",
            "mnist_mlp:nothing": 'has no "nothing"; it has ',
            "/no/such/file.py:build": "no such file",
            f"{self.file}:failing": "RuntimeError: no such luck",
            f"{self.file}:number": "returned int",
            f"{self.file}:empty": "without parameters",
            f"{self.file}:CONSTANT": "cannot be called",
            f"{self.file.parent / 'broken.py'}:build": "nowhere_at_all",
        }
        for text, expected in cases.items():
            with self.subTest(text), self.assertRaisesRegex(InputError, expected):
                self.build(text)

    def test_the_users_own_lines_are_shown(self) -> None:
        with self.assertRaisesRegex(InputError, "depth=2.*TypeError") as caught:
            self.build(f"{self.file}:build", depth=2)
        self.assertEqual(caught.exception.detail, "")
        with self.assertRaisesRegex(InputError, "no such luck") as caught:
            self.build(f"{self.file}:failing")
        self.assertRegex(caught.exception.detail, r'user.py", line \d+, in failing\n    def failing\(\)')

    def test_a_module_in_place_of_its_builder(self) -> None:
        with self.assertRaisesRegex(InputError, r"is a module already \(Linear\): name its class, or a function"):
            self.build(f"{self.file}:READY")
        with self.assertRaisesRegex(InputError, "returned NoneType; .*is a return missing"):
            self.build(f"{self.file}:forgets")


if __name__ == "__main__":
    unittest.main()
