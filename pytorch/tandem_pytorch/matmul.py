"""Time PyTorch's own product of matrices on the shapes of tandem's: ``python -m tandem_pytorch.matmul < benchmarks``.

It reads the output of Go's benchmarks and writes, in the same format, a line TorchGemm for each shape and number of threads of a
Gemm in it. As there, GF/s are of the fastest call; the result is written to a matrix that is there already.
"""

from __future__ import annotations

import re
import sys
import time

import torch

#: A benchmark's name as native/kernel writes it.
GEMM = re.compile(r"^BenchmarkGemm/path=\w+/threads=(\d+)/of=\w+/m=(\d+)/n=(\d+)/k=(\d+)/form=([NT])([NT])", re.MULTILINE)

SECONDS = 0.2  # for each shape
FEWEST = 20  # calls


def fastest(m: int, n: int, k: int, left: str, right: str) -> int:
    """Return the nanoseconds of the fastest call of an m x k by a k x n matrix; "T" is one that lies transposed."""
    a = torch.rand(m, k) if left == "N" else torch.rand(k, m).T
    b = torch.rand(k, n) if right == "N" else torch.rand(n, k).T
    out = torch.empty(m, n)
    best, calls = sys.maxsize, 0
    end = time.perf_counter() + SECONDS
    with torch.inference_mode():
        while calls < FEWEST or time.perf_counter() < end:
            start = time.perf_counter_ns()
            torch.mm(a, b, out=out)
            best = min(best, time.perf_counter_ns() - start)
            calls += 1
    return best


def main() -> int:
    """Answer standard input on standard output."""
    shapes = sorted({match.groups() for match in GEMM.finditer(sys.stdin.read())})
    if not shapes:
        print("matmul: there is no benchmark Gemm on standard input", file=sys.stderr)
        return 2
    for threads, m, n, k, left, right in sorted(shapes, key=lambda shape: int(shape[0])):
        torch.set_num_threads(int(threads))
        taken = fastest(int(m), int(n), int(k), left, right)
        rate = 2 * int(m) * int(n) * int(k) / taken
        name = f"BenchmarkTorchGemm/threads={threads}/m={m}/n={n}/k={k}/form={left}{right}"
        print(f"{name} \t 1 \t {taken} ns/op \t {rate:.4g} GF/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
