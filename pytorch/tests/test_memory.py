"""Resident memory, and which part of it is the program's: the cases of package results/environment's test."""

from __future__ import annotations

import sys
import unittest

from tandem_pytorch import memory

CODE = "55dd3100c000-55dd31012000 r-xp 00002000 fe:00 247278                     /usr/bin/head"
CONSTANTS = "55dd3100a000-55dd3100c000 r--p 00000000 fe:00 247278                     /usr/bin/head"
VARIABLES = "55dd31012000-55dd31014000 rw-p 00008000 fe:00 247278                     /usr/bin/head"
DATA = "7f0000000000-7f0000100000 r--s 00000000 fe:00 247279                     /home/ann/data set"
TWIN = "7f0000000000-7f0000100000 r--s 00000000 fe:01 247278                     /mnt/data"
HEAP = "55dd3100c000-55dd31012000 rw-p 00000000 00:00 0                          [heap]"
NAMELESS = "7f1000000000-7f1000100000 rwxp 00000000 00:00 0"
GENERATED = "7f2000000000-7f2000100000 r-xs 00000000 00:01 1024                       /memfd:jit (deleted)"
SHARED = "7f2000000000-7f2000100000 rwxs 00000000 00:05 1025                       /dev/zero (deleted)"
REPLACED = "7f3000000000-7f3000100000 r-xp 00000000 fe:00 247280                     /usr/lib/libc.so.6 (deleted)"


def mapping(head: str, rss: int, anonymous: int = 0) -> list[str]:
    return [
        f"{head}\n",
        "Size:              9000 kB\n",
        f"Rss:             {rss:7} kB\n",
        f"Anonymous:       {anonymous:7} kB\n",
        "VmFlags: rd ex mr\n",
    ]


class Memory(unittest.TestCase):
    def test_program(self) -> None:
        cases = {
            "empty": ([], 0),
            "constants of an executed file, before its code and after": (
                mapping(CONSTANTS, 8) + mapping(CODE, 24) + mapping(CONSTANTS, 1),
                33,
            ),
            "pages that were written": (mapping(CODE, 24, 4) + mapping(VARIABLES, 12, 8), 24),
            "data that is mapped": (mapping(CODE, 24) + mapping(DATA, 900), 24),
            "a file of the same number on another device": (mapping(CODE, 24) + mapping(TWIN, 900), 24),
            "memory without a file": (mapping(CODE, 24) + mapping(HEAP, 7, 7) + mapping(NAMELESS, 5), 24),
            "code that was generated": (mapping(GENERATED, 64) + mapping(SHARED, 32), 0),
            "a library that was replaced while it ran": (mapping(REPLACED, 64), 64),
        }
        for reason, (lines, kibibytes) in cases.items():
            with self.subTest(reason):
                self.assertEqual(memory.program(lines), kibibytes * 1024)

    @unittest.skipUnless(sys.platform == "linux", "only Linux tells")
    def test_what_is_touched_is_not_the_program(self) -> None:
        size = 64 << 20
        before = memory.resident()
        block = bytearray(size)
        block[::4096] = b"x" * (size // 4096)
        after = memory.resident()
        del block
        self.assertGreater(after.current - before.current, size // 2)
        self.assertGreater(after.program, 1 << 20)
        self.assertLess(after.program - before.program, size // 2)
        self.assertGreaterEqual(after.peak, before.peak)
