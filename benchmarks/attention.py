"""Attention, forward and backward, beside its peers: `python -m xformer.benchmarks.attention --quick`.

Everyone does the same work on the same inputs. First all results are compared with fp64; what is more than
twice as far from it as plain PyTorch in that dtype is shown as wrong and gets no time. The rest is timed.

Shapes: T tokens, H heads, D head size.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console

from . import accuracy
from .cases import AttentionCase, Direction, cpu_cases, gpu_cases, quick_cases
from .contenders import Attend, Contender, contenders, pad
from .measure import Timing, Work, measure
from .record import Environment, Record, append, environment
from .table import heading, table

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
TABLE_WIDTH = 92


@dataclass(frozen=True)
class Options:
    """What to measure, and where the records go.

    Attributes:
        quick: two small cases in a few seconds, rather than the full list.
        dtype: of the inputs; left out, bf16 on a GPU and fp32 on a CPU.
        budget: seconds to time each case and direction for, about.
        seed: of the random inputs.
        out: folder of the records, one file for each device; a line is added for every measurement.
    """

    quick: bool = False
    dtype: Literal["fp32", "fp16", "bf16"] | None = None
    budget: float = 10.0
    seed: int = 0
    out: Path = Path("benchmarks/results")

    def __post_init__(self) -> None:
        if self.budget <= 0:
            raise ValueError(f"budget: expected seconds above 0, got {self.budget}")


def main(arguments: list[str] | None = None) -> None:
    """Measure every case, print a table for each, and add the records to this device's file."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = environment(device)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)  # a table cut short in a log file helps no one
    console.print(heading(where), highlight=False)
    if options.quick:
        cases, budget = quick_cases(), min(options.budget, 2.0)
    else:
        cases, budget = gpu_cases() if device.type == "cuda" else cpu_cases(), options.budget
    dtype = DTYPES[options.dtype or ("bf16" if device.type == "cuda" else "fp32")]
    file = options.out / where.file_name
    for case in cases:
        records = run_case(case, dtype, device, where, budget=budget, seed=options.seed)
        append(file, records)
        console.print(table(case, records))
    console.print(f"Records added to {file}", highlight=False)


def run_case(
    case: AttentionCase,
    dtype: torch.dtype,
    device: torch.device,
    where: Environment,
    *,
    budget: float,
    seed: int,
    rounds: int = 30,
    entrants: list[Contender] | None = None,
) -> list[Record]:
    """Judge and time all contenders on one case, forward and forward+backward.

    Args:
        case: the batch.
        dtype: of its inputs.
        device: where.
        where: what the records say about it.
        budget: seconds for each direction.
        seed: of the inputs.
        rounds: turns that each contender has at most.
        entrants: who takes part; all contenders if left out.

    Returns:
        Two records for each contender, whether or not it was timed.
    """
    inputs = accuracy.draw(case, dtype, device, seed)
    true = accuracy.truth(case, inputs)
    yardstick = accuracy.yardstick(case, inputs, true)
    blank = Record(
        benchmark="attention",
        case=case.name,
        shape=case.shape,
        dtype=str(dtype).removeprefix("torch."),
        direction="",
        implementation="",
        status="ok",
        note="",
        error=None,
        error_multiple=None,
        seconds=None,
        rounds=0,
        tokens_per_second=None,
        flops_per_second=None,
        environment=where,
    )
    ready: dict[str, tuple[Contender, Attend]] = {}
    judged: dict[tuple[str, Direction], Record] = {}
    directions: tuple[Direction, ...] = ("forward", "forward+backward")
    for contender in contenders() if entrants is None else entrants:
        attend = contender.prepare(case, device)
        mine = replace(blank, implementation=contender.name)
        try:
            _refuse_interpreter(contender)
            found = accuracy.largest_errors(accuracy.results(contender, attend, case, inputs), true)
        except RuntimeError as error:  # NotImplementedError and out of memory are such
            mine = replace(
                mine,
                status="unsupported" if isinstance(error, NotImplementedError) else "failed",
                note=str(error).split("\n")[0],
            )
            judged |= {(contender.name, d): replace(mine, direction=d) for d in directions}
            continue
        ready[contender.name] = (contender, attend)
        for direction in directions:
            judged[contender.name, direction] = _judge(replace(mine, direction=direction), found, yardstick)
    for direction in directions:
        works = {
            name: _work(contender, attend, case, inputs, direction)
            for name, (contender, attend) in ready.items()
            if judged[name, direction].status == "ok"
        }
        for name, timing in measure(works, device, rounds=rounds, budget=budget).items() if works else ():
            judged[name, direction] = _timed(judged[name, direction], case, direction, timing)
    return list(judged.values())


def _refuse_interpreter(contender: Contender) -> None:
    """Triton's interpreter is for checking results; its time says nothing."""
    if contender.name == "xformer triton" and os.environ.get("TRITON_INTERPRET") == "1":
        raise NotImplementedError("Triton's interpreter is not timed")


def _judge(record: Record, errors: dict[str, float], yardstick: accuracy.Yardstick) -> Record:
    """Fill in the errors, and whether they are too large."""
    names = accuracy.FORWARD if record.direction == "forward" else accuracy.RESULTS
    multiple, worst = yardstick.multiple(errors, names)
    passes = yardstick.passes(errors, names)
    return replace(
        record,
        status="ok" if passes else "wrong",
        note="" if passes else f"{worst} is {multiple:.3g} times as far from fp64 as plain PyTorch",
        error=errors[worst] if math.isfinite(errors[worst]) else None,
        error_multiple=multiple if math.isfinite(multiple) else None,
    )


def _work(
    contender: Contender, attend: Attend, case: AttentionCase, inputs: accuracy.Inputs, direction: Direction
) -> Work:
    """The call to time, on inputs in the layout that the contender takes."""
    tensors = (inputs.q, inputs.k, inputs.v, inputs.grad)
    q, k, v, grad = (pad(x, case) if contender.padded else x for x in tensors)
    if direction == "forward":
        return torch.no_grad()(lambda: attend(q, k, v))
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    return lambda: torch.autograd.grad(attend(*leaves), leaves, grad)


def _timed(record: Record, case: AttentionCase, direction: Direction, timing: Timing) -> Record:
    """Fill in the times and what follows from them."""
    return replace(
        record,
        seconds={f"p{q}": timing.quantile(q / 100) for q in (20, 50, 80)},
        rounds=len(timing.seconds),
        tokens_per_second=case.n_tokens / timing.median,
        flops_per_second=case.flops(direction) / timing.median,
    )


if __name__ == "__main__":
    main()
