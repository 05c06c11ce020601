"""Every rung means the same, each adds what it says it adds, and the document that climbs them runs.

Covers all of xformer.kernels.ladder.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.kernels.attention_accuracy import Problem, draw, solve
from xformer.kernels import attention
from xformer.kernels.device import INTERPRETER
from xformer.kernels.ladder import backward, naive
from xformer.kernels.ladder.counted import Ledger, hot_loop, kernel_traffic, torch_traffic
from xformer.kernels.ladder.rungs import Attend, torch_rungs, triton_rungs
from xformer.kernels.testing import Error

TRITON = ("online_softmax", "exp2", "tiles", "descriptors", "persistent")
RUNGS = ("naive", "recurrence", *TRITON)
# Several blocks and a rest, whole blocks, none, one over a block, one token.
LENGTHS = (70, 64, 0, 33, 1, 0)
# The same where a program takes a single query, of which the interpreter does a hundred in a second.
FEW = (66, 0, 3, 1)
# The same where a block of keys is 128.
MANY = (300, 128, 0, 5)


@pytest.fixture
def rungs(triton_device: torch.device) -> dict[str, Attend]:
    return {rung.name: rung.attend for rung in (*torch_rungs(), *triton_rungs())}


def inputs(
    lengths: tuple[int, ...], device: torch.device, dtype: torch.dtype = torch.float32, head_size: int = 24
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k, v of two heads and cu_seqlens."""
    random = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, sum(lengths), 2, head_size, generator=random).to(device, dtype)
    return q, k, v, torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


def test_the_ladder_is_complete(rungs: dict[str, Attend]) -> None:
    assert tuple(rungs) == RUNGS


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("name", RUNGS)
def test_each_rung_keeps_the_rule(
    name: str,
    dtype: torch.dtype,
    rungs: dict[str, Attend],
    triton_device: torch.device,
    poisoned_memory: list[int],
) -> None:
    lengths = FEW if name in ("online_softmax", "exp2") else LENGTHS if name in TRITON else MANY
    q, k, v, starts = inputs(lengths, triton_device, dtype)
    before = [x.clone() for x in (q, k, v)]
    exact = attention(q.double(), k.double(), v.double(), starts, backend="reference")
    eager = attention(q, k, v, starts, backend="reference").double() - exact
    found = rungs[name](q, k, v, starts, max(lengths))
    assert poisoned_memory[0] >= 1
    assert found.dtype == dtype
    off = (found.double() - exact).abs().max()
    error = Error(float(off), float(eager.abs().max()), float(exact.abs().max()))
    assert error.passes, error
    assert all(torch.equal(x, old) for x, old in zip((q, k, v), before, strict=True))


@pytest.mark.parametrize("name", RUNGS)
def test_nothing_to_attend_over(name: str, rungs: dict[str, Attend], triton_device: torch.device) -> None:
    for lengths in ((), (0,), (0, 0)):
        q, k, v, starts = inputs(lengths, triton_device)
        assert rungs[name](q, k, v, starts, 0).shape == (0, 2, 24)


@pytest.mark.parametrize("name", RUNGS)
@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_sequence_does_not_feel_its_neighbour(
    name: str, rungs: dict[str, Attend], triton_device: torch.device
) -> None:
    q, k, v, starts = inputs((9, 10), triton_device, head_size=8)
    alone = rungs[name](q, k, v, starts, 10)
    for x in (q, k, v):
        x[9:] = float("nan")
    beside_nan = rungs[name](q, k, v, starts, 10)
    assert torch.equal(beside_nan[:9], alone[:9])
    assert beside_nan[9:].isnan().all()


@pytest.mark.parametrize("name", RUNGS)
def test_great_scores_do_not_overflow(
    name: str, rungs: dict[str, Attend], triton_device: torch.device
) -> None:
    q, k, v, starts = inputs((20,), triton_device, head_size=8)
    exact = attention(q.double() * 100, k.double(), v.double(), starts, backend="reference")
    found = rungs[name](q * 100, k, v, starts, 20)
    assert torch.allclose(found.double(), exact, atol=1e-3)


@pytest.mark.parametrize("name", RUNGS)
def test_refuses_what_it_cannot_read(
    name: str, rungs: dict[str, Attend], triton_device: torch.device
) -> None:
    q, k, v, starts = inputs((4,), triton_device)
    with pytest.raises(ValueError, match=r"q: expected contiguous"):
        rungs[name](q.transpose(0, 1), k, v, starts, 4)
    with pytest.raises(ValueError, match=r"v: expected contiguous .* all three equal"):
        rungs[name](q, k, v[:, :1].contiguous(), starts, 4)
    with pytest.raises(ValueError, match=r"q: expected float32.* got torch.float64"):
        rungs[name](q.double(), k.double(), v.double(), starts, 4)
    with pytest.raises(ValueError, match=r"max_length: expected a length from 0, got -1"):
        rungs[name](q, k, v, starts, -1)
    with pytest.raises(ValueError, match=r"cu_seqlens: expected at most 65535 sequences.* got 65536"):
        rungs[name](q, k, v, starts.new_zeros(65537), 4)


@pytest.mark.parametrize("name", ["descriptors", "persistent"])
def test_the_copy_engine_wants_aligned_rows(
    name: str, rungs: dict[str, Attend], triton_device: torch.device
) -> None:
    q, k, v, starts = inputs((4,), triton_device, torch.float16, head_size=20)
    with pytest.raises(ValueError, match="expected rows of a multiple of 16 bytes, beginning at one, got 40"):
        rungs[name](q, k, v, starts, 4)
    assert rungs["tiles"](q, k, v, starts, 4).isfinite().all()


def test_work_items_are_those_that_exist() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    from xformer.kernels.ladder.persistent import item_ends

    starts = torch.tensor([0, *accumulate(LENGTHS)])
    assert item_ends(starts, 2, 32).tolist() == [
        6,
        10,
        10,
        14,
        16,
        16,
    ]  # 3, 2, 0, 2, 1, 0 blocks of two heads


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("way", ["stored", "one_walk", "two_walks"])
def test_each_way_back_keeps_the_rule(way: str, dtype: torch.dtype) -> None:
    problem = draw(Problem((200, 128, 0, 5), head_size=24, dtype=dtype))
    arguments = {
        **problem.leaves,
        "grad_out": problem.grad_out,
        "cu_seqlens": problem.arguments["cu_seqlens_q"],
    }
    problem.grad_lse.zero_()
    exact, eager = solve(problem.to(torch.float64), "reference"), solve(problem, "reference")
    found = getattr(backward, way)(**{name: x.contiguous() for name, x in arguments.items()})
    for name, grad in zip(("grad_q", "grad_k", "grad_v"), found, strict=True):
        off, plain = ((x.double() - exact[name]).abs().max() for x in (grad, eager[name]))
        error = Error(float(off), float(plain), float(exact[name].abs().max()))
        assert error.passes, (name, error)


@contextmanager
def counted_bytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Bytes of half precision that interpreted kernels read and write, without masked elements."""
    from triton.runtime.interpreter import InterpreterBuilder

    count = {"read": 0, "written": 0}
    load, store = InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store

    def counted_load(self: Any, ptrs: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        if ptrs.get_element_ty().primitive_bitwidth == 16:
            count["read"] += 2 * int(np.asarray(mask.data).sum())
        return load(self, ptrs, mask, *rest, **named)

    def counted_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        count["written"] += 2 * int(np.asarray(mask.data).sum())
        return store(self, ptrs, value, mask, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(InterpreterBuilder, "create_masked_load", counted_load)
        patch.setattr(InterpreterBuilder, "create_masked_store", counted_store)
        yield count


@pytest.mark.parametrize("name", TRITON)
def test_counted_traffic_is_what_a_kernel_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("the kernels are not interpreted; only the interpreter counts bytes")
    rung = next(rung for rung in triton_rungs() if rung.name == name)
    q, k, v, starts = inputs((70,), torch.device("cpu"), torch.float16, head_size=64)
    with counted_bytes(monkeypatch) as count:
        rung.attend(q[:, :1].contiguous(), k[:, :1].contiguous(), v[:, :1].contiguous(), starts, 70)
    traffic = kernel_traffic(rung.queries(INTERPRETER, 64), 70, 64)
    assert sum(count.values()) == traffic.requested
    assert count["written"] == 70 * 64 * 2


def test_the_ledger_counts_what_operators_move() -> None:
    x = torch.zeros(4, 8)
    with Ledger() as ledger:
        product = x @ x.T  # reads 2 * 128 bytes, writes 64
        product.add_(1.0)  # reads and writes in place: one operand
        del product
        x + 1.0  # 128 and 128
    assert ledger.moved == 2 * 128 + 64 + 64 + 128 + 128
    assert ledger.peak == 128
    assert ledger.alive == 0


def test_memory_grows_with_the_square_or_with_the_length() -> None:
    from xformer.kernels.ladder import recurrence

    for attend, factor in ((naive.attend, 16), (recurrence.attend, 4)):
        short, long = (torch_traffic(attend, n, 64).peak for n in (2048, 8192))
        assert factor * 0.9 < long / short <= factor


# One head size of what `python -m xformer.kernels.ladder` prints.
COMPILE = """
import dataclasses, json
from xformer.kernels.device import AMPERE, HOPPER
from xformer.kernels.ladder.counted import machine
from xformer.kernels.ladder.rungs import triton_rungs
for rung in triton_rungs():
    for target in (HOPPER, AMPERE) if rung.name == "descriptors" else (HOPPER,):
        print(json.dumps({"rung": rung.name, **dataclasses.asdict(machine(rung, target, 64))}), flush=True)
"""


@pytest.fixture(scope="module")
def compiled(repository: Path) -> dict[tuple[str, str], dict[str, Any]]:
    pytest.importorskip("triton", reason="triton is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", COMPILE]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["rung"], row["target"]): row for row in rows}


@pytest.mark.slow
def test_each_rung_compiles_without_spilling(compiled: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert {rung for rung, target in compiled if target == "sm_90"} == set(TRITON)
    assert all(row["spilled"] == 0 for row in compiled.values())


@pytest.mark.slow
def test_each_rung_changes_the_code_as_it_says(compiled: dict[tuple[str, str], dict[str, Any]]) -> None:
    online, exp2, tiles, descriptors, persistent = (compiled[name, "sm_90"] for name in TRITON)
    kinds = [row["kinds"] for row in (online, exp2, tiles, descriptors, persistent)]
    assert kinds[1]["powers"] == kinds[0]["powers"]
    assert kinds[1]["multiply and add"] < kinds[0]["multiply and add"]
    assert kinds[1]["compare"] < kinds[0]["compare"]
    assert [kind["matrix products"] > 0 for kind in kinds] == [False, False, True, True, True]
    assert exp2["per_weight"] > 50 * tiles["per_weight"]
    assert [kind["loads by threads"] > 0 for kind in kinds] == [True, True, True, False, False]
    assert [kind["loads by the copy engine"] > 0 for kind in kinds] == [False, False, False, True, True]
    assert descriptors["registers"] < tiles["registers"]
    # About one power a weight: the rest are the rescales, one a row and block of 64 keys.
    assert all(1 < kind["powers"] < 1.1 for kind in kinds[2:])


@pytest.mark.slow
def test_programs_of_the_persistent_grid_fit(compiled: dict[tuple[str, str], dict[str, Any]]) -> None:
    from xformer.kernels.ladder.persistent import PROGRAMS

    assert compiled["persistent", "sm_90"]["programs"] == PROGRAMS[4]


@pytest.mark.slow
def test_without_a_copy_engine_threads_load(compiled: dict[tuple[str, str], dict[str, Any]]) -> None:
    row = compiled["descriptors", "sm_80"]["kinds"]
    assert row["loads by threads"] > 0
    assert row["loads by the copy engine"] == 0


def test_the_hot_loop_is_the_shortest_that_raises_powers() -> None:
    code = """
    .L_x_0:
            /*0010*/                   MOV R1, c[0x0][0x28] ;
    .L_x_1:
            /*0020*/                   MUFU.EX2 R2, R2 ;
            /*0030*/              @!P0 FFMA R3, R2, R2, R3 ;
            /*0040*/               @P1 BRA `(.L_x_1) ;
            /*0050*/                   BRA `(.L_x_0) ;
    .L_x_2:
            /*0060*/                   BRA `(.L_x_2) ;
    """
    assert hot_loop(code) == ["MUFU.EX2", "FFMA", "BRA"]
    with pytest.raises(RuntimeError, match="no loop that raises powers"):
        hot_loop(code.replace("MUFU.EX2", "MUFU.RCP"))


@pytest.mark.slow
def test_the_command_counts_as_json(repository: Path) -> None:
    command = [sys.executable, "-m", "xformer.kernels.ladder", "--json"]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "machine code not counted: triton is not installed, or TRITON_INTERPRET=1 is set" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["rung"] for row in rows} >= {"naive", "recurrence"}
    assert all(row["what"] == "traffic" and row["intensity"] > 0 for row in rows)


def test_the_figures_are_those_of_the_script(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    script = repository / "docs/figures/draw.py"
    module: dict[str, Any] = {"__file__": str(tmp_path / "draw.py"), "__name__": "draw"}
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), module)
    module["main"]()
    for drawn in sorted(tmp_path.iterdir()):
        assert drawn.read_bytes() == (script.parent / drawn.name).read_bytes(), "run docs/figures/draw.py"
    assert len(list(tmp_path.iterdir())) == 3


def test_the_document_runs(repository: Path) -> None:
    """Every Python block of docs/kernels.md, in order, as one program; they compare with autograd."""
    text = (repository / "docs/kernels.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    exec(compile("\n".join(blocks), "docs/kernels.md", "exec"), {})
