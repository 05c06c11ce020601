"""The operations `ladder` and `ladder_backward`: the rungs of `docs/kernels.md`, beside our attention kernel.

Shapes: T tokens, B sequences, H heads, D head size, N length of the longest sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xformer.kernels.ladder import backward, recurrence, rungs

from ..operation import Contender, DeviceKind, Inputs, Prepared
from ..record import Direction
from .attention import Attention
from .attention_cases import CPU_TOKENS, GPU_TOKENS, AttentionCase, dense, ragged
from .attention_peers import attention_contenders, boundaries
from .lengths import messages

BESIDE = ("xformer triton", "xformer torch", "eager")
KERNELS = ("online_softmax", "exp2", "tiles", "descriptors", "persistent")
BACKWARD = (backward.stored, backward.one_walk, backward.two_walks)


class Ladder(Attention):
    """The operation `ladder`."""

    name = "ladder"
    directions: tuple[Direction, ...] = ("forward",)
    gpu_seconds = 20.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[AttentionCase]:
        """Long rows, short rows, and the lengths of messages."""
        if quick:
            return [dense(128, 256, 4, 64)]
        if kind == "cpu":
            return [dense(2048, CPU_TOKENS, 4, 64), ragged(messages(), CPU_TOKENS, 4, 64)]
        return [
            dense(2048, GPU_TOKENS, 12, 64),
            ragged(messages(), GPU_TOKENS, 12, 64),
            dense(512, GPU_TOKENS, 12, 64),
            dense(2048, GPU_TOKENS, 12, 128),
        ]

    def contenders(self) -> Sequence[Contender[AttentionCase]]:
        """`xformer.kernels.attention` and the formula, then the rungs from the lowest."""
        names = [rung.name for rung in rungs.torch_rungs()] + list(KERNELS)
        return [*_beside(), *(Contender(f"rung {name}", partial(_rung, name)) for name in names)]


class LadderBackward(Ladder):
    """The operation `ladder_backward`: the second ladder, whose rungs are PyTorch on any device."""

    name = "ladder_backward"
    directions: tuple[Direction, ...] = ("backward",)

    def contenders(self) -> Sequence[Contender[AttentionCase]]:
        """`xformer.kernels.attention` and the formula, then the three ways of `backward.py`."""
        ways = (Contender(f"rung {way.__name__}", partial(_backward_rung, way)) for way in BACKWARD)
        return [*_beside(), *ways]


class _Differentiated(torch.autograd.Function):
    """Rung 1, with one of the ways of `backward.py` as its backward pass."""

    @staticmethod
    def forward(ctx: Any, way: Any, q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int) -> Tensor:
        ctx.save_for_backward(q, k, v, starts)
        ctx.way = way
        return recurrence.attend(q, k, v, starts, longest)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, starts = ctx.saved_tensors
        return None, *ctx.way(q, k, v, grad, starts), None, None


def _beside() -> list[Contender[AttentionCase]]:
    return [each for each in attention_contenders() if each.name in BESIDE]


def _backward_rung(way: Any, case: AttentionCase, inputs: Inputs) -> Prepared:
    starts, longest = _starts(case, inputs), case.lengths[0]

    def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = _Differentiated.apply(way, q, k, v, starts, longest)
        return out

    return inputs.prepared(call)


def _rung(name: str, case: AttentionCase, inputs: Inputs) -> Prepared:
    starts, longest = _starts(case, inputs), case.lengths[0]
    if name in KERNELS and starts.device.type == "cpu":
        raise NotImplementedError("a kernel for GPUs; its time in Triton's interpreter has no meaning")
    known = rungs.triton_rungs() if name in KERNELS else rungs.torch_rungs()
    attend = next(rung.attend for rung in known if rung.name == name)
    return Prepared(lambda q, k, v: attend(q, k, v, starts, longest), inputs.leaves, (), ("out",))


def _starts(case: AttentionCase, inputs: Inputs) -> Tensor:
    """The boundaries of the packed sequences.

    Raises:
        NotImplementedError: the inputs have a dtype that the ladder does not take.
    """
    q = inputs.leaves["q"]
    if q.dtype == torch.float64:
        raise NotImplementedError("the ladder has no float64")
    return boundaries(case, q.device)
