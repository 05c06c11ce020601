"""Measure both sides in turns, and the memory of mining.

Shapes: Q queries, K results of each.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.search.folder import Block, Stamp, make_index
from xformer.progress import Progress

from ..encode.turns import Side, SideError
from .vectors import some_vectors

OURS, PEER, BLAS = "xformer", "faiss-cpu flat", "faiss-cpu flat, BLAS"
WANTED = 2.0
"""The least ratio of speeds that is the goal."""
_MODEL = Stamp("random", 0, 0, "random")
_ROUNDING = 2.0**-23
_HOPELESS = 4


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        vectors: N.
        dim: D.
        queries: numbers of queries of a call.
        k: results of each query.
        threads: of either side.
        rounds: calls of each side for each number of queries.
        faiss_python: the Python whose environment has faiss-cpu.
    """

    vectors: int = 1_000_000
    dim: int = 192
    queries: tuple[int, ...] = (1, 16, 256, 1024)
    k: int = 10
    threads: int = 1
    rounds: int = 5
    faiss_python: str = sys.executable


@dataclass
class Result:
    """One number of queries.

    Attributes:
        queries: of a call.
        seconds: of each call by the clock, by side.
        cpu_seconds: of each call of the processor, all threads together.
        wrong: queries whose answers differ by more than rounding; such a side is not timed.
    """

    queries: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu_seconds: dict[str, list[float]] = field(default_factory=dict)
    wrong: int = 0

    @property
    def ratio(self) -> float | None:
        """Median over the rounds of the faster peer's seconds over ours; None without the peer."""
        return _ratio(self.seconds)

    @property
    def cpu_ratio(self) -> float | None:
        """The same of seconds of the processor, which other work on the machine changes less."""
        return _ratio(self.cpu_seconds)

    def is_hopeless(self, name: str) -> bool:
        """Whether a side of the peer took so much longer than its other one that once was enough."""
        first = {side: found[0] for side, found in self.seconds.items()}
        return (
            name != OURS
            and name in first
            and any(first[name] > _HOPELESS * first[side] for side in first if side != OURS)
        )


def _ratio(seconds: dict[str, list[float]]) -> float | None:
    peers = [seconds[name] for name in (PEER, BLAS) if name in seconds]
    if not peers:
        return None
    fastest = [min(found) for found in zip_longest(*peers, fillvalue=math.inf)]
    return statistics.median(peer / ours for peer, ours in zip(fastest, seconds[OURS], strict=True))


def run(options: Options, folder: Path, progress: Progress) -> tuple[list[Result], str]:
    """Measure search.

    Args:
        options: what is measured.
        folder: an empty one, for vectors and messages.
        progress: where to show what happens.

    Returns:
        The results; and why the peer is absent, or nothing.
    """
    write_index(folder / "index", options.vectors, options.dim, 1, progress)
    for count in options.queries:
        np.save(folder / f"{count}.npy", np.concatenate(list(some_vectors(count, options.dim, 2))))
    job = {"folder": str(folder / "index"), "dim": options.dim}
    sides: dict[str, Side] = {}
    absent = ""
    results = [Result(count) for count in options.queries]
    try:
        for name, python, module in (
            (OURS, sys.executable, "ours"),
            (PEER, options.faiss_python, "peer"),
        ):
            log = folder / f"{module}.log"
            sides[name] = Side.start(
                name, python, f"xformer.benchmarks.search.{module}", job, options.threads, log
            )
        for result in results:
            try:
                result.wrong = _differing(sides, result.queries, options.k, folder)
            except SideError as error:
                absent = str(error)
                sides.pop(PEER).stop()
                break
        for turn in range(options.rounds):
            for place, result in enumerate(results):
                progress("search", turn * len(results) + place, options.rounds * len(results))
                names = [OURS, PEER, BLAS] if PEER in sides else [OURS]
                for name in () if result.wrong else names if turn % 2 == 0 else reversed(names):
                    if result.is_hopeless(name):
                        continue
                    asked = {"queries": str(folder / f"{result.queries}.npy"), "k": options.k}
                    side = sides[PEER if name == BLAS else name]
                    more = {"blas": True} if name == BLAS else {}
                    answer = side.ask(do="search", **asked, **more)
                    result.seconds.setdefault(name, []).append(answer["seconds"])
                    result.cpu_seconds.setdefault(name, []).append(answer["cpu_seconds"])
    finally:
        for side in sides.values():
            side.stop()
    return results, absent


def mining(options: Options, rows: int, folder: Path, progress: Progress) -> dict[str, Any]:
    """Mine `rows` lines beside the N vectors: seconds, peak memory in bytes, and products per second."""
    write_index(folder / "other", rows, options.dim, 3, progress)
    if not (folder / "index").exists():
        write_index(folder / "index", options.vectors, options.dim, 1, progress)
    progress.say(f"mine {rows:,} × {options.vectors:,}")
    job = {"folder": str(folder / "index"), "dim": options.dim}
    side = Side.start(
        OURS, sys.executable, "xformer.benchmarks.search.ours", job, options.threads, folder / "mine.log"
    )
    try:
        answer = side.ask(do="mine", other=str(folder / "other"))
    finally:
        side.stop()
    products = rows * options.vectors
    found = {"rows": rows, "vectors": options.vectors, "seconds": answer["seconds"], **answer["result"]}
    return found | {"products_per_second": products / answer["seconds"]}


def write_index(path: Path, count: int, dim: int, seed: int, progress: Progress) -> None:
    """An index of random vectors, with empty texts."""

    def blocks() -> Iterator[Block]:
        done = 0
        for block in some_vectors(count, dim, seed):
            yield "random", [""] * len(block), block
            done += len(block)
            progress(f"write {path.name}", done, count)

    make_index(path, _MODEL, dim, blocks())


def _differing(sides: dict[str, Side], queries: int, k: int, folder: Path) -> int:
    """How many queries have answers that differ by more than rounding."""
    answers = []
    for name, side in sides.items():
        out = folder / f"{name.split()[0]}.npz"
        more = {"blas": True} if name == PEER else {}
        side.ask(do="search", queries=str(folder / f"{queries}.npy"), k=k, out=str(out), **more)
        answers.append(np.load(out))
    ours, theirs = answers
    width = np.load(folder / f"{queries}.npy").shape[1]
    return differing(ours["rows"], ours["scores"], theirs["rows"], theirs["scores"], width * _ROUNDING)


def differing(
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    other_rows: NDArray[np.int64],
    other_scores: NDArray[np.float32],
    rounding: float,
) -> int:
    """Queries whose scores (Q, K) differ by more than `rounding`, or whose rows do where scores don't tie."""
    apart = np.abs(scores.astype(np.float64) - other_scores) > rounding
    gaps = np.abs(np.diff(scores.astype(np.float64), axis=1)) > 2 * rounding
    edge = np.zeros((len(rows), 1), dtype=bool)  # the last one may tie with what was left out
    alone = np.hstack([np.ones((len(rows), 1), dtype=bool), gaps]) & np.hstack([gaps, edge])
    return int((apart | (alone & (rows != other_rows))).any(axis=1).sum())


def met(results: Sequence[Result]) -> bool:
    """Whether the goal is met for each number of queries, and no answer is wrong."""
    return all(not one.wrong and (one.ratio or 0) >= WANTED for one in results)
