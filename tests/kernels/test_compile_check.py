"""The kernels compiled for GPUs that are not here, in a process where they are not interpreted.

Covers all of xformer.kernels.compile.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from xformer.kernels.compile.occupancy import occupancy
from xformer.kernels.device import AMPERE, BLACKWELL, CDNA3, HOPPER, INTERPRETER, Target

pytestmark = pytest.mark.slow

TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
MATRIX_INSTRUCTION = {"sm_80": "mma", "sm_90": "wgmma", "sm_100": "tcgen05", "gfx942": "mfma"}
# Kernels whose matrix products decide how fast they are: these are tried for every target.
PRODUCTS = ("attention_forward", "attention_backward_key_value", "attention_backward_query")

# Part of the table that `python -m xformer.kernels.compile.check` prints: of each kernel its first
# configuration, for sm_90, and of the products also the first in fp32, for every target.
COMPILE = f"""
import dataclasses, json, re
from xformer.kernels.compile.check import check
seen = set()
for item in launches:
    target, launch = item
    single = "fp32" in launch.configuration
    product = launch.kernel in {PRODUCTS!r}
    key = (target.name, launch.kernel, single and product)
    if key in seen or not (product or target.name == "sm_90"):
        continue
    seen.add(key)
    row = dataclasses.asdict(check(item))
    occupancy = re.search(r"; Occupancy: (\\d+)", launch.compile(target).asm.get("amdgcn", ""))
    row["by_llvm"] = int(occupancy[1]) if occupancy else None
    row["key"] = [*key]
    answer("row", row)
"""


# All launches that are checked, without compiling them.
RECORD = """
for target, launch in launches:
    answer("launch", {
        "target": target.name, "kernel": launch.kernel, "configuration": launch.configuration,
        "names": launch.function.arg_names, "signature": dict(launch.signature),
        "constants": dict(launch.constants), "options": dict(launch.options),
        "aligned": [
            launch.function.arg_names[path[0]]
            for path, known in launch.attributes.items() if ["tt.divisibility", 16] in known
        ],
    })
"""

LEFT_BEHIND = """
import torch
from xformer.kernels import rms_norm
from xformer.kernels.compile.launch import record
from xformer.kernels.device import HOPPER, INTERPRETER, target_of, triton_absence
from xformer.kernels.operation import on_device

def call(fails):
    rms_norm(torch.ones(4, 64), torch.ones(64), eps=1e-5, backend="triton")
    if fails:
        raise KeyError

(launch,) = record(HOPPER, "C=64", lambda: call(False))
assert launch.kernel == "norm_forward" and launch.configuration == "C=64"
try:
    record(HOPPER, "C=64", lambda: call(True))
except KeyError:
    pass
else:
    raise AssertionError("the call did not fail")
cpu = torch.device("cpu")
assert target_of(cpu) is INTERPRETER and "no Triton for device 'cpu'" in triton_absence("cpu")
assert on_device.cache_info().currsize == 0
assert not launch.function.device_caches["sm_90"][0]
answer("left behind", {})
"""

BEGIN = """
import json
from xformer.kernels.compile.check import items
def answer(kind, value):
    print(json.dumps([kind, value]), flush=True)
launches = items()
"""

Answers = dict[str, list[dict[str, Any]]]


def compiling(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def answers() -> Answers:
    pytest.importorskip("triton", reason="triton is not installed")
    done = compiling("-c", BEGIN + LEFT_BEHIND + RECORD + COMPILE)
    assert done.returncode == 0, done.stderr
    found: Answers = {}
    for line in done.stdout.splitlines():
        kind, value = json.loads(line)
        found.setdefault(kind, []).append(value)
    return found


@pytest.fixture(scope="module")
def rows(answers: Answers) -> list[dict[str, Any]]:
    return answers["row"]


@pytest.fixture(scope="module")
def launches(answers: Answers) -> list[dict[str, Any]]:
    return answers["launch"]


def test_compiles_for_every_target(rows: list[dict[str, Any]]) -> None:
    assert {(row["kernel"], row["target"]) for row in rows} >= {(k, t) for k in PRODUCTS for t in TARGETS}
    assert [row for row in rows if row["resources"] is None] == []


def test_nothing_spills_and_everything_fits(rows: list[dict[str, Any]]) -> None:
    assert [row["trouble"] for row in rows if row["trouble"]] == []
    assert all(row["occupancy"]["warps"] >= row["resources"]["num_warps"] for row in rows)


@pytest.mark.parametrize("target", TARGETS)
def test_half_precision_runs_on_tensor_cores(target: str, rows: list[dict[str, Any]]) -> None:
    products = [row for row in rows if row["target"] == target and row["kernel"] in PRODUCTS]
    products = [row for row in products if not row["key"][2]]
    assert len(products) == len(PRODUCTS)
    for row in products:
        assert row["resources"]["instructions"].get(MATRIX_INSTRUCTION[target], 0) > 0, row


def test_fp32_is_exact(rows: list[dict[str, Any]]) -> None:
    """No tensor core of NVIDIA's multiplies fp32: had one been used, it would be tf32."""
    singles = [row for row in rows if row["key"][2] and row["target"].startswith("sm_")]
    assert len(singles) == 3 * len(PRODUCTS)
    assert [row for row in singles if row["resources"]["instructions"]] == []


def test_occupancy_agrees_with_llvm(rows: list[dict[str, Any]]) -> None:
    """LLVM writes above AMD's code how many wavefronts the registers leave room for on each SIMD."""
    amd = [row for row in rows if row["target"] == "gfx942"]
    assert len(amd) == 2 * len(PRODUCTS)
    for row in amd:
        by_registers = occupancy(CDNA3, row["resources"]["registers"], 0, 1)
        assert by_registers.warps == 4 * row["by_llvm"], row


@pytest.mark.parametrize(
    ("target", "registers", "warps_a_program", "warps"),
    [
        # CUDA C++ Best Practices Guide, "Calculating Occupancy": 75% and 63% (40 of 64).
        (HOPPER, 37, 4, 48),
        (HOPPER, 37, 10, 40),
        # What CUDA's occupancy calculator lists for 256 threads, shared memory aside.
        (AMPERE, 32, 8, 64),
        (AMPERE, 40, 8, 48),
        (AMPERE, 48, 8, 40),
        (AMPERE, 64, 8, 32),
        (AMPERE, 96, 8, 16),
        (BLACKWELL, 128, 8, 16),
        (BLACKWELL, 168, 8, 8),
        (BLACKWELL, 255, 8, 8),
        # Registers for each wave on a SIMD of 512: AMD's "register pressure" table for MI200 and MI300.
        (CDNA3, 64, 1, 32),
        (CDNA3, 72, 1, 28),
        (CDNA3, 80, 1, 24),
        (CDNA3, 96, 1, 20),
        (CDNA3, 128, 1, 16),
        (CDNA3, 168, 1, 12),
        (CDNA3, 256, 1, 8),
        (CDNA3, 512, 1, 4),
    ],
)
def test_registers_limit_occupancy_as_published(
    target: Target, registers: int, warps_a_program: int, warps: int
) -> None:
    assert occupancy(target, registers, 0, warps_a_program).warps == warps


@pytest.mark.parametrize(
    ("target", "shared", "warps", "limit"),
    [
        # CUDA keeps 1 KiB of each program's for itself: 163 KiB of 164 is all that one may have.
        (AMPERE, 163 * 1024, 4, "shared memory"),
        (AMPERE, 163 * 1024 + 1, 0, "shared memory"),
        (AMPERE, 81 * 1024, 8, "shared memory"),
        (AMPERE, 81 * 1024 + 1, 4, "shared memory"),
        (HOPPER, 227 * 1024, 4, "shared memory"),
        (HOPPER, 113 * 1024, 8, "shared memory"),
        (HOPPER, 75 * 1024, 12, "shared memory"),
        (CDNA3, 64 * 1024, 4, "shared memory"),
        (CDNA3, 16 * 1024, 16, "shared memory"),
        (CDNA3, 64 * 1024 + 1, 0, "shared memory"),
    ],
)
def test_shared_memory_limits_occupancy(target: Target, shared: int, warps: int, limit: str) -> None:
    found = occupancy(target, 32, shared, 4)
    assert (found.warps, found.limit) == (warps, limit)


def test_what_else_limits_occupancy() -> None:
    assert str(occupancy(HOPPER, 32, 0, 1)) == "32/64 programs"
    assert str(occupancy(HOPPER, 32, 0, 4)) == "64/64 warps"
    assert str(occupancy(CDNA3, 64, 0, 2)) == "32/32 warps"
    assert str(occupancy(CDNA3, 32, 0, 1)) == "32/32 warps"
    assert str(occupancy(BLACKWELL, 32, 0, 4, tensor_memory=256)) == "8/64 tensor memory"
    assert occupancy(HOPPER, 256, 0, 4).warps == 0  # a thread has 255 registers
    with pytest.raises(ValueError, match=r"target: expected sm_80, .* got cpu"):
        occupancy(INTERPRETER, 32, 0, 4)


def test_every_kernel_that_is_launched_is_checked(repository: Path, launches: list[dict[str, Any]]) -> None:
    """A function of Triton's that is launched somewhere, `f[grid](…)`, has a `Launch` for each target."""
    launched = set()
    # The ladder's rungs have a table of their own, `python -m xformer.kernels.ladder`.
    for path in set((repository / "kernels").rglob("*.py")) - set((repository / "kernels/ladder").iterdir()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Subscript)
                and isinstance(node.func.value, ast.Name)
            ):
                launched.add(node.func.value.id)
    assert launched
    for target in TARGETS:
        assert launched == {one["kernel"] for one in launches if one["target"] == target}


def test_launches_say_all_that_their_kernel_takes(launches: list[dict[str, Any]]) -> None:
    for one in launches:
        assert list(one["signature"]) == one["names"]
        constants = {name for name, kind in one["signature"].items() if kind == "constexpr"}
        assert constants == set(one["constants"])
        assert constants.isdisjoint(one["aligned"])
    labels = [(one["target"], one["kernel"], one["configuration"]) for one in launches]
    assert len(set(labels)) == len(labels)


def test_each_kernel_is_checked_in_many_configurations(launches: list[dict[str, Any]]) -> None:
    """For every target as many; several dtypes, head sizes or widths, and options."""
    least = {
        "attention_forward": 17, "attention_backward_key_value": 17, "attention_backward_query": 17,
        "attention_delta": 12, "attention_row_statistics": 10, "attention_received": 10,
        "attention_rows_parts": 9, "norm_forward": 6, "norm_backward": 6, "norm_add_shares": 6,
        "embedding_norm_forward": 3, "embedding_norm_backward": 3, "embedding_add_runs": 3,
        "embedding_join_runs": 3, "linear_cross_entropy_statistics": 5, "linear_cross_entropy_losses": 3,
        "linear_cross_entropy_gradients": 7, "rotary_turn": 4, "glu_forward": 4, "glu_backward": 4,
        "squared_relu_forward": 1, "squared_relu_backward": 1,
    }  # fmt: skip
    for target in TARGETS:
        count = Counter(one["kernel"] for one in launches if one["target"] == target)
        assert {kernel: n for kernel, n in count.items() if n < least[kernel]} == {}


def test_launches_are_those_of_the_call(launches: list[dict[str, Any]]) -> None:
    """Types, absent tensors, strides of 1, alignment, and the target's own tile."""
    known = {(one["target"], one["kernel"], one["configuration"]): one for one in launches}
    plain, full = (
        known["sm_90", "attention_forward", f"D=64 {options}"]
        for options in ("fp16", "bf16 causal bias softcap dropout sink")
    )
    assert plain["signature"]["q"] == "*fp16"
    assert full["signature"]["q"] == "*bf16"
    assert {plain["constants"][name] for name in ("sink", "bias", "slopes")} == {None}
    assert {full["signature"][name] for name in ("sink", "bias")} == {"*fp32"}
    assert [full["constants"][name] for name in ("CAUSAL", "WINDOW", "DROPOUT", "stride_kd")] == [1, 0, 1, 1]
    assert {"q", "lse", "cu_seqlens_q", "stride_qt", "stride_qh"} <= set(plain["aligned"])
    tiles = {
        target: (
            known[target, "attention_forward", "D=64 fp16"]["constants"]["BLOCK_M"],
            known[target, "attention_forward", "D=64 fp16"]["options"]["num_warps"],
        )
        for target in TARGETS
    }
    assert tiles == {"sm_80": (128, 8), "sm_90": (128, 4), "sm_100": (128, 8), "gfx942": (128, 4)}


def test_recording_leaves_nothing_behind(answers: Answers) -> None:
    """Neither a target, nor a plan, nor a compiled kernel; also when the call fails."""
    assert answers["left behind"] == [{}]


def test_interpreted_kernels_are_refused() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    from xformer.kernels.compile.launch import record

    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("the kernels are not interpreted here")
    with pytest.raises(RuntimeError, match="kernels are interpreted: unset TRITON_INTERPRET"):
        record(HOPPER, "nothing", lambda: None)


def test_the_command_prints_a_table_as_it_goes() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    command = ("-m", "xformer.kernels.compile.check", "--target", "sm_90", "--kernel", "squared_relu_forward")
    done = compiling(*command, "--jobs", "1")
    assert done.returncode == 0, done.stderr
    heads, row, _, verdict = done.stdout.splitlines()
    assert heads.split()[:6] == ["kernel", "target", "configuration", "tile", "registers", "spilled"]
    assert row.split()[:2] == ["squared_relu_forward", "sm_90"]
    assert "1 launches: none spills" in verdict
    done = compiling(*command, "--json")
    assert json.loads(done.stdout)["occupancy"]["most"] == 64


def test_the_commands_refuse_unknown_kernels() -> None:
    """In one process, which imports and records once; its argument is the command's."""
    pytest.importorskip("triton", reason="triton is not installed")
    code = """
import sys
from xformer.cli import main
from xformer.kernels.compile import check
for command, arguments in ((check.main, []), (main, ["bench", "compile"])):
    try:
        command([*arguments, "--kernel", "atention"])
    except SystemExit as exit:
        assert exit.code == 2, exit.code
    else:
        raise AssertionError(command)
"""
    done = compiling("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("kernel: expected part of one of") == 2
    assert done.stderr.count("norm_forward") >= 2
