"""Find tiles by running: `python -m xformer.benchmarks.tune`.

For each kernel and problem all candidates are checked against the default's results and timed in turns with
it; the best of each, and everything tried, becomes a line of `<device>-tiles.jsonl`. Nothing reads that file
when kernels run. What is found belongs into `kernels/`, by hand, where it can be seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .environment import environment
from .measure import Timing, measure, quantiles
from .processes import cores
from .stopwatch import Stopwatch, Work, stopwatch
from .trials import Results, Trial, trials

# Two tiles add the same numbers up in another order. In half precision results come out within a percent of
# each other; those of a kernel that is miscompiled do not.
LARGEST_DIFFERENCE = 0.02

NO_GPU = 2


@dataclass(frozen=True)
class Tried:
    """One tile of a trial.

    Attributes:
        tile: its numbers, by name.
        seconds: quantiles of the time of one call, p20, p50, p80, or none.
        note: why there is none.
    """

    tile: dict[str, int]
    seconds: dict[str, float] | None
    note: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune; the exit status: 0, or 2 where there is no GPU."""
    chosen = _parse(arguments)
    deadline = time.perf_counter() + chosen.budget
    if chosen.cpu:
        # Before any kernel is imported by a function below.
        os.environ.setdefault("TRITON_INTERPRET", "1")
    elif not torch.cuda.is_available():
        sys.stderr.write("tune: expected a GPU that torch can see; this machine has none\n")
        return NO_GPU
    device = torch.device("cpu" if chosen.cpu else "cuda")
    wanted = [one for one in trials(device, small=chosen.cpu) if chosen.only in one.name]
    if chosen.compile_part is not None:
        number, parts = chosen.compile_part
        compile_part(wanted, number, parts, deadline)
        return 0
    where = environment(device)
    file = chosen.out / (where.file_name.removesuffix(".jsonl") + "-tiles.jsonl")
    compiling = time.perf_counter()
    if device.type == "cuda":
        # Compiling takes a core a second or more a tile, timing milliseconds.
        compile_ahead(chosen.budget * 0.6, chosen.only, chosen.jobs or max(1, min(12, cores() - 2)))
        sys.stderr.write(f"tune: compiled for {time.perf_counter() - compiling:.0f} s\n")
    watch = stopwatch(device)
    for number, trial in enumerate(wanted):
        if time.perf_counter() >= deadline:
            sys.stderr.write(
                f"tune: out of time, {len(wanted) - number} of {len(wanted)} configurations left\n"
            )
            break
        tried = try_all(trial, watch, chosen.case_budget, deadline)
        line = summary(trial, tried) | {"environment": asdict(where)}
        append(file, line)
        sys.stdout.write(describe(line) + "\n")
        sys.stdout.flush()
    return 0


def try_all(trial: Trial, watch: Stopwatch, budget: float, deadline: float) -> list[Tried]:
    """Check and time the default and every candidate, in turns.

    Args:
        trial: what to try.
        watch: the device's stopwatch.
        budget: seconds to time for, about.
        deadline: no candidate is begun after, by `time.perf_counter`.

    Returns:
        The default first.
    """
    work = trial.prepare()
    expected = _results(work)
    works: dict[int, Work] = {}
    notes: dict[int, str] = {}
    tiles = list(dict.fromkeys([trial.default, *trial.candidates]))
    for number, tile in enumerate(tiles):
        if number and time.perf_counter() >= deadline:
            notes[number] = "out of time"
            continue
        try:
            with trial.using(tile):
                difference = largest_difference(_results(work), expected)
        except Exception as error:  # too much shared memory, too many registers: the other tiles go on
            notes[number] = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            continue
        if difference <= LARGEST_DIFFERENCE:
            works[number] = _with(trial, tile, work)
        else:
            notes[number] = f"wrong: {difference:.3g} of the results' size away from the default's"
    timings = measure({str(n): work for n, work in works.items()}, watch, rounds=15, budget=budget)
    found = []
    for number, tile in enumerate(tiles):
        timing = timings.get(str(number))
        seconds = quantiles(timing.cold or timing.warm) if isinstance(timing, Timing) else None
        note = notes.get(number, str(timing) if isinstance(timing, Exception) else "")
        found.append(Tried(asdict(tile), seconds, note))
    return found


def summary(trial: Trial, tried: Sequence[Tried]) -> dict[str, Any]:
    """A line of the file: the best tile, and whether it can be told from the default."""
    default = tried[0]
    timed = [one for one in tried if one.seconds]
    best = min(timed, key=lambda one: one.seconds["p50"] if one.seconds else 0.0, default=default)
    gain = None
    distinct = False
    if best.seconds and default.seconds:
        gain = default.seconds["p50"] / best.seconds["p50"]
        distinct = best.seconds["p80"] < default.seconds["p20"]
    return {
        "kernel": trial.kernel,
        "configuration": dict(trial.configuration),
        "default": default.tile,
        "best": best.tile,
        "gain": gain,
        "distinct": distinct,
        "tried": [asdict(one) for one in tried],
    }


def describe(line: dict[str, Any]) -> str:
    """A line for people."""
    problem = (f"{key}={value}" for key, value in line["configuration"].items())
    name = " ".join([line["kernel"], *problem])
    timed = sum(one["seconds"] is not None for one in line["tried"])
    if line["gain"] is None:
        return f"{name}: nothing to compare, {line['tried'][0]['note']}"
    numbers = "x".join(str(value) for value in line["best"].values())
    if not line["distinct"]:
        return f"{name}: the default stays; nothing is clearly faster, {timed} tried"
    return f"{name}: {line['gain']:.2f} times as fast with {numbers}, {timed} tried"


def append(path: Path, line: dict[str, Any]) -> None:
    """Add a line to a file, and see it onto the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def largest_difference(found: Results, expected: Results) -> float:
    """The largest ‖found − expected‖ / ‖expected‖ of several results; infinite where a number is none."""
    worst = 0.0
    for x, y in zip(found, expected, strict=True):
        difference = float((x.double() - y.double()).norm() / y.double().norm().clamp_min(1e-30))
        worst = max(worst, difference) if difference == difference else float("inf")
    return worst


def compile_ahead(budget: float, only: str, jobs: int) -> None:
    """Compile all tiles into Triton's cache in several processes, for so many seconds at most."""
    command = [sys.executable, "-P", "-m", "xformer.benchmarks.tune", "--only", only, "--budget", str(budget)]
    processes = [
        subprocess.Popen([*command, "--compile-part", str(number), str(jobs)], stdout=subprocess.DEVNULL)
        for number in range(jobs)
    ]
    deadline = time.perf_counter() + budget + 5.0
    try:
        for process in processes:
            process.wait(max(0.1, deadline - time.perf_counter()))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for process in processes:
            process.kill()
            process.wait()


def compile_part(wanted: Sequence[Trial], number: int, parts: int, deadline: float) -> None:
    """Run every `parts`-th tile once, from the `number`-th on: that compiles it for the call to be timed."""
    place = 0
    for trial in wanted:
        work = None
        for tile in dict.fromkeys([trial.default, *trial.candidates]):
            mine = place % parts == number
            place += 1
            if not mine or time.perf_counter() >= deadline:
                continue
            work = work or trial.prepare()
            try:
                with trial.using(tile):
                    _results(work)
            except Exception as error:  # it will fail again where that is written down
                sys.stderr.write(f"tune: {trial.name}: {type(error).__name__}\n")


def _results(work: Work) -> Results:
    found: Any = work.timed(work.begin())
    return tuple(x.detach() for x in found if isinstance(x, Tensor))


def _with(trial: Trial, tile: object, work: Work) -> Work:
    """The same work with a tile, both before and in the timed part."""

    def timed(state: object) -> object:
        with trial.using(tile):
            return work.timed(state)

    return Work(timed, work.before)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m xformer.benchmarks.tune", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder to write to")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds")
    parser.add_argument("--case-budget", type=float, default=0.5, help="seconds to time each")
    parser.add_argument("--only", default="", help="only configurations whose name contains this")
    parser.add_argument("--jobs", type=int, help="processes that compile")
    parser.add_argument("--cpu", action="store_true", help="in Triton's interpreter, whose times say nothing")
    parser.add_argument("--compile-part", type=int, nargs=2, metavar=("N", "OF"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
