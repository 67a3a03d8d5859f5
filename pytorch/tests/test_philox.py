"""The generator against Random123's known answers and against a loop written from the paper."""

from __future__ import annotations

import unittest

import numpy as np

from tandem_pytorch import philox


def one_block(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 in plain integers, as the paper's figure has it."""
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ key[0],
            second & 0xFFFFFFFF,
            (first >> 32) ^ counter[3] ^ key[1],
            first & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


class Words(unittest.TestCase):
    def test_known_answers(self) -> None:
        # Random123, examples/kat_vectors, "philox4x32 10"
        ones = 0xFFFFFFFF
        cases = [
            ([0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
            ([ones] * 4, [ones] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
            (
                [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
                [0xA4093822, 0x299F31D0],
                "d16cfe09 94fdcceb 5001e420 24126ea1",
            ),
        ]
        for counter, key, expected in cases:
            with self.subTest(counter=counter):
                got = philox.blocks((counter[0], counter[1], counter[2], counter[3]), (key[0], key[1]))
                self.assertEqual(" ".join(f"{word:08x}" for word in got[0]), expected)

    def test_layout_of_key_and_counter(self) -> None:
        seed, step, site = 0x0123456789ABCDEF, 0xFEDCBA9876543210, 77
        got = philox.words(11, seed, step, site)
        key = [seed & 0xFFFFFFFF, seed >> 32]
        expected = [one_block([i // 4, step & 0xFFFFFFFF, step >> 32, site], key)[i % 4] for i in range(11)]
        self.assertEqual(got.tolist(), expected)

    def test_chunks_join_without_a_seam(self) -> None:
        border = 4 * philox._CHUNK
        got = philox.words(border + 6, 5, 6, 7)
        for i in (border - 1, border, border + 5):
            self.assertEqual(int(got[i]), one_block([i // 4, 6, 0, 7], [5, 0])[i % 4])

    def test_what_does_not_fit_is_refused(self) -> None:
        for arguments in ((1, -1, 0, 0), (1, 1 << 64, 0, 0), (1, 0, 1 << 64, 0), (1, 0, 0, 1 << 32), (-1, 0, 0, 0)):
            with self.subTest(arguments=arguments), self.assertRaises(ValueError):
                philox.words(*arguments)


class Masks(unittest.TestCase):
    def test_threshold(self) -> None:
        # ceil(keep * 2^32) in float64; 0.8's double lies above 0.8, 0.7's below
        for keep, expected in (
            (1.0, 1 << 32),
            (0.0, 0),
            (0.5, 1 << 31),
            (0.8, 3435973837),
            (0.7, 3006477108),
            (1e-12, 1),
        ):
            with self.subTest(keep=keep):
                self.assertEqual(philox.threshold(keep), expected)
        for keep in (-0.1, 1.1, float("nan")):
            with self.subTest(keep=keep), self.assertRaises(ValueError):
                philox.threshold(keep)

    def test_keeps_words_below_the_threshold_in_row_major_order(self) -> None:
        mask = philox.keep_mask((5, 7), 0.8, seed=42, step=3, site=1)
        words = philox.words(35, 42, 3, 1)
        self.assertEqual(mask.dtype, np.bool_)
        self.assertEqual(mask.reshape(-1).tolist(), [int(word) < 3435973837 for word in words])
        self.assertTrue(0 < int(mask.sum()) < 35)

    def test_extremes(self) -> None:
        self.assertTrue(bool(philox.keep_mask((1000,), 1.0, 1, 2, 3).all()))
        self.assertFalse(bool(philox.keep_mask((1000,), 0.0, 1, 2, 3).any()))
        self.assertEqual(philox.keep_mask((), 0.5, 1, 2, 3).shape, ())
        self.assertEqual(philox.keep_mask((0, 4), 0.5, 1, 2, 3).shape, (0, 4))

    def test_share_of_kept_elements(self) -> None:
        # 10^6 draws at 0.8 have a standard deviation of 400; the words are fixed, so this cannot flicker
        kept = int(philox.keep_mask((1000, 1000), 0.8, 42, 0, 0).sum())
        self.assertLess(abs(kept - 800_000), 4 * 400)


if __name__ == "__main__":
    unittest.main()
