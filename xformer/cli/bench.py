"""`xformer bench OP | all | compile | goals | compare | report | tune | training`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from xformer.benchmarks.training.command import TrainingBench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xformer.benchmarks.compare import Comparison
    from xformer.benchmarks.operation import Operation
    from xformer.benchmarks.record import Record

RESULTS = Path("benchmarks/results")

OperationName = Literal[
    "all",
    "attention",
    "attention-statistics",
    "linear-cross-entropy",
    "layer-norm",
    "rms-norm",
    "rotary",
    "glu",
    "embedding-norm",
    "ladder",
    "copy",
    "matmul",
]


@dataclass(frozen=True)
class Measure:
    """Measure an operation, on the GPU or where there is none on the CPU."""

    operation: tyro.conf.Suppress[OperationName] = "all"
    quick: bool = False
    """A few small cases, in seconds."""
    only: str = ""
    """Only cases whose name contains this."""
    implementation: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Only this one, such as "xformer triton"; may be repeated."""
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    """Of the inputs; left out, bfloat16 on a GPU and float32 on a CPU."""
    budget: float | None = None
    """Seconds for each operation: no case is begun after, and the most wanted come first."""
    case_budget: float = 1.0
    """Seconds to time one case in one direction for, about."""
    seed: int = 0
    """Of the random inputs."""
    cpu: bool = False
    """On the CPU, even where there is a GPU."""
    out: Path = RESULTS
    """Folder of the records: a line for every measurement is added to the device's own file."""
    json: bool = False
    """Print a JSON object a line instead of tables."""
    base: str | None = None
    """Revision to compare with, in turns; nothing is added to the records then."""
    rounds: int = 8
    """With --base: processes for either side."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        if self.base is not None:
            return _against_base(self, self.base)
        from rich.console import Console

        from xformer.benchmarks.record import append
        from xformer.benchmarks.run import Options, begin, run
        from xformer.benchmarks.table import by_case, heading, table
        from xformer.errors import InputError

        try:
            options = Options(
                quick=self.quick,
                dtype=self.dtype,
                budget=self.budget,
                case_budget=self.case_budget,
                seed=self.seed,
                only=self.only,
                implementations=self.implementation,
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        session = begin("cpu" if self.cpu else None)
        file = self.out / session.environment.file_name
        ours: list[Record] = []

        def kept(operation: Operation[Any]) -> Iterator[Record]:
            for record in run(operation, options, session):
                append(file, [record])
                if record.implementation.startswith("xformer"):
                    ours.append(record)
                yield record

        console = Console()
        if not self.json:
            console.print(heading(session.environment), highlight=False)
        for operation in _operations(self.operation):
            for group in by_case(kept(operation)):
                if self.json:
                    print("\n".join(record.to_json() for record in group), flush=True)
                else:
                    console.print(table(group))
        if not self.json:
            console.print(f"Records added to {file}", highlight=False)
        return int(any(record.status in ("wrong", "failed") for record in ours))


@dataclass(frozen=True)
class Compile:
    """Compile every kernel for GPUs that are not here: registers, spills, shared memory, occupancy, matrix
    instructions. Exit status 1: something spills.

    xformer bench compile

    xformer bench compile --target sm_90 --kernel attention --json
    """

    target: tyro.conf.UseAppendAction[tuple[Literal["sm_80", "sm_90", "sm_100", "gfx942"], ...]] = ()
    """Only for this one; may be repeated."""
    kernel: str = ""
    """Only kernels with this in their name."""
    json: bool = False
    """Print a JSON object a line instead of a table."""
    jobs: int | None = None
    """Processes side by side; left out, as many as there are cores."""

    def run_command(self) -> int:
        """Compile; the exit status."""
        from xformer.errors import InputError
        from xformer.kernels.compile_check import TARGETS, report

        targets = [target for target in TARGETS if not self.target or target.name in self.target]
        try:
            return report(targets, self.kernel, as_json=self.json, jobs=self.jobs)
        except (ValueError, RuntimeError) as error:
            raise InputError(str(error)) from error


@dataclass(frozen=True)
class Goals:
    """Hold the records against what is wanted of the kernels. What was not measured is not met.

    A goal is measured where every case that it is about was, beside the peer that it names, in one run. Exit
    status 1: something that was measured is not met.

    xformer bench goals

    xformer bench goals --json
    """

    results: Path = RESULTS
    """Folder of the records."""
    device: str = "H100"
    """Part of the name of the device that is asked about."""
    json: bool = False
    """Print a JSON object a line, one for each goal: goal, wanted, measured or null, met, device, record …"""

    def run_command(self) -> int:
        """Judge; the exit status."""
        from rich.console import Console

        from xformer.benchmarks.goals import outcome_table, outcomes

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

    A regression is called only where the 95% intervals of the medians separate, or where a result became
    wrong. Exit status 1: there is one.

    xformer bench compare before.jsonl after.jsonl

    xformer bench compare --base main --operation layer-norm
    """

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Two files of records: before and after."""
    base: str | None = None
    """Instead: a revision to run against this working tree."""
    operation: OperationName = "all"
    """With --base: which operation."""
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
            return _against_base(measure, self.base)
        if len(self.files) != 2:
            raise InputError(
                f"compare: expected two files of records, or --base, got {len(self.files)} file(s)"
            )
        from xformer.benchmarks.compare import compare_records
        from xformer.benchmarks.latest import read_file

        before, after = ([r for r in read_file(path) if self.only in r.case] for path in self.files)
        names = (self.files[0].stem, self.files[1].stem)
        return _verdict(compare_records(before, after), *names, as_json=self.json)


@dataclass(frozen=True)
class Report:
    """Draw all records: a PNG for each sweep, one of error against speed for each operation, and one page of
    everything that needs nothing beside it.

    xformer bench report

    xformer bench report --out runs/bench
    """

    results: Path = RESULTS
    """Folder of the records."""
    out: Path = Path("runs/bench")
    """Folder to write to: index.html, and a folder of pictures for each device."""
    device: str = "H100"
    """Part of the name of the device that the goals are about."""

    def run_command(self) -> int:
        """Draw; the exit status."""
        from rich.console import Console

        from xformer.benchmarks.goals import outcomes
        from xformer.benchmarks.latest import read_all
        from xformer.benchmarks.page import write_page
        from xformer.benchmarks.plots import can_draw, write_pictures
        from xformer.errors import InputError

        records = read_all(self.results)
        if not records:
            raise InputError(f"{self.results}: no records here; `xformer bench all` makes some")
        pictures = write_pictures(records, self.out)
        write_page(records, outcomes(self.results, self.device), self.out / "index.html")
        console = Console()
        if not can_draw():
            console.print(
                "No pictures: matplotlib is not installed (pip install 'xformer[plot]')", highlight=False
            )
        for path in [*pictures, self.out / "index.html"]:
            console.print(str(path), highlight=False, markup=False, soft_wrap=True)
        return 0


@dataclass(frozen=True)
class Tune:
    """Try tile sizes of the attention kernels and rows of the norms on this GPU; write the best of each
    configuration to a file. Nothing reads that file when kernels run: what is found is for people to put into
    kernels/.

    xformer bench tune --budget 120
    """

    out: Path = RESULTS
    """Folder to write `<device>-tiles.jsonl` to."""
    budget: float = 120.0
    """Seconds; configurations that models use most come first."""
    only: str = ""
    """Only configurations whose name contains this."""

    def run_command(self) -> int:
        """Tune; the exit status."""
        from xformer.benchmarks.tune import main

        return main(["--out", str(self.out), "--budget", str(self.budget), "--only", self.only])


def _measuring(name: OperationName, what: str) -> object:
    """The subcommand that measures one operation, or all."""
    about = (
        f"Measure {what} beside all peers that are installed. Exit status 1: one of our own was wrong or "
        f"failed, or with --base became slower.\n\nxformer bench {name} --quick"
    )
    if name != "all":
        about += f"\n\nxformer bench {name} --base HEAD~1"
    return tyro.conf.subcommand(name, default=Measure(operation=name), description=about)


@dataclass(frozen=True)
class Bench:
    """Speed, memory and error of the kernels beside their peers; what was wanted; what became slower.

    On the GPU, or where there is none on the CPU. A result that is more than twice as far from fp64 as plain
    PyTorch's is wrong and gets no time.
    """

    command: (
        Annotated[Measure, _measuring("all", "every operation")]
        | Annotated[Measure, _measuring("attention", "attention, forward and backward,")]
        | Annotated[Measure, _measuring("attention-statistics", "statistics of attention's rows")]
        | Annotated[Measure, _measuring("linear-cross-entropy", "cross-entropy of a linear layer's logits")]
        | Annotated[Measure, _measuring("layer-norm", "LayerNorm, alone and after a residual sum,")]
        | Annotated[Measure, _measuring("rms-norm", "RMSNorm, alone and after a residual sum,")]
        | Annotated[Measure, _measuring("rotary", "rotary positions on queries and keys")]
        | Annotated[Measure, _measuring("glu", "gated linear units")]
        | Annotated[Measure, _measuring("embedding-norm", "embedding, position and norm")]
        | Annotated[Measure, _measuring("ladder", "the rungs of docs/kernels.md")]
        | Annotated[Measure, _measuring("copy", "copies, which bound bandwidth,")]
        | Annotated[Measure, _measuring("matmul", "matrix products, which bound arithmetic,")]
        | Annotated[Compile, tyro.conf.subcommand("compile")]
        | Annotated[Goals, tyro.conf.subcommand("goals")]
        | Annotated[Compare, tyro.conf.subcommand("compare")]
        | Annotated[Report, tyro.conf.subcommand("report")]
        | Annotated[Tune, tyro.conf.subcommand("tune")]
        | Annotated[TrainingBench, tyro.conf.subcommand("training")]
    )

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()


def _operations(name: OperationName) -> list[Operation[Any]]:
    from xformer.benchmarks.catalogue import operations

    return [one for one in operations() if name in ("all", one.name.replace("_", "-"))]


def _against_base(measure: Measure, base: str) -> int:
    """Run this tree and another revision in turns; the exit status."""
    import xformer
    from xformer.benchmarks.base import interleave, repository_of, worktree
    from xformer.progress import Progress

    repository = repository_of(Path(xformer.__file__).resolve())
    command = ["-m", "xformer.benchmarks.worker", "--no-ceilings"]
    command += [one.name for one in _operations(measure.operation)]
    # Peers are the same on both sides.
    for name in measure.implementation or ("xformer triton", "xformer torch"):
        command += ["--implementation", name]
    command += ["--case-budget", str(measure.case_budget), "--seed", str(measure.seed)]
    command += ["--only", measure.only] if measure.only else []
    command += ["--dtype", measure.dtype] if measure.dtype else []
    command += ["--quick"] if measure.quick else []
    command += ["--cpu"] if measure.cpu else []
    with Progress() as progress, worktree(base, repository) as before:
        found = interleave(before, repository, command, measure.rounds, progress)
    from xformer.benchmarks.compare import compare_rounds

    return _verdict(compare_rounds(*found), base, "here", as_json=measure.json)


def _verdict(found: Sequence[Comparison], before: str, after: str, *, as_json: bool) -> int:
    """Show comparisons; the exit status."""
    from rich.console import Console

    from xformer.benchmarks.compare import comparison_table, regressions

    if as_json:
        for one in found:
            print(one.to_json())
    else:
        Console().print(comparison_table(found, before, after))
    return int(regressions(found) > 0)
