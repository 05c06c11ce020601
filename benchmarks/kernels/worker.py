"""The bench as a process of its own: measures operations in turn, and writes each record at once.

`python -m xformer.benchmarks.kernels.worker attention layer_norm --out records.jsonl`. It may be stopped at
any time: what it measured is in the file. It needs torch and numpy, and no packages for tables and pages.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from .operations import operations
from .record import append
from .run import DTYPES, Options, begin, run

# The exit status if the device no longer computes; it may work again in a new process.
DEVICE_LOST = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit status: 0, or `DEVICE_LOST`."""
    chosen = parse(arguments)
    session = begin("cpu" if chosen.cpu else None)
    if chosen.no_ceilings:
        # Rates without bounds: the large copy and product are not measured, and there is no roofline.
        session.bytes_per_second = math.inf
        session.flops_per_second = dict.fromkeys(DTYPES, math.inf)
    known = {operation.name: operation for operation in operations()}
    deadline = math.inf if chosen.budget is None else time.perf_counter() + chosen.budget
    for number, name in enumerate(chosen.operations):
        started = time.perf_counter()
        # An operation may use the time that those before it left over.
        weights = [known[each].gpu_seconds for each in chosen.operations[number:]]
        share = max(1.0, (deadline - started) * weights[0] / sum(weights))
        options = Options(
            quick=chosen.quick,
            dtype=chosen.dtype,
            budget=None if chosen.budget is None else share,
            case_budget=chosen.case_budget,
            rounds=chosen.rounds,
            seed=chosen.seed,
            only=chosen.only,
            implementations=tuple(chosen.implementation),
        )
        count = timed = 0
        for record in run(known[name], options, session):
            count += 1
            timed += record.seconds is not None
            if chosen.out is None:
                sys.stdout.write(record.to_json() + "\n")
            else:
                append(chosen.out, [record])
        sys.stderr.write(f"{name}: {timed} of {count} timed in {time.perf_counter() - started:.1f} s\n")
        sys.stderr.flush()
        if session.device.type == "cuda" and not _answers(session.device):
            sys.stderr.write(f"{name}: the device no longer computes\n")
            return DEVICE_LOST
    return 0


def _answers(device: torch.device) -> bool:
    """Whether a device still computes. After a fault in a kernel every call fails in this process."""
    try:
        torch.ones(1, device=device).sum().item()
    except RuntimeError:
        return False
    return True


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options; those of the command line if left out."""
    names = [operation.name for operation in operations()]
    parser = argparse.ArgumentParser(
        prog="python -m xformer.benchmarks.kernels.worker", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("operations", nargs="+", choices=names, metavar="OPERATION", help=", ".join(names))
    parser.add_argument("--out", type=Path, help="file to add records to; standard output if left out")
    parser.add_argument("--budget", type=float, help="seconds for all operations together")
    parser.add_argument("--case-budget", type=float, default=1.0, help="seconds for each case and direction")
    parser.add_argument("--rounds", type=int, default=30, help="largest number of times that each is timed")
    parser.add_argument("--dtype", choices=list(DTYPES), help="of the inputs")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--implementation", action="append", default=[], help="only this; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs")
    parser.add_argument("--quick", action="store_true", help="a few small cases")
    parser.add_argument("--no-ceilings", action="store_true", help="no roofline")
    parser.add_argument("--cpu", action="store_true", help="on the CPU, even where there is a GPU")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
