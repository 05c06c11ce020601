"""The operation `embedding_norm`: rows of the token embedding, with or without those of positions, normed.

Shapes: T tokens, V vocabulary, P positions, C width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels import embedding_norm

from ..operation import COMPILE, Backend, Case, DeviceKind, Inputs, Layer, Prepared, random_normal
from .lengths import LONGEST, positions_of_messages

EPS = 1e-5


@dataclass(frozen=True)
class EmbeddingCase(Case):
    """Tokens whose embeddings are looked up.

    Attributes:
        n_tokens: T.
        vocabulary: V.
        width: C.
        positions: whether a table of 512 positions is added.
    """

    n_tokens: int
    vocabulary: int
    width: int
    positions: bool = False
    smallest: ClassVar = {"n_tokens": 2, "vocabulary": 16, "width": 16}


class EmbeddingNorm(Layer[EmbeddingCase]):
    """The operation `embedding_norm`."""

    name = "embedding_norm"
    gpu_seconds = 14.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[EmbeddingCase]:
        """Vocabularies of 16k to 250k, the widths of encoders."""
        if quick:
            return [_case(512, 4096, 256)]
        if kind == "cpu":
            return [
                _case(4096, 16_384, 256, compiled=COMPILE),
                _case(4096, 16_384, 256, positions=True),
                _case(4096, 65_536, 256),
            ]
        return [
            _case(16_384, 250_002, 768, compiled=COMPILE),
            _case(16_384, 16_384, 768),
            _case(16_384, 250_002, 768, positions=True, compiled=COMPILE),
            _case(16_384, 65_536, 256),
            _case(16_384, 131_072, 1024),
        ]

    def draw(self, case: EmbeddingCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw table (V, C), weight and bias (C,), position_table (P, C); tokens (T,) by Zipf's law."""
        normal = random_normal(seed, dtype, device)
        generator = torch.Generator(device).manual_seed(seed)
        # The share of ranks up to r is log r / log V: its inverse is V to the power of a uniform number.
        uniform = torch.rand(case.n_tokens, generator=generator, device=device, dtype=torch.float64)
        rank = (float(case.vocabulary) ** uniform).long() - 1
        leaves = {"table": normal(case.vocabulary, case.width)}
        leaves |= {name: normal(case.width) for name in ("weight", "bias")}
        fixed = {"tokens": rank.clamp(max=case.vocabulary - 1)}
        if case.positions:
            leaves["position_table"] = normal(LONGEST, case.width)
            fixed["positions"] = positions_of_messages(case.n_tokens, device)
        return Inputs(leaves, fixed, {"out": normal(case.n_tokens, case.width)})

    def define(self, case: EmbeddingCase, inputs: Inputs) -> Prepared:
        """PyTorch's functions in sequence."""
        tokens, positions = inputs.fixed["tokens"], inputs.fixed.get("positions")

        def embed(
            table: Tensor, weight: Tensor, bias: Tensor, position_table: Tensor | None = None
        ) -> Tensor:
            x = functional.embedding(tokens, table)
            if position_table is not None and positions is not None:
                x = x + functional.embedding(positions, position_table)
            return functional.layer_norm(x, (case.width,), weight, bias, EPS)

        return inputs.prepared(embed)

    def traffic(self, case: EmbeddingCase) -> tuple[int, int]:
        """Per token, forward reads and writes a row; backward reads two. It writes the table's gradient."""
        rows = case.n_tokens * case.width
        return 2 * rows, 2 * rows + case.vocabulary * case.width

    def ours(self, backend: Backend, case: EmbeddingCase, inputs: Inputs) -> Prepared:
        """Our kernel."""
        tokens, positions = inputs.fixed["tokens"], inputs.fixed.get("positions")

        def embed(
            table: Tensor, weight: Tensor, bias: Tensor, position_table: Tensor | None = None
        ) -> Tensor:
            added = {"positions": positions, "position_table": position_table}
            return embedding_norm(tokens, table, weight, bias, eps=EPS, backend=backend, **added)

        return inputs.prepared(embed)


def _case(
    n_tokens: int, vocabulary: int, width: int, *, positions: bool = False, compiled: tuple[str, ...] = ()
) -> EmbeddingCase:
    sweep = f"T={n_tokens}{' positions' if positions else ''}"
    name = f"{sweep} V={vocabulary} C={width}"
    return EmbeddingCase(name, sweep, n_tokens, vocabulary, width, positions, compiled=compiled)
