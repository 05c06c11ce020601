"""Measure all sides in turns: first whether their targets are ours, then their speed, and our memory."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from xformer.progress import Progress

from ..encode.turns import Side, SideError
from .model import Job, write_model

BASE, OURS = "Hugging Face fp32", "xformer fp32"
SAME = 0.9
"""Share of its targets that a side in fp32 must have in common with ours."""


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        job: what is generated.
        beams: widths; 1 is greedy search.
        threads: numbers of threads.
        rounds: passes of each side.
        ct2_python: the Python whose environment has CTranslate2.
    """

    job: Job
    beams: tuple[int, ...] = (1, 4)
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 5
    ct2_python: str = sys.executable


@dataclass
class Result:
    """One side, with one beam and number of threads.

    Attributes:
        side: its name.
        beam: width.
        threads: that it computes with.
        status: `ok`; `differs`, too few targets are ours; `absent`, it could not be started.
        note: why, where it is not `ok`.
        same: share of the targets that are those of `OURS`.
        tokens: of all targets, without their ends.
        seconds: of each round.
        cpu_seconds: of the processor, of each round: what other processes take is not in it.
        ratio: the median over the rounds of `BASE`'s seconds over its seconds; None without `BASE`.
        cpu_ratio: the same of the processor's seconds.
        cache_bytes: of our cache after the last step.
        formula_bytes: what `cache_bytes` says it takes.
        peak_bytes: peak memory of its process.
    """

    side: str
    beam: int
    threads: int
    status: str = "ok"
    note: str = ""
    same: float | None = None
    tokens: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    ratio: float | None = None
    cpu_ratio: float | None = None
    cache_bytes: int | None = None
    formula_bytes: int | None = None
    peak_bytes: int = 0

    @property
    def rate(self) -> float:
        """Target tokens per second, at the median."""
        return self.tokens / statistics.median(self.seconds)

    @property
    def failed(self) -> bool:
        """Whether this is a side of ours that is not as it should be."""
        return self.side.startswith("xformer") and (
            self.status != "ok" or self.cache_bytes != self.formula_bytes
        )


def sides(options: Options) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Python, module and job of each side, by name; `OURS` is the first."""
    ours, peer = (f"xformer.benchmarks.generation.{name}" for name in ("ours", "peer"))
    here, there = sys.executable, options.ct2_python
    return {
        OURS: (here, ours, {"dtype": "fp32"}),
        BASE: (here, peer, {"side": "huggingface"}),
        "CTranslate2 fp32": (there, peer, {"side": "ctranslate2", "compute_type": "float32"}),
        "CTranslate2 int8": (there, peer, {"side": "ctranslate2", "compute_type": "int8"}),
        "xformer int8": (here, ours, {"dtype": "int8"}),
    }


def run(
    options: Options,
    folder: Path,
    progress: Progress,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Measure.

    Args:
        options: what is measured.
        folder: for the model and messages.
        progress: where to show what happens.
        on_result: called with each result.
    """
    progress.say("make the model")
    write_model(folder, options.job.model(), options.job)
    results = []
    for threads in options.threads:
        with ExitStack() as stack:
            ready, absent = _start(options, folder, threads, stack)
            for beam in options.beams:
                found = [Result(name, beam, threads, "absent", why) for name, why in absent.items()]
                found += _measure(ready, beam, threads, options.rounds, progress)
                for one in found:
                    on_result(one)
                results += found
    return results


def _start(
    options: Options, folder: Path, threads: int, stack: ExitStack
) -> tuple[dict[str, Side], dict[str, str]]:
    """The sides that are there, and why others are not."""
    ready, absent = {}, {}
    for name, (python, module, job) in sides(options).items():
        fields = {"folder": str(folder), **asdict(options.job), **job}
        side = Side.start(name, python, module, fields, threads, folder / f"{name}.log")
        stack.callback(side.stop)
        try:
            side.ask(do="generate", beam=1)
            ready[name] = side
        except SideError as error:
            absent[name] = str(error)
    return ready, absent


def _measure(
    ready: dict[str, Side], beam: int, threads: int, rounds: int, progress: Progress
) -> list[Result]:
    results = {name: Result(name, beam, threads) for name in ready}
    targets = {name: side.ask(do="generate", beam=beam)["result"] for name, side in ready.items()}
    for name, result in results.items():
        mine, its = targets.get(OURS, []), targets[name]
        result.same = statistics.fmean(a == b for a, b in zip(mine, its, strict=True)) if mine else 0.0
        result.tokens = sum(map(len, its))
        if name.endswith("fp32") and result.same < SAME:
            result.status, result.note = (
                "differs",
                f"{result.same:.2f} of its targets are ours, wanted {SAME}",
            )
        if name.startswith("xformer"):
            memory = ready[name].ask(do="memory", beam=beam)["result"]
            result.cache_bytes, result.formula_bytes = memory["cache_bytes"], memory["formula_bytes"]
    turns = [name for name, result in results.items() if result.status == "ok"]
    for number in range(rounds):
        first = number % len(turns)
        for name in turns[first:] + turns[:first]:
            answer = ready[name].ask(do="generate", beam=beam)
            results[name].seconds.append(answer["seconds"])
            results[name].cpu_seconds.append(answer["cpu_seconds"])
            results[name].peak_bytes = answer["peak_bytes"]
        progress(f"beam {beam}, threads {threads}", number + 1, rounds)
    base = results.get(BASE)
    for name in turns if base is not None and base.seconds else ():
        assert base is not None
        found = results[name]
        found.ratio = _ratio(base, found, base.seconds, found.seconds)
        found.cpu_ratio = _ratio(base, found, base.cpu_seconds, found.cpu_seconds)
    return list(results.values())


def _ratio(base: Result, other: Result, before: Sequence[float], after: Sequence[float]) -> float:
    """Tokens per second over those of the base, in the median round."""
    more = other.tokens / max(base.tokens, 1)
    return more * statistics.median(one / two for one, two in zip(before, after, strict=True))


def table(results: Sequence[Result]) -> Table:
    """A row for each side; one that was not timed has the reason in place of numbers."""
    found = Table(
        title="Generation: target tokens per second, medians; over Hugging Face's by the\n"
        "clock and by processor time; share of targets that are ours; cache in MiB"
    )
    found.add_column("side", no_wrap=True)
    for name in ("beam", "threads", "tokens/s", "x HF", "by CPU", "same", "cache"):
        found.add_column(name, justify="right")
    for one in results:
        where = (one.side, str(one.beam), str(one.threads))
        if one.status != "ok":
            found.add_row(*where, one.status, "", "", "", "")
            continue
        ratios = ["" if ratio is None else f"{ratio:.2f}" for ratio in (one.ratio, one.cpu_ratio)]
        cache = "" if one.cache_bytes is None else f"{one.cache_bytes / 2**20:,.1f}"
        found.add_row(*where, f"{one.rate:,.0f}", *ratios, f"{one.same:.2f}", cache)
    return found


def notes(results: Sequence[Result]) -> list[str]:
    """Why sides were not timed, each reason once; and caches that are not what the formula says."""
    said = [f"{one.side}: {one.status}: {one.note}" for one in results if one.status != "ok"]
    said += [
        f"{one.side}: the cache takes {one.cache_bytes:,} bytes, the formula says {one.formula_bytes:,}"
        for one in results
        if one.cache_bytes != one.formula_bytes
    ]
    return list(dict.fromkeys(said))


def to_json(result: Result, about: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    rates = {"tokens_per_s": result.rate} if result.seconds else {}
    return {"bench": "generation", **asdict(result), **rates, **about}
