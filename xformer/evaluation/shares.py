"""Shares of the languages in the training texts: the share asked for, and the share drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["asked", "drawn", "tokens"]
KINDS: tuple[Kind, ...] = ("asked", "drawn", "tokens")


class Shares:
    """Means over the lines of a run's log. A line is weighted by the tokens since the line before it."""

    def __init__(self) -> None:
        self._sums: dict[Kind, dict[str, float]] = {kind: {} for kind in KINDS}
        self._tokens = 0

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line of metrics.jsonl; lines must be added in order."""
        weight = line["tokens"] - self._tokens
        self._tokens = line["tokens"]
        for tag, row in line["languages"].items():
            for kind, sums in self._sums.items():
                sums[tag] = sums.get(tag, 0.0) + weight * row.get(kind, 0.0)

    def of(self, kind: Kind) -> dict[str, float]:
        """Shares by language tag; empty before the first line.

        Args:
            kind: the share of texts that was `asked` for, the share of texts that was `drawn`, or the share
                of `tokens`.
        """
        if not self._tokens:
            return {}
        return {tag: found / self._tokens for tag, found in self._sums[kind].items()}
