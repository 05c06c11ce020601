"""Tests for a machine with a GPU, and why they are skipped elsewhere.

`PYTHONPATH=. python -m pytest tests/gpu -q` needs torch, triton, pytest and hypothesis, and no install of
this project. Compiling is what takes the time, on one core for each process: `--share 0/12` to
`--share 11/12` are the same tests in twelve processes, as `python -m xformer.benchmarks.gpu` runs them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch


def why_not() -> str | None:
    """Why GPU tests cannot run here; None if they can."""
    if not torch.cuda.is_available():
        return "needs a GPU; this machine has none that torch can see"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "TRITON_INTERPRET=1: the kernels would be interpreted, not run on the GPU"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--share I/N`; pytest asks this file only where its folder is named."""
    parser.addoption("--share", type=share_of, metavar="I/N", help="of these tests, the I-th of N shares")


def share_of(text: str) -> tuple[int, int]:
    """`3/12` as numbers."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and int(first) < int(second)):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 0 to N - 1, got {text!r}")
    return int(first), int(second)


def shared(items: Sequence[Any], share: tuple[int, int]) -> list[Any]:
    """Every N-th of all, from the I-th on; begun, in turn, I/N of the way down.

    Tests that stand together need the same kernels. Dealt out and begun in different places, they are in the
    same amount everywhere, and seldom compile the same at the same time.
    """
    index, count = share
    mine = list(items[index::count])
    begin = len(mine) * index // count
    return mine[begin:] + mine[:begin]


def pytest_report_header() -> str:
    """Say on what the tests run."""
    reason = why_not()
    if reason is not None:
        return f"GPU tests are skipped: {reason}"
    name = torch.cuda.get_device_name()
    return f"GPU tests run on {name}, torch {torch.__version__}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is skipped, with the reason, before any fixture is set up; leave out other shares."""
    reason = why_not()
    if reason is not None:
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))
    share = config.getoption("share", None)
    if share is not None:
        mine = shared(items, share)
        kept = set(map(id, mine))
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
        items[:] = mine
