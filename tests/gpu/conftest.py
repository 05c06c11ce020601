"""Tests for a machine with a GPU, and why they are skipped elsewhere.

`PYTHONPATH=. python -m pytest tests/gpu -q` needs torch, triton, pytest and hypothesis, and no install of
this project. Compiling is what takes the time, on one core for each process: with pytest-xdist, `-n 12`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch


def why_not() -> str | None:
    """Why GPU tests cannot run here; None if they can."""
    if not torch.cuda.is_available():
        return "needs a GPU; this machine has none that torch can see"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "TRITON_INTERPRET=1: the kernels would be interpreted, not run on the GPU"
    return None


def pytest_report_header() -> str:
    """Say on what the tests run."""
    reason = why_not()
    if reason is not None:
        return f"GPU tests are skipped: {reason}"
    name = torch.cuda.get_device_name()
    return f"GPU tests run on {name}, torch {torch.__version__}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is skipped, with the reason, before any fixture is set up."""
    reason = why_not()
    if reason is not None:
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))
