"""The operation `attention_statistics`: statistics of each row of the weights, beside plain attention.

Shapes: T tokens, H heads, D head size, L length of one sequence, b sequences of that length, X = b·H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from xformer.kernels import attention, attention_statistics

from ..operation import (
    COMPILE,
    Amount,
    Backend,
    Contender,
    DeviceKind,
    Inputs,
    Operation,
    Prepared,
    eager_and_compiled,
    our_contenders,
    random_normal,
)
from ..record import Direction
from .attention_cases import CPU_TOKENS, GPU_TOKENS, AttentionCase, dense, ragged
from .attention_peers import boundaries
from .attention_truth import blocks
from .lengths import descriptions, messages

ROWS = ("entropy", "largest", "distance", "marked_mass")
STATISTICS = (*ROWS, "received")
MARKED = 8
"""Every eighth token of a sequence is marked, from the first on."""


class AttentionStatistics(Operation[AttentionCase]):
    """The operation `attention_statistics`.

    Implementations called `… forward` are plain attention. The sums of the weights that keys receive take a
    second pass over the scores: implementations called `… rows` leave them out.
    """

    name = "attention_statistics"
    directions = ("forward",)
    gpu_seconds = 28.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[AttentionCase]:
        """Dense and ragged cases of attention."""
        n = GPU_TOKENS if kind == "cuda" else CPU_TOKENS
        if quick:
            return [dense(128, n // 8, 4, 64)]
        if kind == "cpu":
            lengths = [dense(length, n, 4, 64) for length in (512, 128, 2048)]
            return [ragged(messages(), n, 4, 64), *lengths, dense(512, n, 4, 64, causal=True)]
        return [
            *(
                dense(length, n, 32, 64, compiled=COMPILE if length == 512 else ())
                for length in (2048, 512, 8192)
            ),
            *(dense(length, n, 16, 128) for length in (2048, 512)),
            ragged(messages(), n, 12, 64),
            ragged(descriptions(), n, 12, 64),
            *(dense(length, n, 32, 64, causal=True) for length in (2048, 512)),
            dense(2048, n, 12, 64, window=128),
        ]

    def contenders(self) -> Sequence[Contender[AttentionCase]]:
        """Ours, with and without those of keys; our forward pass; the formula over the whole matrix."""
        return [
            *our_contenders(partial(_ours, True)),
            *our_contenders(partial(_ours, False), " rows"),
            *our_contenders(_forward, " forward"),
            *eager_and_compiled(_eager),
        ]

    def draw(self, case: AttentionCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw q, k, v (T, H, D); the log-sum-exp `lse` (T, H) in fp32 follows from them."""
        normal = random_normal(seed, dtype, device)
        shape = (case.n_tokens, case.n_heads, case.d_head)
        leaves = {name: normal(*shape) for name in "qkv"}
        # Computed in fp64 and rounded, so it favours no implementation.
        lse = _by_block(case, Inputs(leaves, {}, {}).double(), _lse)["lse"]
        return Inputs(leaves, {"lse": lse.to(torch.promote_types(dtype, torch.float32))}, {})

    def truth(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """Computed from the weights, in fp64."""
        return _by_block(case, inputs.double(), _all)

    def plain(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """Computed from the weights, without padding."""
        return _by_block(case, inputs, _all)

    def amount(self, case: AttentionCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """One product per visible pair; q and k are read. The five results per token are not counted."""
        numbers = 2 * case.n_tokens * case.n_heads * case.d_head
        return Amount(2.0 * case.n_heads * case.d_head * case.pairs, float(numbers) * dtype.itemsize)


def _ours(received: bool, backend: Backend, case: AttentionCase, inputs: Inputs) -> Prepared:
    starts, lse = boundaries(case, inputs.leaves["q"].device), inputs.fixed["lse"]
    longest = case.lengths[0]
    marked = torch.cat([torch.arange(length) % MARKED == 0 for length in case.lengths]).to(lse.device)
    names = STATISTICS if received else ROWS

    def measure(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        found = attention_statistics(
            q, k, lse, starts, max_length_q=longest, max_length_k=longest, causal=case.causal,
            window=case.window, marked=marked, received=received, backend=backend,
        )  # fmt: skip
        return tuple(getattr(found, name) for name in names)

    return Prepared(measure, inputs.leaves, (), names)


def _forward(backend: Backend, case: AttentionCase, inputs: Inputs) -> Prepared:
    """Plain attention on the same batch."""
    starts, longest = boundaries(case, inputs.leaves["q"].device), case.lengths[0]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(
            q, k, v, starts, max_length_q=longest, max_length_k=longest, causal=case.causal,
            window=case.window, backend=backend,
        )  # fmt: skip

    return Prepared(attend, inputs.leaves, (), ("out",))


def _eager(case: AttentionCase, inputs: Inputs) -> Prepared:
    """The statistics from the whole weights, (b·H, L, L) for each length."""
    every = list(blocks(case, inputs.leaves["q"].device))

    def measure(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        rows = []
        for block in every:
            score = block.scores(block.take(q), block.take(k), None, block.heads)
            rows.append([block.put(x, case.n_heads) for x in _statistics(score)])
        return tuple(torch.cat(several) for several in zip(*rows, strict=True))

    return Prepared(measure, inputs.leaves, (), STATISTICS)


Compute = Callable[[Tensor, Tensor], dict[str, Tensor]]


def _by_block(case: AttentionCase, inputs: Inputs, compute: Compute) -> dict[str, Tensor]:
    """Results (T, H) or (T, H, D), computed for runs of equal lengths in blocks that fit into memory."""
    q, k, v = (inputs.leaves[name] for name in "qkv")
    found: dict[str, list[Tensor]] = {}
    for block in blocks(case, q.device):
        pieces = [
            compute(block.scores(query, key, None, heads), value)
            for query, key, value, heads in block.parts(q, k, v)
        ]
        for name in pieces[0]:
            whole = torch.cat([piece[name] for piece in pieces])
            found.setdefault(name, []).append(block.put(whole, case.n_heads))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _lse(score: Tensor, value: Tensor) -> dict[str, Tensor]:
    return {"lse": torch.logsumexp(score, dim=-1)}


def _all(score: Tensor, value: Tensor) -> dict[str, Tensor]:
    """The statistics, and the output."""
    found = dict(zip(STATISTICS, _statistics(score), strict=True))
    return found | {"out": torch.softmax(score, dim=-1) @ value}


def _statistics(score: Tensor) -> tuple[Tensor, ...]:
    """The STATISTICS, (X, L) each, of scores (X, L, L)."""
    place = torch.arange(score.shape[-1], device=score.device)
    weight = torch.softmax(score.to(torch.promote_types(score.dtype, torch.float32)), dim=-1)
    entropy = -torch.xlogy(weight, weight).sum(-1)
    distance = (weight * (place - place[:, None]).abs()).sum(-1)
    marked_mass = weight[..., ::MARKED].sum(-1)
    return entropy, weight.amax(-1), distance, marked_mass, weight.sum(-2)
