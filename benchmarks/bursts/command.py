"""The command `xformer bench bursts`. Torch is imported only in the processes that it starts."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class BurstsBench:
    """A pass of the model by this tree and by another revision, in bursts that take turns: for differences of
    a few thousandths, such as what a feature costs that is off. Exit status 1: this tree is slower by more
    than `--most`, and its interval says so, too.

    xformer bench bursts --base HEAD~1

    xformer bench bursts --base 3ab74fa --work encode --threads 2 --json
    """

    base: str = "HEAD"
    """A revision of this checkout, or the folder of another one."""
    work: tuple[Literal["train", "encode"], ...] = ("train", "encode")
    """What to repeat: a pass forward and backward, or sentence vectors, of 4,096 tokens."""
    starts: int = 6
    """Pairs of processes."""
    bursts: int = 40
    """Pairs of bursts of each pair of processes."""
    seconds: float = 0.2
    """Seconds of a burst."""
    threads: int = 1
    """Threads of each side."""
    most: float = 0.005
    """Share by which this tree may be slower."""
    out: Path = Path("benchmarks/results/bursts.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of lines."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from contextlib import ExitStack

        import xformer
        from xformer.errors import InputError
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from ..kernels.base import tree_of
        from .bench import compare

        for name in ("starts", "bursts", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}: expected at least 1, got {getattr(self, name)}")
        machine = begin_record(self.out)
        here = Path(xformer.__file__).resolve().parents[1]
        with Progress() as progress, ExitStack() as stack:
            folder = stack.enter_context(tree_of(self.base, here))
            found = compare(
                folder,
                here,
                self.work,
                starts=self.starts,
                bursts=self.bursts,
                seconds=self.seconds,
                threads=self.threads,
                progress=progress,
            )
        ratios = [asdict(one) for one in found]
        record = {"base": self.base, "threads": self.threads, "ratios": ratios, **machine}
        write_record(self.out, record)
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            for one in found:
                interval = f"{one.low:.4f} to {one.high:.4f}"
                sys.stdout.write(
                    f"{one.work}: {one.ratio:.4f} of the base's time ({interval}; {one.bursts} pairs of"
                    f" bursts; {one.milliseconds:.1f} ms a pass)\n"
                )
        return int(any(min(one.ratio, one.low) > 1 + self.most for one in found))
