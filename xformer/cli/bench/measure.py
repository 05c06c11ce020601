"""`xformer bench OP`: measure operations, alone or beside another revision of the code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xformer.benchmarks.kernels.compare import Comparison
    from xformer.benchmarks.kernels.operation import Operation
    from xformer.benchmarks.kernels.record import Record

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
    "ladder-backward",
    "copy",
    "matmul",
]


@dataclass(frozen=True)
class Measure:
    """Measure an operation, on the GPU, or on the CPU where there is none."""

    operation: tyro.conf.Suppress[OperationName] = "all"
    quick: bool = False
    """A few small cases, in seconds."""
    only: str = ""
    """Only cases whose name contains this."""
    implementation: tuple[str, ...] = ()
    """Only these implementations, such as "xformer triton"."""
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    """Type of the inputs; by default bfloat16 on a GPU and float32 on a CPU."""
    budget: float | None = None
    """Seconds for each operation, after which no case is started; the most important cases come first."""
    case_budget: float = 1.0
    """About how many seconds one case is timed for in one direction."""
    seed: int = 0
    """Seed of the random inputs."""
    cpu: bool = False
    """Run on the CPU, even if there is a GPU."""
    out: Path = RESULTS
    """Folder of the records. Each measurement adds a line to the file of its device."""
    json: bool = False
    """Print one JSON object per line instead of tables."""
    base: str | None = None
    """Revision to compare with, in turns. Nothing is added to the records then."""
    rounds: int = 8
    """With --base: number of processes for each side."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        if self.base is not None:
            return against_base(self, self.base)
        from rich.console import Console

        from xformer.benchmarks.kernels.record import append
        from xformer.benchmarks.kernels.run import Options, begin, run
        from xformer.benchmarks.kernels.table import by_case, heading, table
        from xformer.errors import InputError
        from xformer.storage.outputs import check_output_folder

        check_output_folder(self.out)
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


def _operations(name: OperationName) -> list[Operation[Any]]:
    from xformer.benchmarks.kernels.operations import operations

    return [one for one in operations() if name in ("all", one.name.replace("_", "-"))]


def against_base(measure: Measure, base: str) -> int:
    """Measure this tree and another revision in turns; the exit status."""
    import xformer
    from xformer.benchmarks.kernels.base import interleave, repository_of, worktree
    from xformer.progress import Progress

    repository = repository_of(Path(xformer.__file__).resolve())
    command = ["-m", "xformer.benchmarks.kernels.worker", "--no-ceilings"]
    command += [one.name for one in _operations(measure.operation)]
    # Peers are the same on both sides, so they are left out.
    for name in measure.implementation or ("xformer triton", "xformer torch"):
        command += ["--implementation", name]
    command += ["--case-budget", str(measure.case_budget), "--seed", str(measure.seed)]
    command += ["--only", measure.only] if measure.only else []
    command += ["--dtype", measure.dtype] if measure.dtype else []
    command += ["--quick"] if measure.quick else []
    command += ["--cpu"] if measure.cpu else []
    with Progress() as progress, worktree(base, repository) as before:
        found = interleave(before, repository, command, measure.rounds, progress)
    from xformer.benchmarks.kernels.compare import compare_rounds

    return verdict(compare_rounds(*found), base, "here", as_json=measure.json)


def verdict(found: Sequence[Comparison], before: str, after: str, *, as_json: bool) -> int:
    """Show comparisons; the exit status."""
    from rich.console import Console

    from xformer.benchmarks.kernels.compare import comparison_table, regressions

    if as_json:
        for one in found:
            print(one.to_json())
    else:
        Console().print(comparison_table(found, before, after))
    return int(regressions(found) > 0)
