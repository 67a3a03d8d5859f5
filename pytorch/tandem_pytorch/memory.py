"""Resident memory of this process, in bytes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys


def resident() -> tuple[int, int]:
    """Return (current, peak) resident bytes.

    Linux tells both in /proc. Elsewhere the peak is getrusage's (bytes on macOS, kibibytes on other systems), and the
    current size is asked of ps; where there is no ps, it is the peak.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            fields = dict(line.split(":", 1) for line in status if ":" in line)
        return _kibibytes(fields["VmRSS"]), _kibibytes(fields["VmHWM"])
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
    return current, max(peak, current)


def _kibibytes(field: str) -> int:
    return int(field.split()[0]) * 1024
