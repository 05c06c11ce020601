"""The operation `rotary`: rotary positions of packed queries and keys.

Shapes: T tokens, H heads, D head size, P positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xformer.kernels import rotary

from ..operation import COMPILE, Backend, Case, DeviceKind, Inputs, Layer, Prepared, peer, random_normal
from .lengths import LONGEST, positions_of_messages

BASE = 160_000.0


@dataclass(frozen=True)
class RotaryCase(Case):
    """Queries and keys to be rotated.

    Attributes:
        n_tokens: T, of messages end to end.
        n_heads: H, of queries and of keys.
        d_head: D.
        interleaved: whether pairs are neighbours, rather than the halves of a head.
    """

    n_tokens: int
    n_heads: int
    d_head: int
    interleaved: bool = False
    smallest: ClassVar = {"n_tokens": 2, "n_heads": 1}


class Rotary(Layer[RotaryCase]):
    """The operation `rotary`."""

    name = "rotary"
    gpu_seconds = 12.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[RotaryCase]:
        """Encoders' heads; with 32,768 tokens and width 768, q and k are 96 MiB in half precision."""
        if quick:
            return [_case(512, 4, 64)]
        if kind == "cpu":
            halves = [_case(4096, 4, 64, compiled=COMPILE), _case(4096, 12, 64)]
            return [*halves, _case(4096, 4, 64, interleaved=True)]
        return [
            _case(32_768, 12, 64, compiled=COMPILE),
            _case(32_768, 12, 64, interleaved=True),
            _case(32_768, 12, 32),
            _case(32_768, 8, 128),
            _case(4096, 12, 64),
        ]

    def draw(self, case: RotaryCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw q and k (T, H, D); positions (T,), cos and sin (P, D/2) in fp32."""
        normal = random_normal(seed, dtype, device)
        shape = (case.n_tokens, case.n_heads, case.d_head)
        exponents = torch.arange(0, case.d_head, 2, dtype=torch.float64, device=device) / case.d_head
        angles = torch.arange(LONGEST, dtype=torch.float64, device=device)[:, None] * BASE**-exponents
        fixed = {"cos": angles.cos().float(), "sin": angles.sin().float()}
        fixed["positions"] = positions_of_messages(case.n_tokens, device)
        leaves = {name: normal(*shape) for name in "qk"}
        return Inputs(leaves, fixed, {name: normal(*shape) for name in ("q_out", "k_out")})

    def define(self, case: RotaryCase, inputs: Inputs) -> Prepared:
        """The formula on q and on k. Each token's row of cos and sin is looked up before, and not timed."""
        dtype = inputs.leaves["q"].dtype
        positions = inputs.fixed["positions"]
        cos, sin = (inputs.fixed[name][positions].to(dtype)[:, None] for name in ("cos", "sin"))
        turn = _turn_neighbours if case.interleaved else _turn_halves
        return inputs.prepared(lambda q, k: (turn(q, cos, sin), turn(k, cos, sin)))

    def traffic(self, case: RotaryCase) -> tuple[int, int]:
        """Reads and writes q and k, or their gradients."""
        numbers = 4 * case.n_tokens * case.n_heads * case.d_head
        return numbers, numbers

    def ours(self, backend: Backend, case: RotaryCase, inputs: Inputs) -> Prepared:
        """Our kernel."""
        positions, cos, sin = (inputs.fixed[name] for name in ("positions", "cos", "sin"))

        def turn(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
            return rotary(q, k, positions, cos, sin, interleaved=case.interleaved, backend=backend)

        return inputs.prepared(turn)

    def liger(self, case: RotaryCase, inputs: Inputs) -> Prepared:
        """Liger's writes into its inputs, so it gets copies."""
        if case.interleaved:
            raise NotImplementedError("Liger's pairs are the halves of a head")
        function = peer("liger_kernel.ops", "LigerRopeFunction")
        rows = (inputs.fixed[name][inputs.fixed["positions"]] for name in ("cos", "sin"))
        cos, sin = (torch.cat((row, row), dim=-1)[None].to(inputs.leaves["q"].dtype) for row in rows)

        def turn(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
            # (T, H, D) → (1, H, T, D) and back: views.
            q, k = function.apply(q[None].transpose(1, 2), k[None].transpose(1, 2), cos, sin)
            return q.transpose(1, 2)[0], k.transpose(1, 2)[0]

        return inputs.prepared(turn)


def _case(
    n_tokens: int, n_heads: int, d_head: int, *, interleaved: bool = False, compiled: tuple[str, ...] = ()
) -> RotaryCase:
    sweep = "interleaved" if interleaved else "halves"
    name = f"{sweep} T={n_tokens} H={n_heads} D={d_head}"
    return RotaryCase(name, sweep, n_tokens, n_heads, d_head, interleaved, compiled=compiled)


def _turn_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def _turn_neighbours(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x[..., ::2], x[..., 1::2]
    return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2)
