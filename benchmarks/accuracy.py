"""Who is right: results and gradients beside fp64, before anyone is timed.

Shapes: T tokens, H heads, D head size, L length of one sequence, b sequences of that length, X = b·H.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .cases import AttentionCase
from .contenders import Attend, Contender, pad, unpad

FORWARD = ("out",)
RESULTS = ("out", "dq", "dk", "dv")

# Attention weights computed at a time: 1 GiB of them in fp64, so that sequences of 16k tokens fit.
LARGEST_BLOCK = 2**27

Compute = Callable[[Tensor, Tensor, Tensor, Tensor, bool], list[Tensor]]


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
    """The same in fp64, from the inputs as rounded, with gradients worked out by hand."""
    exact = Inputs(inputs.q.double(), inputs.k.double(), inputs.v.double(), inputs.grad.double())
    return _by_block(case, exact, _by_hand)


def largest_errors(found: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference of each result; NaN where one is not a number."""
    return {name: float((found[name].double() - true[name]).abs().max()) for name in RESULTS}


def yardstick(case: AttentionCase, inputs: Inputs, true: Mapping[str, Tensor]) -> Yardstick:
    """Measure plain PyTorch and its autograd, in the inputs' dtype, without padding."""
    own = largest_errors(_by_block(case, inputs, _by_autograd), true)
    half = torch.finfo(inputs.q.dtype).eps / 2
    return Yardstick(own, {name: half * float(true[name].abs().max()) for name in RESULTS})


def _by_block(case: AttentionCase, inputs: Inputs, compute: Compute) -> dict[str, Tensor]:
    """Output and gradients, (T, H, D) each, a block of equal lengths at a time and no more than fits."""
    found = {name: torch.empty_like(inputs.q) for name in RESULTS}
    start = 0
    for length, run in itertools.groupby(case.lengths):
        n_tokens = length * sum(1 for _ in run)
        rows = slice(start, start + n_tokens)
        start += n_tokens
        # (b·L, H, D) → (b·H, L, D)
        whole = [
            x[rows].unflatten(0, (-1, length)).transpose(1, 2).flatten(0, 1)
            for x in (inputs.q, inputs.k, inputs.v, inputs.grad)
        ]
        size = max(1, LARGEST_BLOCK // length**2)
        q, k, v, grad = (x.split(size) for x in whole)
        blocks = [compute(*block, case.causal) for block in zip(q, k, v, grad, strict=True)]
        for name, part in zip(RESULTS, zip(*blocks, strict=True), strict=True):
            value = torch.cat(part).unflatten(0, (-1, case.n_heads)).transpose(1, 2).flatten(0, 1)
            found[name][rows] = value
    return found


def _by_hand(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, causal: bool) -> list[Tensor]:
    """Attention and its gradients over (X, L, D), by the formula."""
    scale = 1 / math.sqrt(q.shape[-1])
    weight = _weight(q, k, scale, causal)
    out = weight @ v
    grad_score = weight * (grad @ v.transpose(1, 2) - (grad * out).sum(-1, keepdim=True)) * scale
    return [out, grad_score @ k, grad_score.transpose(1, 2) @ q, weight.transpose(1, 2) @ grad]


def _by_autograd(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, causal: bool) -> list[Tensor]:
    """Attention over (X, L, D) as anyone would write it, and the gradients of that."""
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    out = _weight(leaves[0], leaves[1], 1 / math.sqrt(q.shape[-1]), causal) @ leaves[2]
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def _weight(q: Tensor, k: Tensor, scale: float, causal: bool) -> Tensor:
    score = q @ k.transpose(1, 2) * scale
    if causal:
        future = torch.ones(score.shape[1:], dtype=torch.bool, device=q.device).triu(1)
        score = score.masked_fill(future, float("-inf"))
    return torch.softmax(score, dim=-1)
