"""A trace as the page sees it, with random attention or attention that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class FakeTokens:
    """Each letter is a token, between two special ones."""

    text: str

    def __len__(self) -> int:
        return len(self.text) + 2

    @property
    def pieces(self) -> tuple[str, ...]:
        return ("<s>", *self.text, "</s>")

    @property
    def ids(self) -> Tensor:
        return torch.tensor([0, *map(ord, self.text), 1])

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        n = len(self.text)
        return ((0, 0), *((place, place + 1) for place in range(n)), (n, n))

    @property
    def special(self) -> tuple[bool, ...]:
        return (True, *[False] * len(self.text), True)

    @property
    def words(self) -> tuple[int, ...]:
        return (-1, *(self.text[:place].count(" ") for place in range(len(self.text))), -1)


class FakeTrace:
    """Its `weights` are {name: one (H, n, n) for each text}."""

    def __init__(
        self, texts: Sequence[Any], weights: Mapping[str, Sequence[Tensor]], name: str = "a run"
    ) -> None:
        self.texts, self.weights, self.notes = texts, weights, ()
        self.names = tuple(weights)
        self.subject = SimpleNamespace(name=name, config=SimpleNamespace(n_layers=len(weights), n_heads=2))

    def __getitem__(self, name: str) -> Sequence[Tensor]:
        return self.weights[name]


def random_trace(*texts: str, layers: int = 2, heads: int = 2, sharpness: float = 3.0) -> FakeTrace:
    """Softmax of normal scores, from the global seed."""
    tokens = [FakeTokens(text) for text in texts]
    weights = {
        f"layers.{layer}.attn.weights": [
            (sharpness * torch.randn(heads, len(one.ids), len(one.ids))).softmax(-1) for one in tokens
        ]
        for layer in range(layers)
    }
    return FakeTrace(tokens, weights)
