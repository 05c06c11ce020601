"""Measure the steps of the ladder, and count what this machine cannot measure.

Shapes: D head size.

On a GPU every rung is timed on the same work. On a CPU the rungs of PyTorch are; of the kernels it is counted
what a compiler for the named target makes of them, which needs triton and no GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ..device import AMPERE, BLACKWELL, HOPPER, Target
from .counted import Machine, kernel_traffic, machine, torch_traffic
from .measured import Step, measure_backward, measure_forward, workloads
from .rungs import torch_rungs, triton_rungs

TARGETS = (AMPERE, HOPPER, BLACKWELL)
LENGTHS = (512, 4096)
HEAD_SIZE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or JSON lines."""
    parser = argparse.ArgumentParser(
        prog="python -m xformer.kernels.ladder", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda"
    )
    parser.add_argument(
        "--target", choices=[target.name for target in TARGETS], default=HOPPER.name, help="to compile for"
    )
    parser.add_argument("--only", choices=["measured", "counted"], help="one part alone")
    parser.add_argument("--json", action="store_true", help="JSON lines, as they come, instead of tables")
    chosen = parser.parse_args(arguments)
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("--device: torch can see no GPU")
    if device.type == "cuda" and chosen.only != "counted" and os.environ.get("TRITON_INTERPRET") == "1":
        parser.error("--device: TRITON_INTERPRET=1 is set, and the interpreter's time says nothing")
    target = next(target for target in TARGETS if target.name == chosen.target)
    if chosen.only != "counted":
        _print_measured(device, chosen.json)
    if chosen.only != "measured":
        _print_counted(target, chosen.json)
    return 0


def _print_measured(device: torch.device, as_json: bool) -> None:
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    where = {"device": name, "torch": torch.__version__, "python": platform.python_version()}
    steps = _measure(device)
    if as_json:
        for step in steps:
            _line({"section": "measured", **asdict(step), **where})
        return
    _say(f"Measured on {name}, torch {torch.__version__}")
    _say(
        f"{'direction':10}{'workload':10}{'rung':16}{'dtype':10}{'ms':>10}{'GFLOP/s':>10}{'peak MiB':>10}"
        f"{'error':>8}"
    )
    for step in steps:
        speed = "" if step.operations_per_second is None else f"{step.operations_per_second / 1e9:.1f}"
        spent = step.status if step.seconds is None else f"{step.seconds['p50'] * 1e3:.3f}"
        _say(
            f"{step.direction:10}{step.workload:10}{step.rung:16}{step.dtype:10}{spent:>10}{speed:>10}"
            f"{step.peak_bytes / 2**20:>10.2f}{step.error_multiple:>7.2f}x"
        )
    if not on_gpu:
        _say("No kernel was timed: that needs a GPU (--device cuda).")
    _say("")


def _measure(device: torch.device) -> Iterator[Step]:
    for workload in workloads(device):
        for dtype in (torch.float16,) if device.type == "cuda" else (torch.float32,):
            yield from measure_forward(workload, device, dtype)
            yield from measure_backward(workload, device, dtype)


def _print_counted(target: Target, as_json: bool) -> None:
    if not as_json:
        _say(f"Counted: bytes asked of memory, one head of one sequence, D={HEAD_SIZE}, fp16")
        _say(f"{'rung':16}{'N':>8}{'FLOP/byte':>12}{'peak KiB':>12}")
    for row in _traffic(target):
        if as_json:
            _line({"section": "counted", "what": "traffic", **row})
        else:
            _say(f"{row['rung']:16}{row['length']:>8}{row['intensity']:>12.2f}{row['peak'] / 1024:>12.0f}")
    why_not = _no_compiler()
    if why_not:
        sys.stderr.write(f"machine code not counted: {why_not}\n")
        return
    rows = _machines(target)
    if as_json:
        for row_ in rows:
            _line({"section": "counted", "what": "machine code", **asdict(row_)})
        return
    _say(f"\nCounted: machine code for {target.name}, instructions a thread issues for one weight")
    for row_ in rows:
        kinds = "  ".join(f"{kind} {count:.2f}" for kind, count in row_.kinds.items() if count)
        _say(
            f"{row_.kernel.removeprefix('ladder_'):16}{row_.configuration:12} {row_.per_weight:7.2f}  = "
            f"{kinds}"
            f"\n{'':29}registers {row_.registers}  spilled {row_.spilled}  shared {row_.shared}  "
            f"programs a multiprocessor {row_.programs}"
        )


def _traffic(target: Target) -> Iterator[dict[str, Any]]:
    for rung in torch_rungs():
        for length in LENGTHS:
            count = torch_traffic(rung.attend, length, HEAD_SIZE)
            yield {"rung": rung.name, "length": length, "intensity": count.intensity, **asdict(count)}
    if importlib.util.find_spec("triton") is None:
        return
    for rung in triton_rungs():
        for length in LENGTHS:
            count = kernel_traffic(rung.queries(target, HEAD_SIZE), length, HEAD_SIZE)
            yield {"rung": rung.name, "length": length, "intensity": count.intensity, **asdict(count)}


def _machines(target: Target) -> Iterator[Machine]:
    for rung in triton_rungs():
        for head_size in (64, 128):
            yield machine(rung, target, head_size)


def _no_compiler() -> str | None:
    """Why kernels cannot be compiled here; None if they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    return "TRITON_INTERPRET=1 is set" if os.environ.get("TRITON_INTERPRET") == "1" else None


def _line(values: dict[str, Any]) -> None:
    _say(json.dumps(values))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
