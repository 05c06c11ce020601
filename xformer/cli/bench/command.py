"""`xformer bench`: operations, compile, goals, compare, report, and benches of training, data and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from xformer.benchmarks.attention_interface.command import AttentionInterfaceBench
from xformer.benchmarks.bursts.command import BurstsBench
from xformer.benchmarks.company.command import CompanyBench
from xformer.benchmarks.data.command import DataBench
from xformer.benchmarks.encode.command import EncodeBench
from xformer.benchmarks.finetuning.command import FinetuningBench
from xformer.benchmarks.generation.command import GenerationBench
from xformer.benchmarks.mining.command import MiningBench
from xformer.benchmarks.multilinguality.command import MultilingualityBench
from xformer.benchmarks.page.command import PageBench
from xformer.benchmarks.search.command import SearchBench
from xformer.benchmarks.summaries.command import SummariesBench
from xformer.benchmarks.training.command import TrainingBench
from xformer.cli.bench.measure import Measure, OperationName
from xformer.cli.bench.records import Compare, Goals, Report


@dataclass(frozen=True)
class Compile:
    """Compile every kernel for GPUs that this machine may not have, and show registers, spills, shared
    memory, occupancy and matrix instructions. Exit status 1: a kernel spills registers.

    xformer bench compile

    xformer bench compile --target sm_90 --kernel attention --json
    """

    target: tuple[Literal["sm_80", "sm_90", "sm_100", "gfx942"], ...] = ()
    """Only for these targets."""
    kernel: str = ""
    """Only kernels with this in their name."""
    json: bool = False
    """Print one JSON object per line instead of a table."""
    jobs: int | None = None
    """Number of processes; by default, one per core."""

    def run_command(self) -> int:
        """Compile; the exit status."""
        from xformer.errors import InputError
        from xformer.kernels.compile.check import TARGETS, report

        targets = [target for target in TARGETS if not self.target or target.name in self.target]
        try:
            return report(targets, self.kernel, as_json=self.json, jobs=self.jobs)
        except (ValueError, RuntimeError) as error:
            raise InputError(str(error)) from error


def _measuring(name: OperationName, what: str) -> object:
    """The subcommand that measures one operation, or all."""
    about = (
        f"Measure {what} beside all installed peers. Exit status 1: one of our own implementations was wrong "
        f"or failed, or with --base became slower.\n\nxformer bench {name} --quick"
    )
    if name != "all":
        about += f"\n\nxformer bench {name} --base HEAD~1"
    return tyro.conf.subcommand(name, default=Measure(operation=name), description=about)


@dataclass(frozen=True)
class Bench:
    """Speed, memory and error of the kernels beside their peers; goals; comparisons of two revisions.

    Runs on the GPU, or on the CPU where there is none. A result that is more than twice as far from fp64 as
    plain PyTorch's is wrong and is not timed.
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
        | Annotated[Measure, _measuring("ladder-backward", "the ways back of docs/kernels.md")]
        | Annotated[Measure, _measuring("copy", "copies, which bound bandwidth,")]
        | Annotated[Measure, _measuring("matmul", "matrix products, which bound arithmetic,")]
        | Annotated[Compile, tyro.conf.subcommand("compile")]
        | Annotated[Goals, tyro.conf.subcommand("goals")]
        | Annotated[Compare, tyro.conf.subcommand("compare")]
        | Annotated[Report, tyro.conf.subcommand("report")]
        | Annotated[AttentionInterfaceBench, tyro.conf.subcommand("attention-interface")]
        | Annotated[TrainingBench, tyro.conf.subcommand("training")]
        | Annotated[CompanyBench, tyro.conf.subcommand("company")]
        | Annotated[BurstsBench, tyro.conf.subcommand("bursts")]
        | Annotated[DataBench, tyro.conf.subcommand("data")]
        | Annotated[EncodeBench, tyro.conf.subcommand("encode")]
        | Annotated[GenerationBench, tyro.conf.subcommand("generation")]
        | Annotated[FinetuningBench, tyro.conf.subcommand("finetuning")]
        | Annotated[PageBench, tyro.conf.subcommand("page")]
        | Annotated[SearchBench, tyro.conf.subcommand("search")]
        | Annotated[MiningBench, tyro.conf.subcommand("mining")]
        | Annotated[SummariesBench, tyro.conf.subcommand("summaries")]
        | Annotated[MultilingualityBench, tyro.conf.subcommand("multilinguality")]
    )

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()
