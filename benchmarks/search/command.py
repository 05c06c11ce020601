"""The command `xformer bench search`."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from .bench import Options, Result


@dataclass(frozen=True)
class SearchBench:
    """Exact search beside faiss-cpu's flat index, at the same threads, in turns; or the memory of mining.
    Answers that differ by more than rounding are not timed. Exit status 1: not twice as fast, or wrong.

    xformer bench search

    xformer bench search --vectors 200000 --queries 1 256 --rounds 3

    xformer bench search --mine 50000
    """

    vectors: int = 1_000_000
    """How many vectors are searched."""
    dim: int = 192
    """Their width."""
    queries: tuple[int, ...] = (1, 16, 256, 1024)
    """Numbers of queries of a call."""
    k: int = 10
    """Results of each query."""
    threads: int = 1
    """Of either side."""
    rounds: int = 5
    """Calls of each side for each number of queries."""
    mine: int | None = None
    """Instead of search: mine so many lines beside the vectors, and show the peak memory."""
    faiss_python: Path | None = None
    """Python of an environment with faiss-cpu; by default this one (`pip install 'xformer[faiss]'`)."""
    folder: Path | None = None
    """Where vectors are written while it runs: 1.2 KB each at the default width. Left out: that of temporary
    files."""
    out: Path = Path("benchmarks/results/search.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console

        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from .bench import Options, met, mining, run

        self._check()
        options = Options(
            self.vectors,
            self.dim,
            self.queries,
            self.k,
            self.threads,
            self.rounds,
            str(self.faiss_python or sys.executable),
        )
        # The path of a Python says where it lies on this machine, and nothing of what was measured.
        asked = {name: value for name, value in asdict(options).items() if name != "faiss_python"}
        machine = begin_record(self.out)
        shown: list[Table | str]
        with Progress() as progress, tempfile.TemporaryDirectory(dir=self.folder) as folder:
            if self.mine is not None:
                found = mining(options, self.mine, Path(folder), progress)
                record = {"bench": "mine", "options": asked, **found, **machine}
                status, shown = 0, [_mined(found)]
            else:
                results, absent = run(options, Path(folder), progress)
                rows = [asdict(one) | {"ratio": one.ratio, "cpu_ratio": one.cpu_ratio} for one in results]
                record = {"bench": "search", "options": asked, "results": rows, **machine}
                status = int(not met(results))
                shown = [_table(results, options), f"faiss: {absent}" if absent else ""]
        write_record(self.out, record)
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            console = Console()
            for one in [*filter(None, shown), str(self.out)]:
                console.print(one, highlight=False, soft_wrap=isinstance(one, str))
        return status

    def _check(self) -> None:
        numbers = {"vectors": self.vectors, "dim": self.dim, "k": self.k, "threads": self.threads}
        numbers |= {"rounds": self.rounds, "queries": min(self.queries, default=0)}
        for name, value in (numbers | ({} if self.mine is None else {"mine": self.mine})).items():
            if value < 1:
                raise InputError(f"--{name}: expected a whole number from 1, got {value}")
        if self.faiss_python is not None and not self.faiss_python.is_file():
            raise InputError(f"--faiss-python: expected a Python, there is no {self.faiss_python}")


def _mined(found: dict[str, float]) -> str:
    mib = 2**20
    return (
        f"{found['rows']:,} × {found['vectors']:,} lines mined in {found['seconds']:,.0f} s,"
        f" {found['products_per_second'] / 1e6:,.0f} million products a second; {found['pairs']:,} pairs;"
        f" memory beside the vectors: {found['peak'] / mib:,.0f} MiB, of which"
        f" {found['before'] / mib:,.0f} were there before"
    )


def _table(results: Sequence[Result], options: Options) -> Table:
    from rich.table import Table

    from .bench import BLAS, OURS, PEER

    threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
    title = f"seconds of a call, {options.vectors:,} vectors of {options.dim}, k {options.k}, {threads}"
    table = Table("queries", title=title, title_justify="left")
    names = (OURS, PEER, BLAS)
    for column in (*names, "ratio", "of the processor"):
        table.add_column(column, justify="right")
    for one in results:
        times = [
            f"{statistics.median(one.seconds[name]):.3f}" if name in one.seconds else "–" for name in names
        ]
        ratios = ["–" if ratio is None else f"{ratio:.1f}" for ratio in (one.ratio, one.cpu_ratio)]
        table.add_row(str(one.queries), *times, *([f"{one.wrong} wrong", "–"] if one.wrong else ratios))
    return table
