"""The built-in ResNet: its size, its names and its shapes."""

from __future__ import annotations

import unittest

import torch

from tandem_pytorch.models import resnet


class Arrangement(unittest.TestCase):
    def test_size(self) -> None:
        """ResNet-18 for CIFAR-10, and torchvision's resnet18 and resnet34."""
        for want, args in (
            (11_173_962, {}),
            (11_689_512, {"stem": "imagenet", "classes": 1000}),
            (21_797_672, {"stem": "imagenet", "classes": 1000, "blocks": (3, 4, 6, 3)}),
        ):
            with self.subTest(args):
                model = resnet.build(**args)  # type: ignore[arg-type]
                self.assertEqual(sum(parameter.numel() for parameter in model.parameters()), want)

    def test_names_are_torchvisions(self) -> None:
        names = list(resnet.build().state_dict())
        for name in ("conv1.weight", "bn1.running_mean", "layer1.1.conv2.weight", "layer2.0.downsample.1.bias", "fc.weight"):
            self.assertIn(name, names)

    def test_shapes(self) -> None:
        for stem, side in (("cifar", 32), ("imagenet", 64)):
            model = resnet.build(width=4, stem=stem)
            self.assertEqual(model(torch.zeros(2, 3, side, side)).shape, (2, 10))

    def test_errors(self) -> None:
        with self.assertRaisesRegex(ValueError, "none of cifar, imagenet"):
            resnet.build(stem="patch")
        with self.assertRaisesRegex(ValueError, "at least one"):
            resnet.build(blocks=())


if __name__ == "__main__":
    unittest.main()
