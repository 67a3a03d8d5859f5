"""Resident memory of this process, in bytes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple


class Resident(NamedTuple):
    """The resident memory now, the largest since the process began, and how much of the present one is the program's: see program."""

    current: int
    peak: int
    program: int


def resident() -> Resident:
    """Return the resident bytes.

    Linux tells both in /proc. Elsewhere the peak is getrusage's (bytes on macOS, kibibytes on other systems), and the
    current size is asked of ps; where there is no ps, it is the peak.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            fields = dict(line.split(":", 1) for line in status if ":" in line)
        return Resident(_kibibytes(fields["VmRSS"]), _kibibytes(fields["VmHWM"]), _program())
    except (OSError, KeyError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform != "darwin":
        peak *= 1024
    try:
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
        current = int(shown.stdout) * 1024
    except (OSError, subprocess.CalledProcessError, ValueError):
        current = peak
    return Resident(current, max(peak, current), 0)


def _kibibytes(field: str) -> int:
    return int(field.split()[0]) * 1024


def program(smaps: Iterable[str]) -> int:
    """Sum up the pages of the files that the process executes, its program and its libraries, that it has not written to.

    The lines are those of Linux's /proc/self/smaps. What counts is what package results/environment of tandem's Go side says:
    all mappings of a file of which any is executable, less their anonymous pages. Code that was generated lies in no file, or in
    one that exists in memory alone, and does not count; nor do files that are mapped as data.
    """
    clean: dict[tuple[str, str], int] = {}
    executed = set()
    file = None
    for line in smaps:
        fields = line.split()
        if not fields[0].endswith(":"):  # address permissions offset device inode path
            file = None
            if len(fields) > 5 and fields[4] != "0" and not fields[5].startswith(("/memfd:", "/dev/", "/SYSV")):
                file = (fields[3], fields[4])
                if "x" in fields[1]:
                    executed.add(file)
        elif file and fields[0] in ("Rss:", "Anonymous:"):
            sign = 1 if fields[0] == "Rss:" else -1
            clean[file] = clean.get(file, 0) + sign * _kibibytes(" ".join(fields[1:]))
    return sum(clean.get(file, 0) for file in executed)


def _program() -> int:
    try:
        with open("/proc/self/smaps", encoding="utf-8", errors="replace") as smaps:
            return program(smaps)
    except OSError:  # a kernel may be built without it
        return 0
