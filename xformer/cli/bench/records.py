"""`xformer bench goals | compare | report`: read the records of measurements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from xformer.cli.bench.measure import RESULTS, Measure, OperationName, against_base, verdict


@dataclass(frozen=True)
class Goals:
    """Compare the records with the goals for the kernels. A goal that was not measured is not met.

    A goal is measured if all its cases were measured in one run, together with the peer that it names. Exit
    status 1: a goal was measured and is not met.

    xformer bench goals

    xformer bench goals --json
    """

    results: Path = RESULTS
    """Folder of the records."""
    device: str = "H100"
    """Part of the name of the device."""
    json: bool = False
    """Print one JSON object per line, for each goal: goal, wanted, measured or null, met, device, record …"""

    def run_command(self) -> int:
        """Compare; the exit status."""
        from rich.console import Console

        from xformer.benchmarks.kernels.goals import outcome_table, outcomes

        found = outcomes(self.results, self.device)
        if self.json:
            for one in found:
                print(one.to_json())
        else:
            Console().print(outcome_table(found))
        return int(any(one.measured is not None and not one.met for one in found))


@dataclass(frozen=True)
class Compare:
    """Compare two files of records, or with --base two revisions of the code, in turns.

    There is a regression if the 95% intervals of the medians are separate, or if a result became wrong. Exit
    status 1: there is a regression.

    xformer bench compare before.jsonl after.jsonl

    xformer bench compare --base main --operation layer-norm
    """

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Two files of records: before, after."""
    base: str | None = None
    """Instead of files: a revision to compare with this working tree."""
    operation: OperationName = "all"
    """With --base: the operation."""
    quick: bool = False
    """With --base: a few small cases."""
    only: str = ""
    """Only cases whose name contains this."""
    rounds: int = 8
    """With --base: processes for either side."""
    json: bool = False
    """Print a JSON object a line instead of a table."""

    def run_command(self) -> int:
        """Compare; the exit status."""
        from xformer.errors import InputError

        if self.base is not None:
            if self.files:
                raise InputError(f"compare: expected two files or --base, got both: {self.files[0]}")
            measure = Measure(
                operation=self.operation, quick=self.quick, only=self.only, rounds=self.rounds, json=self.json
            )
            return against_base(measure, self.base)
        if len(self.files) != 2:
            raise InputError(
                f"compare: expected two files of records, or --base, got {len(self.files)} file(s)"
            )
        from xformer.benchmarks.kernels.compare import compare_records
        from xformer.benchmarks.kernels.record import read

        before, after = ([r for r in read(path) if self.only in r.case] for path in self.files)
        names = (self.files[0].stem, self.files[1].stem)
        return verdict(compare_records(before, after), *names, as_json=self.json)


@dataclass(frozen=True)
class Report:
    """Draw all records: a PNG file for each sweep, one of error against speed for each operation, and an HTML
    page with everything.

    xformer bench report

    xformer bench report --out runs/bench
    """

    results: Path = RESULTS
    """Folder of the records."""
    out: Path = Path("runs/bench")
    """Folder for index.html and for a folder of pictures per device."""
    device: str = "H100"
    """Part of the name of the device of the goals."""

    def run_command(self) -> int:
        """Draw; the exit status."""
        from rich.console import Console

        from xformer.benchmarks.kernels.goals import outcomes
        from xformer.benchmarks.kernels.page import write_page
        from xformer.benchmarks.kernels.plots import write_pictures
        from xformer.benchmarks.kernels.record import read_folder
        from xformer.errors import InputError
        from xformer.plotting.png import can_write_png
        from xformer.storage.outputs import check_output_folder

        check_output_folder(self.out)
        records = [record for record, _ in read_folder(self.results)]
        if not records:
            raise InputError(f"{self.results}: no records here; `xformer bench all` makes some")
        pictures = write_pictures(records, self.out)
        write_page(records, outcomes(self.results, self.device), self.out / "index.html")
        console = Console()
        if not can_write_png():
            console.print(
                "No PNG files: matplotlib is not installed (pip install 'xformer[plot]')", highlight=False
            )
        for path in [*pictures, self.out / "index.html"]:
            console.print(str(path), highlight=False, markup=False, soft_wrap=True)
        return 0
