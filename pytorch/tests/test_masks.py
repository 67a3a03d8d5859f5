"""The dispatch mode finds every kind of dropout and refuses what it cannot replace."""

from __future__ import annotations

import unittest

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem_pytorch import philox
from tandem_pytorch.errors import UnsupportedError
from tandem_pytorch.masks import MaskSource, SharedMasks


class Draws(unittest.TestCase):
    def test_dropout_uses_the_mask_scaled(self) -> None:
        value = torch.randn(6, 10)
        source = MaskSource(9)
        source.prepare(4, [])
        with SharedMasks(source):
            F.dropout(value, 0.5)
            got = F.dropout(value, 0.2)
        mask = philox.keep_mask((6, 10), 0.8, seed=9, step=4, site=1)
        np.testing.assert_allclose(got.numpy(), value.numpy() * mask / 0.8, rtol=1e-6)
        self.assertTrue(bool(((got == 0).numpy() == ~mask).all()))

    def test_every_kind_is_a_site(self) -> None:
        value = torch.randn(4, 6, 5)
        lstm = nn.LSTM(5, 3, num_layers=2, dropout=0.4, batch_first=True)
        cases = {
            "in place": (lambda: F.dropout(value.clone(), 0.3, inplace=True), [((4, 6, 5), 0.7)]),
            "2d": (lambda: F.dropout2d(value.reshape(4, 6, 5, 1), 0.3), [((4, 6, 1, 1), 0.7)]),
            "attention": (
                lambda: F.scaled_dot_product_attention(value, value, value, dropout_p=0.1),
                [((4, 6, 6), 0.9)],
            ),
            "lstm": (lambda: lstm(value), [((4, 6, 3), 0.6)]),
            "bernoulli": (lambda: torch.bernoulli(torch.empty(7), 0.25), [((7,), 0.25)]),
            "alpha": (lambda: F.alpha_dropout(value, 0.2, training=True), [((4, 6, 5), 0.8)]),
            "p = 0 draws nothing": (lambda: F.dropout(value, 0.0), []),
            "attention without dropout draws nothing": (
                lambda: F.scaled_dot_product_attention(value, value, value),
                [],
            ),
        }
        for name, (run, expected) in cases.items():
            with self.subTest(name), SharedMasks(MaskSource(0)) as mode:
                run()
            with self.subTest(name):
                self.assertEqual([site.keep for site in mode.sites], [keep for _, keep in expected])
                for site, (shape, _) in zip(mode.sites, expected, strict=True):
                    self.assertEqual(np.prod(site.shape), np.prod(shape))

    def test_gradient_passes_the_mask(self) -> None:
        value = torch.randn(50, requires_grad=True)
        with SharedMasks(MaskSource(1)):
            F.dropout(value, 0.5).sum().backward()
        mask = philox.keep_mask((50,), 0.5, 1, 0, 0)
        self.assertEqual(value.grad.tolist(), (mask * 2.0).tolist())  # type: ignore[union-attr]

    def test_prepared_masks_are_used(self) -> None:
        source = MaskSource(1)
        with SharedMasks(source) as mode:
            F.dropout(torch.ones(8), 0.5)
        source.prepare(5, mode.sites)
        prepared = source.mask(0, (8,), 0.5)
        self.assertIs(source.mask(0, (8,), 0.5), prepared)
        self.assertEqual(prepared.bool().tolist(), philox.keep_mask((8,), 0.5, 1, 5, 0).tolist())

    def test_other_random_operators_are_refused(self) -> None:
        for name, run in {
            "rand": lambda: torch.rand(3),
            "randn_like": lambda: torch.randn_like(torch.zeros(3)),
            "rrelu": lambda: F.rrelu(torch.ones(3), training=True),
            "bernoulli of a tensor": lambda: torch.bernoulli(torch.full((3,), 0.5)),
        }.items():
            with self.subTest(name), SharedMasks(MaskSource(0)), self.assertRaises(UnsupportedError) as caught:
                run()
            with self.subTest(name):
                self.assertIn("shared masks", caught.exception.message)


if __name__ == "__main__":
    unittest.main()
