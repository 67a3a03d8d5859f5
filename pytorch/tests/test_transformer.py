"""The built-in Transformer: causal, the same in both ways of computing attention, and whole after the export."""

from __future__ import annotations

import json
import math
import unittest
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from tandem_pytorch import export, gradients, losses, masks
from tandem_pytorch.data import Batch
from tandem_pytorch.errors import InputError
from tandem_pytorch.experiment import Loss, Model
from tandem_pytorch.models import source, transformer

SMALL: dict[str, Any] = {
    "vocabulary": 11,
    "sequence": 6,
    "width": 16,
    "layers": 2,
    "heads": 2,
    "feed_forward": 24,
    "dropout": 0.3,
}


def small(**args: Any) -> torch.nn.Module:
    torch.manual_seed(5)
    return transformer.build(**{**SMALL, **args})


def tokens(rows: int = 3) -> torch.Tensor:
    return torch.randint(0, SMALL["vocabulary"], (rows, SMALL["sequence"]), generator=torch.Generator().manual_seed(1))


class Careful(torch.nn.Module):
    """Computes a norm and a softmax in float32 whatever comes in, as layers do that were written for half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x)
        x = x * torch.rsqrt(x.to(torch.float32).pow(2).mean(-1, keepdim=True) + 1e-6)
        return torch.nn.functional.softmax(x.float(), dim=-1, dtype=torch.float32).type_as(x)


class InFloat64(unittest.TestCase):
    def test_a_module_that_asks_for_float32_computes_in_float64(self) -> None:
        torch.manual_seed(2)
        module, x = Careful(), torch.randn(4, 6)
        got = gradients.call(module, gradients.copies(module, torch.float64), (x,), torch.float64)
        y = x.double() @ module.linear.weight.double().T + module.linear.bias.double()
        want = torch.softmax(y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6), dim=-1)
        self.assertEqual(got.dtype, torch.float64)
        self.assertLess(float((got - want).abs().max()), 1e-15)
        single = gradients.call(module, gradients.copies(module, torch.float32), (x,), torch.float32)
        self.assertEqual(single.dtype, torch.float32)


class Arrangement(unittest.TestCase):
    def test_size(self) -> None:
        model = transformer.build()
        self.assertEqual(sum(parameter.numel() for parameter in model.parameters()), 3_241_472)
        untied = transformer.build(tied=False)
        self.assertEqual(sum(parameter.numel() for parameter in untied.parameters()), 3_241_472 + 256 * 256)
        self.assertIs(model.head.weight, model.token.weight)

    def test_a_position_sees_only_those_before_it(self) -> None:
        for attention in transformer.ATTENTIONS:
            model = small(attention=attention).eval()
            first, second = tokens(), tokens()
            second[:, 4] = (second[:, 4] + 1) % SMALL["vocabulary"]
            with self.subTest(attention), torch.no_grad():
                same = (model(first) == model(second)).all(dim=2).all(dim=0)
                self.assertEqual(same.tolist(), [True] * 4 + [False] * 2)

    def test_both_attentions_are_one_computation(self) -> None:
        """In float64 with shared masks: the same sites in the same order, loss and gradients up to rounding."""
        batch = Batch((tokens(),), (tokens() + 3) % SMALL["vocabulary"])
        results, drawn = [], []
        for attention in transformer.ATTENTIONS:
            model = gradients.Model(
                small(attention=attention).train(), ["logits"], losses.function(Loss("cross_entropy", "mean")), {}
            )
            own = masks.MaskSource(9)
            with masks.SharedMasks(own) as probe, torch.no_grad():
                model.module(*batch.inputs)
            drawn.append([(site.shape, site.keep) for site in probe.sites])
            results.append(gradients.evaluate(model, batch, own, torch.float64))
        self.assertEqual(drawn[0], drawn[1])
        self.assertEqual(len(drawn[0]), 1 + 3 * SMALL["layers"])
        self.assertEqual(results[0].gradients.keys(), results[1].gradients.keys())
        for name, value in results[0].gradients.items():
            with self.subTest(name):
                self.assertLess(float((value - results[1].gradients[name]).norm() / value.norm()), 1e-12)

    def test_arguments_that_do_not_fit(self) -> None:
        for args, message in (({"heads": 3}, "does not divide"), ({"attention": "none"}, "none of fused, plain")):
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                source.build(Model("transformer:build", {**SMALL, **args}, 20), 0)


class Exported(unittest.TestCase):
    def exported(self, **args: Any) -> tuple[onnx.ModelProto, dict[str, Any]]:
        model = export.export(small(**args), {"input": tokens()}, 20)
        return model, json.loads(next(entry.value for entry in model.metadata_props if entry.key == "tandem.manifest"))

    def test_every_variant(self) -> None:
        for args in (
            {},
            {"attention": "plain"},
            {"tied": False},
            {"approximate": "tanh"},
            {"dropout": 0.0},
            {"layers": 1, "heads": 1, "width": 32},
        ):
            with self.subTest(**args):
                model, manifest = self.exported(**args)
                sites = 0 if args.get("dropout") == 0 else 1 + 3 * args.get("layers", SMALL["layers"])
                self.assertEqual(len(manifest["dropout"]), sites)
                names = {entry["name"] for entry in manifest["parameters"]}
                self.assertEqual("head.weight" in names, args.get("tied") is False)
                gelu = next(node for node in model.graph.node if node.op_type == "Gelu")
                self.assertEqual(
                    onnx.helper.get_attribute_value(gelu.attribute[0]).decode(), args.get("approximate", "none")
                )

    def test_activations_have_the_batch_as_their_first_dimension(self) -> None:
        _, manifest = self.exported()
        modules = {entry["module"] for entry in manifest["activations"]}
        self.assertIn("token", modules)
        self.assertIn("blocks.1.gelu", modules)
        self.assertNotIn("position", modules)

    def test_the_scale_of_attention_is_kept_as_a_double(self) -> None:
        for attention in transformer.ATTENTIONS:
            with self.subTest(attention):
                model, manifest = self.exported(attention=attention)
                scale = 1 / math.sqrt(SMALL["width"] / SMALL["heads"])
                self.assertEqual({entry["number"] for entry in manifest["scalars"]}, {scale})
                stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
                for entry in manifest["scalars"]:
                    self.assertEqual(stored[entry["value"]], np.float32(scale))


if __name__ == "__main__":
    unittest.main()
