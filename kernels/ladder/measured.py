"""What can be timed: the rungs side by side on the same work, after each was held against fp64.

Shapes: T tokens, B sequences, H heads, D head size, N tokens of one sequence.

On a GPU all rungs are timed. On a CPU only those of PyTorch: how long Triton's interpreter takes for a kernel
says nothing about the kernel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist, quantiles
from typing import Literal

import torch
from torch import Tensor

from ..attention import attention
from ..testing import Error
from . import backward
from .counted import Ledger
from .rungs import Rung, torch_rungs, triton_rungs

# A message of the gettext corpus has 8 subwords at the median, and 68 at the 99th percentile. A log-normal
# distribution with these two has their true mean, 12, as well.
MEDIAN_LENGTH = 8.0
SPREAD = 0.92
MOST_ROUNDS = 30
SECONDS = 1.5
BACKWARD_OPERATIONS = 2.5
CACHE_BYTES = 2**29


@dataclass(frozen=True)
class Workload:
    """A batch to attend over.

    Attributes:
        name: of it.
        lengths: tokens of each sequence, longest first.
        n_heads: H.
        head_size: D.
    """

    name: str
    lengths: tuple[int, ...]
    n_heads: int
    head_size: int

    @property
    def operations(self) -> int:
        """4 N² D for each sequence and head: what has to be done, whoever does it."""
        return 4 * self.n_heads * self.head_size * sum(n * n for n in self.lengths)


@dataclass(frozen=True)
class Step:
    """One rung on one workload.

    Attributes:
        rung: its name.
        direction: `forward` or `backward`.
        workload: its name.
        dtype: of q, k and v.
        status: `ok`, or `wrong` and not timed.
        error_multiple: its error against fp64 over that of PyTorch's plain computation.
        seconds: p20, p50 and p80 of a call.
        operations_per_second: useful ones, at p50: `Workload.operations`, and 2.5 times that for a backward
            pass, five products for two.
        peak_bytes: greatest extra memory during a call: allocated on a GPU, of tensors alive on a CPU.
        rounds: calls that were timed.
    """

    rung: str
    direction: Literal["forward", "backward"]
    workload: str
    dtype: str
    status: Literal["ok", "wrong"]
    error_multiple: float
    seconds: dict[str, float] | None
    operations_per_second: float | None
    peak_bytes: int
    rounds: int


def workloads(device: torch.device) -> tuple[Workload, ...]:
    """A dense batch and a ragged one, of a size for the device."""
    if device.type == "cuda":
        return Workload("dense", (2048,) * 8, 12, 64), Workload("ragged", ragged_lengths(4096), 12, 64)
    return Workload("dense", (2048,), 4, 64), Workload("ragged", ragged_lengths(128), 4, 64)


def ragged_lengths(n_sequences: int) -> tuple[int, ...]:
    """Lengths as real messages have them, longest first; the same at each call."""
    normal = NormalDist()
    places = ((i + 0.5) / n_sequences for i in reversed(range(n_sequences)))
    return tuple(max(1, round(MEDIAN_LENGTH * 2.718281828 ** (SPREAD * normal.inv_cdf(p)))) for p in places)


def measure_forward(
    workload: Workload, device: torch.device, dtype: torch.dtype, rungs: Sequence[Rung] | None = None
) -> Iterator[Step]:
    """Each rung on a workload: first its error, then its time.

    Args:
        workload: what to do.
        device: where.
        dtype: of q, k and v.
        rungs: which; those that can be timed on the device if None.

    Yields:
        One step a rung, as they come.
    """
    if rungs is None:
        rungs = (*torch_rungs(), *(triton_rungs() if device.type == "cuda" else ()))
    (q, k, v, _), starts = draw(workload, device, dtype)
    exact = attention(q.double(), k.double(), v.double(), starts, backend="reference")
    eager = _distance(attention(q, k, v, starts, backend="reference"), exact)
    for rung in rungs:

        def work(rung: Rung = rung) -> tuple[Tensor, ...]:
            return (rung.attend(q, k, v, starts, workload.lengths[0]),)

        error = Error(_distance(work()[0], exact), eager, float(exact.abs().max()))
        yield _step(rung.name, "forward", workload, device, dtype, error, work)


def measure_backward(workload: Workload, device: torch.device, dtype: torch.dtype) -> Iterator[Step]:
    """The three ways of `backward.py`, which are PyTorch on any device. Arguments as in `measure_forward`."""
    (q, k, v, grad), starts = draw(workload, device, dtype)
    exact = _gradients(q.double(), k.double(), v.double(), grad.double(), starts)
    eager = _gradients(q, k, v, grad, starts)
    for function in (backward.stored, backward.one_walk, backward.two_walks):

        def work(function: Callable[..., tuple[Tensor, ...]] = function) -> tuple[Tensor, ...]:
            return function(q, k, v, grad, starts)

        found = [
            Error(_distance(ours, e), _distance(plain, e), float(e.abs().max()))
            for ours, plain, e in zip(work(), eager, exact, strict=True)
        ]
        worst = max(found, key=lambda error: error.found / error.allowed)
        yield _step(function.__name__, "backward", workload, device, dtype, worst, work)


def draw(
    workload: Workload, device: torch.device, dtype: torch.dtype
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Random q, k, v and gradient of the output, each (T, H, D), and cu_seqlens; the same at each call."""
    random = torch.Generator().manual_seed(0)
    shape = (sum(workload.lengths), workload.n_heads, workload.head_size)
    q, k, v, grad = (torch.randn(shape, generator=random).to(device, dtype) for _ in range(4))
    starts = torch.tensor([0, *accumulate(workload.lengths)], dtype=torch.int32, device=device)
    return (q, k, v, grad), starts


def _step(
    name: str,
    direction: Literal["forward", "backward"],
    workload: Workload,
    device: torch.device,
    dtype: torch.dtype,
    error: Error,
    work: Callable[[], tuple[Tensor, ...]],
) -> Step:
    seconds, rounds = _time(work, device) if error.passes else (None, 0)
    operations = workload.operations * (1.0 if direction == "forward" else BACKWARD_OPERATIONS)
    return Step(
        rung=name,
        direction=direction,
        workload=workload.name,
        dtype=str(dtype).removeprefix("torch."),
        status="ok" if error.passes else "wrong",
        error_multiple=error.found / error.eager if error.eager else float("inf"),
        seconds=seconds,
        operations_per_second=None if seconds is None else operations / seconds["p50"],
        peak_bytes=_peak(work, device),
        rounds=rounds,
    )


def _time(work: Callable[[], object], device: torch.device) -> tuple[dict[str, float], int]:
    """Quantiles of the seconds of a call, and how many were timed in about `SECONDS`."""
    taken: list[float] = []
    # While it is overwritten the host gets ahead, so that its own time is not counted; and the cache is cold.
    cache = torch.empty(CACHE_BYTES if device.type == "cuda" else 0, dtype=torch.int8, device=device)
    began = time.perf_counter()
    while len(taken) < 3 or (len(taken) < MOST_ROUNDS and time.perf_counter() - began < SECONDS):
        if device.type == "cuda":
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            cache.zero_()
            start.record()
            work()
            stop.record()
            torch.cuda.synchronize(device)
            taken.append(start.elapsed_time(stop) / 1e3)
        else:
            start_time = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start_time)
    fifths = quantiles(taken, n=5, method="inclusive")
    middle = quantiles(taken, n=2, method="inclusive")[0]
    return {"p20": fifths[0], "p50": middle, "p80": fifths[3]}, len(taken)


def _peak(work: Callable[[], object], device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with Ledger() as ledger:
        work()
    return ledger.peak


def _gradients(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, starts: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    out = attention(leaves[0], leaves[1], leaves[2], starts, backend="reference")
    return torch.autograd.grad(out, leaves, grad)


def _distance(found: Tensor, exact: Tensor) -> float:
    return float((found.to(exact.dtype) - exact).abs().max())
