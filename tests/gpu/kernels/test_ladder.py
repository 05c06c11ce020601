"""The rungs on a real GPU: bf16 too, default tiles, long and ragged batches."""

from __future__ import annotations

from itertools import accumulate

import pytest
import torch
from torch import Tensor

from xformer.benchmarks.kernels.operations.lengths import messages
from xformer.kernels import attention
from xformer.kernels.ladder.rungs import torch_rungs, triton_rungs
from xformer.kernels.testing import Error

pytestmark = pytest.mark.gpu

RUNGS = ("naive", "recurrence", "online_softmax", "exp2", "tiles", "descriptors", "persistent")
LENGTHS = {"ragged": (*messages().draw(300, 512), 0, 0), "long": (2049, 1000, 128, 1), "short": (8,) * 200}


def draw(
    lengths: tuple[int, ...], n_heads: int, head_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k, v and cu_seqlens."""
    random = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, sum(lengths), n_heads, head_size, generator=random).to("cuda", dtype)
    return q, k, v, torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device="cuda")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("head_size", [32, 64, 72, 128])
@pytest.mark.parametrize("batch", LENGTHS)
@pytest.mark.parametrize("name", RUNGS)
def test_keeps_the_rule(name: str, batch: str, head_size: int, dtype: torch.dtype) -> None:
    attend = {rung.name: rung.attend for rung in (*torch_rungs(), *triton_rungs())}[name]
    q, k, v, starts = draw(LENGTHS[batch], 3, head_size, dtype)
    exact = attention(q.double(), k.double(), v.double(), starts, backend="reference")
    eager = attention(q, k, v, starts, backend="reference").double() - exact
    off = attend(q, k, v, starts, max(LENGTHS[batch])).double() - exact
    error = Error(float(off.abs().max()), float(eager.abs().max()), float(exact.abs().max()))
    assert error.passes, error


@pytest.mark.parametrize("name", RUNGS)
def test_runs_are_bitwise_repeatable(name: str) -> None:
    attend = {rung.name: rung.attend for rung in (*torch_rungs(), *triton_rungs())}[name]
    q, k, v, starts = draw(LENGTHS["ragged"], 4, 64, torch.float16)
    first = attend(q, k, v, starts, max(LENGTHS["ragged"]))
    assert all(torch.equal(attend(q, k, v, starts, max(LENGTHS["ragged"])), first) for _ in range(5))
