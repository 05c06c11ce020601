"""The kernels compiled for GPUs that are not here, in a process where they are not interpreted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KERNELS = ("forward", "key_value", "query", "delta")
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")

# Part of the table that `python -m xformer.kernels.compile_check` prints: it has more head sizes and masks.
COMPILE = """
import dataclasses, json, torch
from xformer.kernels.compile_check import TARGETS, Case, check
for target in TARGETS:
    for kernel in ("forward", "key_value", "query", "delta"):
        cases = [Case(kernel, target, 64)]
        if kernel != "delta":
            cases.append(Case(kernel, target, 128, torch.bfloat16))
            cases.append(Case(kernel, target, 64, torch.float32))
        if kernel != "delta" and target.backend == "cuda":
            cases.append(Case(kernel, target, 64, causal=True, window=True, alibi=True))
        for case in cases:
            print(json.dumps(dataclasses.asdict(check(case))), flush=True)
"""


@pytest.fixture(scope="module")
def rows(repository: Path) -> list[dict[str, Any]]:
    pytest.importorskip("triton", reason="triton is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", COMPILE]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_kernel_compiles_for_every_target(rows: list[dict[str, Any]]) -> None:
    assert {(row["kernel"], row["target"]) for row in rows} == {(k, t) for k in KERNELS for t in TARGETS}


def test_nothing_spills(rows: list[dict[str, Any]]) -> None:
    assert [row for row in rows if row["spilled"] and row["target"].startswith("sm_")] == []


def test_programs_fit_into_shared_memory(rows: list[dict[str, Any]]) -> None:
    """KiB a program may have: CUDA C++ programming guide, technical specifications; CDNA 3 ISA, 2.2.2."""
    most = {"sm_80": 163, "sm_90": 227, "sm_100": 227, "gfx942": 64}
    assert [row for row in rows if row["shared"] > most[row["target"]] * 1024] == []


@pytest.mark.parametrize(
    ("target", "instruction"),
    [("sm_80", "mma"), ("sm_90", "wgmma"), ("sm_100", "tcgen05"), ("gfx942", "mfma")],
)
def test_half_precision_runs_on_tensor_cores(
    target: str, instruction: str, rows: list[dict[str, Any]]
) -> None:
    products = [row for row in rows if row["target"] == target and row["dtype"] != "fp32"]
    products = [row for row in products if row["kernel"] != "delta"]
    assert len(products) >= 6
    for row in products:
        assert row["instructions"].get(instruction, 0) > 0, row


def test_fp32_is_exact(rows: list[dict[str, Any]]) -> None:
    """No tensor core of NVIDIA's multiplies fp32: had one been used, it would be tf32."""
    singles = [row for row in rows if row["dtype"] == "fp32" and row["target"].startswith("sm_")]
    assert len(singles) == 9
    assert all(row["instructions"] == {} for row in singles)


def test_the_command_prints_a_table(repository: Path) -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    command = [sys.executable, "-m", "xformer.kernels.compile_check", "--help"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--target" in done.stdout
