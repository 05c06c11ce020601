"""Which share of the training texts each language was to have, and which it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["asked", "drawn", "tokens"]
KINDS: tuple[Kind, ...] = ("asked", "drawn", "tokens")


class Shares:
    """Means over the lines of a run's log, each weighted by the tokens read since the one before."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._sums: dict[Kind, dict[str, float]] = {kind: {} for kind in KINDS}
        self._tokens = 0

    def add(self, line: Mapping[str, Any]) -> None:
        """Count a line of metrics.jsonl; lines come in their order."""
        weight = line["tokens"] - self._tokens
        self._tokens = line["tokens"]
        for tag, row in line["languages"].items():
            for kind, sums in self._sums.items():
                sums[tag] = sums.get(tag, 0.0) + weight * row.get(kind, 0.0)

    def of(self, kind: Kind) -> dict[str, float]:
        """By language tag; empty before the first line.

        Args:
            kind: `asked` for, of all texts; `drawn`, of all texts; of all `tokens`.
        """
        if not self._tokens:
            return {}
        return {tag: found / self._tokens for tag, found in self._sums[kind].items()}
