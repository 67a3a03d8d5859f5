"""Philox4x32-10, the counter-based generator of the shared dropout masks, in numpy.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The layout of key and counter is
tandem's: key (seed low, seed high), counter (i // 4, step low, step high, site) for element i in row-major order,
which takes word i % 4 of the block. Any engine that draws these words draws the same masks, in any order.
"""

from __future__ import annotations

import math

import numpy as np

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = 0x9E3779B9
_W1 = 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

#: Blocks computed at once: four working arrays of 8 bytes an element, 512 KiB together, stay in the second-level cache.
_CHUNK = 1 << 14


def blocks(counter: tuple[np.ndarray | int, int, int, int], key: tuple[int, int]) -> np.ndarray:
    """Return the four uint32 words of each counter: (n, 4) for n values of the counter's first word.

    The other three words and the key are the same for all. Words live in uint64 arrays, where a 32 by 32 bit product
    keeps both halves.
    """
    first = np.atleast_1d(np.asarray(counter[0], dtype=np.uint64))
    c0 = first.copy()
    c1, c2, c3 = (np.full_like(first, word) for word in counter[1:])
    k0, k1 = key
    for _ in range(10):
        p0 = c0 * _M0
        p1 = c2 * _M1
        c0 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0)
        c1 = p1 & _LOW
        c2 = (p0 >> _HALF) ^ c3 ^ np.uint64(k1)
        c3 = p0 & _LOW
        k0 = (k0 + _W0) & 0xFFFFFFFF
        k1 = (k1 + _W1) & 0xFFFFFFFF
    return np.stack((c0, c1, c2, c3), axis=1).astype(np.uint32)


def words(count: int, seed: int, step: int, site: int) -> np.ndarray:
    """Return the uint32 words of elements 0 ... count-1 of a dropout site at a step."""
    if count < 0 or not 0 <= seed < 1 << 64 or not 0 <= step < 1 << 64 or not 0 <= site < 1 << 32:
        raise ValueError(f"count {count}, seed {seed}, step {step} or site {site} does not fit the counter")
    total = (count + 3) // 4
    if total > 1 << 32:
        raise ValueError(f"a mask of {count} elements is beyond the counter's 2^34")
    result = np.empty((total, 4), dtype=np.uint32)
    low, high = step & 0xFFFFFFFF, step >> 32
    for start in range(0, total, _CHUNK):
        end = min(start + _CHUNK, total)
        first = np.arange(start, end, dtype=np.uint64)
        result[start:end] = blocks((first, low, high, site), (seed & 0xFFFFFFFF, seed >> 32))
    return result.reshape(-1)[:count]


def threshold(keep: float) -> int:
    """Return ceil(keep * 2^32), the bound below which a word keeps its element; keep is 1 - p in float64."""
    if not 0.0 <= keep <= 1.0:
        raise ValueError(f"a probability to keep of {keep} is not in [0, 1]")
    return math.ceil(keep * 4294967296.0)


def keep_mask(shape: tuple[int, ...], keep: float, seed: int, step: int, site: int) -> np.ndarray:
    """Return the boolean mask of a dropout site at a step: True where an element is kept.

    ``keep`` is 1 - p, computed in float64 as PyTorch does before it draws.
    """
    count = math.prod(shape)
    bound = threshold(keep)
    drawn = words(count, seed, step, site)
    # A bound of 2^32 does not fit the words' own type: compare as uint64 then, which keeps everything.
    kept = drawn < np.uint32(bound) if bound < 1 << 32 else np.ones(count, dtype=bool)
    return kept.reshape(shape)
