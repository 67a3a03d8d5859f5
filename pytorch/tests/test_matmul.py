"""The products that PyTorch is timed on are those of the benchmarks."""

from __future__ import annotations

import contextlib
import io
import unittest
from unittest import mock

import torch

from tandem_pytorch import matmul

LINES = """cpu: any
BenchmarkGemm/path=avx2/threads=1/of=data/m=4/n=5/k=6/form=TN-2 1 5 ns/op 1 GF/s
BenchmarkGemm/path=avx512/threads=1/of=data/m=4/n=5/k=6/form=TN-2 1 5 ns/op 1 GF/s
BenchmarkAdd/path=avx2-2 1 5 ns/op
"""


class Matmul(unittest.TestCase):
    def run_on(self, text: str) -> tuple[int, str]:
        out = io.StringIO()
        self.addCleanup(torch.set_num_threads, torch.get_num_threads())
        with (
            mock.patch("sys.stdin", io.StringIO(text)),
            mock.patch.object(matmul, "SECONDS", 0),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            return matmul.main(), out.getvalue()

    def test_one_line_for_each_shape(self) -> None:
        with mock.patch.object(torch, "mm", wraps=torch.mm) as mm:
            status, text = self.run_on(LINES)
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^BenchmarkTorchGemm/threads=1/m=4/n=5/k=6/form=TN \t 1 \t \d+ ns/op \t [\d.e-]+ GF/s\n$")
        a, b = mm.call_args.args
        self.assertEqual((a.shape, a.stride(), b.shape, b.stride()), ((4, 6), (1, 4), (6, 5), (5, 1)))

    def test_nothing_to_time(self) -> None:
        self.assertEqual(self.run_on("BenchmarkAdd 1 1 ns/op\n"), (2, ""))


if __name__ == "__main__":
    unittest.main()
