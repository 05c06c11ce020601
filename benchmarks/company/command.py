"""The command `xformer bench company`. Torch is imported only in the processes that it starts."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from .bench import Compared, Side


@dataclass(frozen=True)
class CompanyBench:
    """Speed beside other busy processes: training, encoding and evaluating by this tree and by another
    revision, in turns. Exit status 1: a goal is not met (4 times the base beside company, 1 times alone).

    xformer bench company runs/demo --base d83179d

    xformer bench company runs/demo --base ../old --base-run ../old/runs/demo --company 0 1
    """

    run: tyro.conf.Positional[Path]
    """A prepared run with the default settings, whose text is used. It is not changed."""
    base: str = "d83179d"
    """A revision of this checkout, or the folder of another one."""
    base_run: Path | None = None
    """A run that the base itself prepared, if it cannot read `run`: d83179d refuses newer manifests."""
    base_python: Path | None = None
    """The Python of the base, if it needs other packages."""
    company: tuple[int, ...] = (0, 1, 2)
    """Numbers of busy processes."""
    work: tuple[Literal["train", "encode", "evaluate"], ...] = ("train", "encode", "evaluate")
    """What to measure."""
    rounds: int = 2
    """Measurements of each side."""
    seconds: float = 12.0
    """Seconds of each measurement, without its preparation."""
    out: Path = Path("benchmarks/results/company.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from contextlib import ExitStack

        from rich.console import Console

        import xformer
        from xformer.errors import InputError
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from ..kernels.base import tree_of
        from .bench import Tree, compare, measure_all

        for run in filter(None, (self.run, self.base_run)):
            if not (run / "shards").is_dir():
                raise InputError(f"{run}: expected a prepared run; `xformer pretrain` makes one")
        for name, least in (("rounds", 1), ("seconds", 1)):
            if getattr(self, name) < least:
                raise InputError(f"--{name}: expected at least {least}, got {getattr(self, name)}")
        if not self.company or min(self.company) < 0:
            raise InputError(f"--company: expected numbers from 0, got {self.company}")
        machine = begin_record(self.out)
        here = Path(xformer.__file__).resolve().parents[1]
        with Progress() as progress, ExitStack() as stack:
            folder = stack.enter_context(tree_of(self.base, here))
            # Not resolved: the Python of a virtual environment is a link.
            python = str(self.base_python.absolute()) if self.base_python else sys.executable
            trees: dict[Side, Tree] = {
                "base": Tree(self.base, folder, self.base_run or self.run, python),
                "here": Tree("here", here, self.run),
            }
            measured = []
            for one in measure_all(
                trees,
                self.company,
                self.work,
                rounds=self.rounds,
                seconds=self.seconds,
                progress=progress,
            ):
                measured.append(one)
                rate = "failed" if one.per_s is None else f"{one.per_s:,.0f} tokens/s"
                progress.say(
                    f"{one.work}, {one.company} beside it, {trees[one.side].name}: {rate} ({one.note})"
                )
        found = compare(measured)
        record = {
            "base": self.base,
            "compared": [one.to_json() for one in found],
            "measured": [asdict(one) for one in measured],
            **machine,
        }
        write_record(self.out, record)
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            console = Console()
            console.print(_table(found, self.base))
            console.print(str(self.out), highlight=False, markup=False, soft_wrap=True)
        return int(not all(one.met for one in found))


def _table(found: Sequence[Compared], base: str) -> Table:
    from rich.table import Table

    table = Table("work", "beside it", title="tokens per second", title_justify="left")
    for column in (base, "here", "ratio", "wanted", ""):
        table.add_column(column, justify="right")
    for one in found:
        rates = ["–" if rate is None else f"{rate:,.0f}" for rate in (one.base, one.here)]
        ratio = "–" if one.ratio is None else f"{one.ratio:.2f}"
        verdict = "met" if one.met else "missed"
        table.add_row(one.work, str(one.company), *rates, ratio, f"{one.wanted:g}", verdict)
    return table
