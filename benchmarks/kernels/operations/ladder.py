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

from ..operation import Amount, Contender, DeviceKind, Inputs, Operation, Prepared, random_normal
from ..record import Direction
from .attention_cases import CPU_TOKENS, GPU_TOKENS, AttentionCase, dense, ragged
from .attention_peers import attention_contenders, boundaries
from .attention_truth import by_autograd, by_hand
from .lengths import messages

BESIDE = ("xformer triton", "xformer torch", "eager")
KERNELS = ("online_softmax", "exp2", "tiles", "descriptors", "persistent")
BACKWARD = (backward.stored, backward.one_walk, backward.two_walks)


class Ladder(Operation[AttentionCase]):
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

    def draw(self, case: AttentionCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw q, k, v and the gradient of out, which the others need: (T, H, D) each."""
        normal = random_normal(seed, dtype, device)
        shape = (case.n_tokens, case.n_heads, case.d_head)
        return Inputs({name: normal(*shape) for name in "qkv"}, {}, {"out": normal(*shape)})

    def truth(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """The result by the equations, in fp64."""
        return {"out": by_hand(case, inputs.double())["out"]}

    def plain(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """The formula."""
        return {"out": by_autograd(case, inputs)["out"]}

    def amount(self, case: AttentionCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """Counted by the pairs of query and key."""
        return case.amount(dtype, direction)

    def tiny(self, case: AttentionCase) -> AttentionCase:
        """Two short sequences."""
        return case.tiny()


class LadderBackward(Ladder):
    """The operation `ladder_backward`: the second ladder, whose rungs are PyTorch on any device."""

    name = "ladder_backward"
    directions: tuple[Direction, ...] = ("backward",)

    def contenders(self) -> Sequence[Contender[AttentionCase]]:
        """`xformer.kernels.attention` and the formula, then the three ways of `backward.py`."""
        ways = (Contender(f"rung {way.__name__}", partial(_backward_rung, way)) for way in BACKWARD)
        return [*_beside(), *ways]

    def truth(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """The result by the equations, in fp64."""
        return by_hand(case, inputs.double())

    def plain(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """The formula."""
        return by_autograd(case, inputs)


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
    q = inputs.leaves["q"]
    if q.dtype == torch.float64:
        raise NotImplementedError("the ladder has no float64")
    starts, longest = boundaries(case, q.device), case.lengths[0]

    def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = _Differentiated.apply(way, q, k, v, starts, longest)
        return out

    return Prepared(call, inputs.leaves, list(inputs.grads.values()), ("out",))


def _rung(name: str, case: AttentionCase, inputs: Inputs) -> Prepared:
    q = inputs.leaves["q"]
    if q.dtype == torch.float64:
        raise NotImplementedError("the ladder has no float64")
    if name in KERNELS and q.device.type == "cpu":
        raise NotImplementedError("a kernel for GPUs; its time in Triton's interpreter has no meaning")
    known = rungs.triton_rungs() if name in KERNELS else rungs.torch_rungs()
    attend = next(rung.attend for rung in known if rung.name == name)
    starts = boundaries(case, q.device)
    longest = case.lengths[0]
    return Prepared(lambda q, k, v: attend(q, k, v, starts, longest), inputs.leaves, (), ("out",))
