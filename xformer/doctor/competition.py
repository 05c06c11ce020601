"""Which other processes are busy: two looks at the processor time of each, some tenths of a second apart."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xformer.doctor.limits import PROC, read


@dataclass(frozen=True)
class Look:
    """The processor time that was used so far.

    Attributes:
        at (seconds): when, on a clock of its own.
        used: name, parent and ticks of each process that can be seen, by number.
        total: ticks of all processors that were not idle, those of processes out of sight among them.
        hidden: processes that may not be read.
    """

    at: float
    used: dict[int, tuple[str, int, int]]
    total: int
    hidden: int

    @classmethod
    def now(cls, proc: Path = PROC) -> Look | None:
        """The processes that can be seen; None where the system does not list them."""
        try:
            numbers = [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]
        except OSError:
            return None
        used, hidden = {}, 0
        for number in numbers:
            text = read(proc / str(number) / "stat")
            # The name stands in brackets, and may hold brackets and spaces.
            name, bracket, rest = text.partition("(")[2].rpartition(")")
            fields = rest.split()
            try:
                used[number] = (name, int(fields[1]), int(fields[11]) + int(fields[12]))
            except (IndexError, ValueError):
                # Gone meanwhile, or of somebody else.
                hidden += (proc / str(number)).is_dir() and not bracket
        busy = read(proc / "stat").split("\n", 1)[0].split()
        with suppress(ValueError):
            # user, nice, system; then idle, wait for the disk; then interrupts and what the host took.
            ticks = [int(one) for one in busy[1:9]]
            total = sum(ticks) - sum(ticks[3:5])
            return cls(time.monotonic(), used, total, hidden)
        return None


@dataclass(frozen=True)
class Competition:
    """What others used between two looks.

    Attributes:
        processes: name, number and processors' worth of time of others, the busiest first.
        unseen: processors' worth of time of processes out of sight: of another container, or of the host.
        hidden: processes that may not be read.
    """

    processes: tuple[tuple[str, int, float], ...]
    unseen: float
    hidden: int

    @property
    def cores(self) -> float:
        """Processors' worth of time of all others."""
        return sum(used for _, _, used in self.processes) + self.unseen


def competition(
    before: Look, after: Look, own: Collection[int], ticks_per_second: float | None = None
) -> Competition:
    """What others used between two looks, in processors' worth of time.

    Args:
        before: the first look.
        after: the second one.
        own: processes that do not count.
        ticks_per_second: of the system's clock; None to ask it.
    """
    if ticks_per_second is None:
        ticks_per_second = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    span = max(after.at - before.at, 1e-3) * ticks_per_second
    found, mine = [], 0.0
    for number, (name, parent, ticks) in after.used.items():
        earlier = before.used.get(number)
        # One that has begun in between has used all of it since.
        used = (ticks - (earlier[2] if earlier and earlier[0] == name else 0)) / span
        if number in own or parent in own:
            mine += used
        elif used > 0:
            found.append((name, number, used))
    total = (after.total - before.total) / span
    unseen = total - mine - sum(used for _, _, used in found)
    found.sort(key=lambda one: -one[2])
    # A tick more or less for each of many processes, and for each processor, is no finding.
    return Competition(tuple(found), unseen if unseen > 0.2 else 0.0, after.hidden)
