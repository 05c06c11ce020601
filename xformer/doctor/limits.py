"""What the system lets this process have: processors, time on them, memory. Linux says it in files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def read(path: Path) -> str:
    """The text of a file; nothing where there is none, or it may not be read."""
    with suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def affinity() -> int | None:
    """The number of processors that this process may run on; None where the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        return len(os.sched_getaffinity(0))
    except OSError:
        return None


def cpu_quota(proc: Path = PROC, cgroups: Path = CGROUPS) -> float | None:
    """The processors' worth of time that the process's control group may use; None for no limit.

    Args:
        proc: where Linux describes processes.
        cgroups: where it describes control groups, of version 2 or 1.
    """
    found = []
    for folder in _folders(proc, cgroups, ("", "cpu", "cpuacct")):
        quota = read(folder / "cpu.max").split()  # version 2: "max 100000"
        if not quota:
            quota = [read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        with suppress(ValueError, IndexError, ZeroDivisionError):
            share = int(quota[0]) / int(quota[1])
            found += [share] if share > 0 else []
    return min(found, default=None)


def memory_limit(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """The bytes of memory that the process's control group may use; None for no limit."""
    found = []
    for folder in _folders(proc, cgroups, ("", "memory")):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(ValueError):
                found.append(int(read(folder / name)))
    # Version 1 says "no limit" by a number near 2⁶³.
    return min((limit for limit in found if limit < 1 << 60), default=None)


def _folders(proc: Path, cgroups: Path, controllers: Sequence[str]) -> Iterator[Path]:
    """The folders of the control groups that the process is in, and of those above, for some controllers."""
    for line in read(proc / "self" / "cgroup").splitlines():
        _, named, path = [*line.split(":", 2), "", ""][:3]
        if set(named.split(",")) & set(controllers):
            # In a container the path may be that of the host: then what holds lies at the top.
            for root in (cgroups / named, *(cgroups / one for one in named.split(","))):
                inner = root / path.lstrip("/")
                yield from (inner, *(above for above in inner.parents if above.is_relative_to(root)))


def memory(proc: Path = PROC) -> tuple[int, int] | None:
    """Bytes of memory in all, and of those that a process could get; None where the system does not say."""
    text = read(proc / "meminfo")
    found = [re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE) for name in ("MemTotal", "MemAvailable")]
    if found[0] is None or found[1] is None:
        return None
    return int(found[0][1]) * 1024, int(found[1][1]) * 1024


def cpu_flags(proc: Path = PROC) -> frozenset[str]:
    """The names of the CPU's instructions, as Linux writes them; none where it does not say."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", read(proc / "cpuinfo"), re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def cpu_name(proc: Path = PROC) -> str:
    """The product name of the CPU; empty where the system does not say."""
    found = re.search(r"^model name\s*:\s*(.+)$", read(proc / "cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else ""
