"""Who is right: results and gradients beside fp64, before anyone is timed.

Shapes: T tokens, H heads, D head size, N length of one sequence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .cases import AttentionCase
from .contenders import Attend, Contender, eager, pad, unpad

FORWARD = ("out",)
RESULTS = ("out", "dq", "dk", "dv")

# Of one sequence's fp64 scores, so that 16k tokens fit.
LARGEST_BLOCK = 2**27


@dataclass(frozen=True)
class Inputs:
    """What everyone is given, (T, H, D) each: queries, keys, values and the gradient of the output."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad: Tensor


@dataclass(frozen=True)
class Yardstick:
    """How far from fp64 plain PyTorch is in the same dtype, by result: `out`, `dq`, `dk`, `dv`.

    Attributes:
        own: its largest absolute differences.
        rounding: half a unit in the last place of the largest true value: what rounding alone may cost.
    """

    own: Mapping[str, float]
    rounding: Mapping[str, float]

    def multiple(self, errors: Mapping[str, float], names: tuple[str, ...]) -> tuple[float, str]:
        """The worst of `errors` over `names` as a multiple of PyTorch's, and its name; NaN is infinite."""
        multiples = {name: errors[name] / max(self.own[name], self.rounding[name]) for name in names}
        multiples = {name: math.inf if math.isnan(value) else value for name, value in multiples.items()}
        worst = max(names, key=multiples.__getitem__)
        return multiples[worst], worst

    def passes(self, errors: Mapping[str, float], names: tuple[str, ...]) -> bool:
        """FlashAttention's rule: no error above twice PyTorch's own, give or take the rounding of both."""
        return all(errors[name] <= 2 * (self.own[name] + self.rounding[name]) for name in names)


def draw(case: AttentionCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """Random inputs for a case, the same for the same seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    shape = (case.n_tokens, case.n_heads, case.d_head)
    return Inputs(*(torch.randn(shape, generator=generator).to(device, dtype) for _ in range(4)))


def results(contender: Contender, attend: Attend, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
    """Output and gradients of one contender, packed: `out`, `dq`, `dk`, `dv`, (T, H, D) each."""
    q, k, v, grad = (
        pad(x, case) if contender.padded else x for x in (inputs.q, inputs.k, inputs.v, inputs.grad)
    )
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    out = attend(*leaves)
    found = [out.detach(), *torch.autograd.grad(out, leaves, grad)]
    return {name: unpad(x, case) if contender.padded else x for name, x in zip(RESULTS, found, strict=True)}


def truth(case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
    """The same in fp64 by the formula, from the inputs as rounded, a sequence and a few heads at a time."""
    q, k, v, grad = (x.double() for x in (inputs.q, inputs.k, inputs.v, inputs.grad))
    found = {name: torch.empty_like(q) for name in RESULTS}
    start = 0
    for length in case.lengths:
        rows = slice(start, start + length)
        start += length
        step = max(1, LARGEST_BLOCK // length**2)
        for first in range(0, case.n_heads, step):
            block = (rows, slice(first, first + step))
            values = _one_sequence(q[block], k[block], v[block], grad[block], case.causal)
            for name, value in zip(RESULTS, values, strict=True):
                found[name][block] = value
    return found


def largest_errors(found: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference of each result; NaN where one is not a number."""
    return {name: float((found[name].double() - true[name]).abs().max()) for name in RESULTS}


def yardstick(case: AttentionCase, inputs: Inputs, true: Mapping[str, Tensor]) -> Yardstick:
    """Measure plain PyTorch in the inputs' dtype."""
    judge = eager()
    attend = judge.prepare(case, inputs.q.device)
    own = largest_errors(results(judge, attend, case, inputs), true)
    half = torch.finfo(inputs.q.dtype).eps / 2
    return Yardstick(own, {name: half * float(true[name].abs().max()) for name in RESULTS})


def _one_sequence(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, causal: bool) -> list[Tensor]:
    """Attention of one sequence, (N, H, D) each, and its gradients by hand: no tape, so that they fit."""
    q, k, v, grad = (x.transpose(0, 1) for x in (q, k, v, grad))
    scale = 1 / math.sqrt(q.shape[-1])
    score = q @ k.transpose(1, 2) * scale
    if causal:
        score.masked_fill_(score.new_ones(score.shape[1:], dtype=torch.bool).triu(1), float("-inf"))
    weight = torch.softmax(score, dim=-1)
    out = weight @ v
    grad_weight = grad @ v.transpose(1, 2)
    grad_score = weight * (grad_weight - (grad * out).sum(-1, keepdim=True)) * scale
    found = (out, grad_score @ k, grad_score.transpose(1, 2) @ q, weight.transpose(1, 2) @ grad)
    return [x.transpose(0, 1) for x in found]
