"""Compile every kernel for GPUs that are not here, and print the resources that it takes.

`python -m xformer.kernels.compile.check` prints the table. Nothing runs: Triton compiles for a named target,
and the assembler's own tools report the registers of a thread, what spills out of them, the shared memory of
a program, and the matrix instructions in use. From these follows how many warps share a multiprocessor. With
TRITON_INTERPRET=1 the kernels are interpreted, and there is nothing to compile.

Triton keeps compiled kernels in TRITON_CACHE_DIR: a second run compiles only what has changed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from typing import NamedTuple, TextIO

from triton.errors import TritonError

from ..device import AMPERE, BLACKWELL, CDNA3, HOPPER, Target
from .assembly import Resources, read
from .calls import calls
from .launch import Launch, record
from .occupancy import Occupancy, occupancy

TARGETS = (AMPERE, HOPPER, BLACKWELL, CDNA3)

_HEADS = (
    "kernel", "target", "configuration", "tile",
    "registers", "spilled", "shared", "warps", "limited by", "matrix instructions",
)  # fmt: skip
# Columns whose cells are not known before compiling.
_WIDTHS = {"registers": 9, "spilled": 7, "shared": 6, "warps": 5, "limited by": 13}


class Item(NamedTuple):
    """A launch, and the machine that it is compiled for."""

    target: Target
    launch: Launch


@dataclass(frozen=True)
class Row:
    """The result for one launch.

    Attributes:
        kernel: name of the kernel.
        target: `sm_90` and so on.
        configuration: dtype, sizes and options, such as `D=64 fp16 causal`.
        tile: block sizes, warps and stages: `M128 N64 w4 s3`.
        resources: resources of the kernel; None where it does not compile.
        occupancy: warps that share a multiprocessor; None where it does not compile.
        trouble: why the kernel fails the check: it does not compile, does not fit, or spills on NVIDIA. Empty
            if it passes.
    """

    kernel: str
    target: str
    configuration: str
    tile: str
    resources: Resources | None
    occupancy: Occupancy | None
    trouble: str = ""


def items(targets: Sequence[Target] = TARGETS, kernel: str = "") -> tuple[Item, ...]:
    """Launches of every kernel in its default configurations, each once, kernel by kernel.

    Args:
        targets: the machines.
        kernel: only kernels with this in their name.

    Raises:
        RuntimeError: the kernels were imported with TRITON_INTERPRET=1.
    """
    found: dict[tuple[str, ...], Item] = {}
    for target in targets:
        for call in calls():
            for launch in record(target, *call):
                if kernel in launch.kernel:
                    found.setdefault((target.name, launch.identity), Item(target, launch))
    order = list(dict.fromkeys(item.launch.kernel for item in found.values()))
    return tuple(sorted(found.values(), key=lambda item: order.index(item.launch.kernel)))


def check(item: Item) -> Row:
    """Compile one launch and read the result."""
    target, launch = item
    labels = (launch.kernel, target.name, launch.configuration, tile_text(launch))
    try:
        resources = read(launch.compile(target), target)
    except (TritonError, RuntimeError) as error:  # from a pass of the compiler, the latter
        return Row(*labels, None, None, f"does not compile: {_root_message(error)}")
    room = occupancy(
        target, resources.registers, resources.shared, resources.num_warps, resources.tensor_memory
    )
    trouble = ""
    if room.warps == 0:
        trouble = f"does not fit: too much {room.limit}"
    elif resources.spilled and target.backend == "cuda":
        trouble = f"spills {resources.spilled} bytes a thread"
    return Row(*labels, resources, room, trouble)


def check_all(
    targets: Sequence[Target] = TARGETS, kernel: str = "", jobs: int | None = None
) -> Iterator[Row]:
    """Compile all launches; yields their rows in order, each as soon as it is done.

    Args:
        targets: the machines.
        kernel: only kernels with this in their name.
        jobs: processes that compile in parallel; left out, one for each core that this process may use.

    Yields:
        A row for each item of `items(targets, kernel)`.
    """
    names = tuple(target.name for target in targets)
    count = len(items(targets, kernel))
    jobs = min(count, len(os.sched_getaffinity(0)) if jobs is None else jobs)
    if jobs <= 1:
        yield from map(check, items(targets, kernel))
        return
    # Triton holds the interpreter's lock while it compiles, so threads would wait for each other.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        try:
            yield from pool.map(_check_nth, range(count), [names] * count, [kernel] * count)
        finally:
            pool.shutdown(cancel_futures=True)


def tile_text(launch: Launch) -> str:
    """`M128 N64 w4 s3`: the block sizes by name, warps and stages."""
    blocks = [
        f"{name.removeprefix('BLOCK').removeprefix('_')}{value}"
        for name, value in launch.constants.items()
        if name.startswith("BLOCK")
    ]
    return " ".join([*blocks, f"w{launch.options['num_warps']}", f"s{launch.options['num_stages']}"])


def table(rows: Iterable[Row], widths: Sequence[int]) -> Iterator[str]:
    """Lines of a table, its header first.

    Args:
        rows: the rows.
        widths: widths of the columns; see `widths_for`.
    """
    yield _line(_HEADS, widths)
    for row in rows:
        yield _line(_cells(row), widths)


def widths_for(chosen: Sequence[Item]) -> list[int]:
    """Widths of a table's columns, known before anything is compiled."""
    labels = [(i.launch.kernel, i.target.name, i.launch.configuration, tile_text(i.launch)) for i in chosen]
    known = [max(map(len, column)) for column in zip(_HEADS[:4], *labels, strict=True)]
    return known + [max(len(head), _WIDTHS.get(head, 0)) for head in _HEADS[4:]]


def report(
    targets: Sequence[Target] = TARGETS,
    kernel: str = "",
    *,
    as_json: bool = False,
    jobs: int | None = None,
    stream: TextIO | None = None,
) -> int:
    """Print the table of all launches, row by row as they are compiled.

    Args:
        targets: the machines.
        kernel: only kernels with this in their name.
        as_json: print a JSON object for each line instead.
        jobs: processes that compile in parallel; left out, one for each core that this process may use.
        stream: where to print; standard output if left out.

    Returns:
        1 if a kernel does not compile, does not fit, or spills on an NVIDIA target; 0 otherwise.

    Raises:
        ValueError: no kernel has that name.
    """
    stream = sys.stdout if stream is None else stream
    chosen = items(targets, kernel)
    if not chosen:
        names = ", ".join(dict.fromkeys(item.launch.kernel for item in items(targets)))
        raise ValueError(f"kernel: expected part of one of {names}; got {kernel!r}")
    troubles = []

    def noted() -> Iterator[Row]:
        for row in check_all(targets, kernel, jobs):
            if row.trouble:
                troubles.append(f"{row.kernel}, {row.configuration}, {row.target}: {row.trouble}")
            yield row

    lines = map(_json, noted()) if as_json else table(noted(), widths_for(chosen))
    for line in lines:
        stream.write(line + "\n")
        stream.flush()
    if not as_json:
        verdict = "none spills on NVIDIA" if not troubles else f"{len(troubles)} in trouble"
        stream.write("\n".join(["", *troubles, f"{len(chosen)} launches: {verdict}"]) + "\n")
    return int(bool(troubles))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: see `report`."""
    parser = argparse.ArgumentParser(
        prog="python -m xformer.kernels.compile.check", description=__doc__.splitlines()[0]
    )
    names = {target.name: target for target in TARGETS}
    parser.add_argument(
        "--target", choices=names, action="append", help="only for this machine; may be repeated"
    )
    parser.add_argument("--kernel", default="", help="only kernels with this in their name")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object for each line instead of a table"
    )
    parser.add_argument(
        "--jobs", type=int, help="processes that compile in parallel; by default one for each core"
    )
    chosen = parser.parse_args(arguments)
    targets = [names[name] for name in chosen.target or names]
    try:
        return report(targets, chosen.kernel, as_json=chosen.json, jobs=chosen.jobs)
    except (ValueError, RuntimeError) as error:
        parser.error(str(error))


@cache
def _items_of(names: tuple[str, ...], kernel: str) -> tuple[Item, ...]:
    """The list of items in a worker, because Triton's functions cannot be sent to another process."""
    return items([target for target in TARGETS if target.name in names], kernel)


def _check_nth(index: int, names: tuple[str, ...], kernel: str) -> Row:
    return check(_items_of(names, kernel)[index])


def _cells(row: Row) -> list[str]:
    labels = [row.kernel, row.target, row.configuration, row.tile]
    if row.resources is None or row.occupancy is None:
        return [*labels, *["-"] * (len(_HEADS) - len(labels) - 1), row.trouble]
    taken, room = row.resources, row.occupancy
    instructions = " ".join(f"{name}:{count}" for name, count in taken.instructions.items()) or "-"
    numbers = [str(number) for number in (taken.registers, taken.spilled, taken.shared)]
    return [*labels, *numbers, f"{room.warps}/{room.most}", room.limit, instructions]


def _root_message(error: BaseException) -> str:
    """The last line of the first error in a chain: Triton wraps it once for each function on the way."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _json(row: Row) -> str:
    return json.dumps(asdict(row))


if __name__ == "__main__":
    raise SystemExit(main())
