"""Memory: the most that this process has held, and what others can have."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path


def forget_peak() -> None:
    """Lets the peak start anew from what is held now, `resource.getrusage`'s too; only Linux can,
    mostly.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_gb() -> float | None:
    """The peak in 10⁹ bytes since `forget_peak`, or where that does nothing, so far; None where
    nobody knows.
    """
    with contextlib.suppress(OSError):
        match = re.search(
            r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8")
        )
        if match:
            return int(match[1]) * 1024 / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def available_gb() -> float:
    """Memory in 10⁹ bytes that further processes can have; infinite where nobody knows."""
    free = [float("inf")]
    with contextlib.suppress(OSError):
        match = re.search(
            r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8")
        )
        free += [int(match[1]) * 1024 / 1e9] if match else []
    with contextlib.suppress(OSError, ValueError):  # of a container
        folder = Path("/sys/fs/cgroup")
        limit, used = (
            int((folder / f"memory.{name}").read_text(encoding="ascii"))
            for name in ("max", "current")
        )
        cached = re.search(
            r"inactive_file (\d+)", (folder / "memory.stat").read_text(encoding="ascii")
        )
        free.append((limit - used + (int(cached[1]) if cached else 0)) / 1e9)
    return min(free)
