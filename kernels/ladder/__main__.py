"""Count what each step of the ladder asks of memory, and what a compiler makes of its kernel.

Shapes: D head size, N tokens of one sequence.

Needs no GPU. Traffic is that of one head of one sequence in fp16; machine code is that of the named target,
and needs triton. `xformer bench ladder` measures the same steps.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..device import AMPERE, BLACKWELL, HOPPER, Target
from .counted import kernel_traffic, machine, torch_traffic
from .rungs import torch_rungs, triton_rungs

TARGETS = (AMPERE, HOPPER, BLACKWELL)
LENGTHS = (512, 4096)
HEAD_SIZE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or JSON lines."""
    parser = argparse.ArgumentParser(
        prog="python -m xformer.kernels.ladder", description=(__doc__ or "").split("\n\n")[0]
    )
    names = {target.name: target for target in TARGETS}
    parser.add_argument("--target", choices=names, default=HOPPER.name, help="GPU to compile for")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of tables")
    chosen = parser.parse_args(arguments)
    target = names[chosen.target]
    if not chosen.json:
        _say(f"Traffic of one head of one sequence, D={HEAD_SIZE}, fp16")
        _say(f"{'rung':16}{'N':>8}{'FLOP/byte':>12}{'peak KiB':>12}")
    for row in _traffic(target):
        if chosen.json:
            _say(json.dumps({"what": "traffic", **row}))
        else:
            _say(f"{row['rung']:16}{row['length']:>8}{row['intensity']:>12.2f}{row['peak'] / 1024:>12.0f}")
    if os.environ.get("TRITON_INTERPRET") == "1" or importlib.util.find_spec("triton") is None:
        sys.stderr.write("machine code not counted: triton is not installed, or TRITON_INTERPRET=1 is set\n")
        return 0
    if not chosen.json:
        _say(f"\nMachine code for {target.name}: instructions that threads issue for one weight")
    for row in (asdict(machine(rung, target, size)) for rung in triton_rungs() for size in (64, 128)):
        if chosen.json:
            _say(json.dumps({"what": "machine code", **row}))
            continue
        kinds = "  ".join(f"{kind} {count:.2f}" for kind, count in row["kinds"].items() if count)
        takes = "  ".join(f"{name} {row[name]}" for name in ("registers", "spilled", "shared"))
        _say(f"{row['kernel']:24}{row['configuration']:12} {row['per_weight']:7.2f}  = {kinds}")
        _say(f"{'':37}{takes}  programs a multiprocessor {row['programs']}")
    return 0


def _traffic(target: Target) -> Iterator[dict[str, Any]]:
    for rung in torch_rungs():
        for length in LENGTHS:
            count = torch_traffic(rung.attend, length, HEAD_SIZE)
            yield {"rung": rung.name, "length": length, "intensity": count.intensity, **asdict(count)}
    for rung in triton_rungs() if importlib.util.find_spec("triton") else ():
        for length in LENGTHS:
            count = kernel_traffic(rung.queries(target, HEAD_SIZE), length, HEAD_SIZE)
            yield {"rung": rung.name, "length": length, "intensity": count.intensity, **asdict(count)}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
