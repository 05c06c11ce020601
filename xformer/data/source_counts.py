"""Texts and bytes by source and language, counted while a corpus is written."""

from __future__ import annotations

from collections.abc import Iterable

from xformer.data.source_rules import SourcePlaces


class SourceCounts:
    """Counts of one split.

    Args:
        names: of the manifest's sources.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._place_of = SourcePlaces(names)
        self._counts: dict[tuple[int, str], list[int]] = {}

    def add(self, source: str, language: str, n_bytes: int) -> None:
        """Count one text.

        Args:
            source: `Record.source`.
            language: its tag.
            n_bytes: its bytes in UTF-8.
        """
        count = self._counts.setdefault((self._place_of(source), language), [0, 0])
        count[0] += 1
        count[1] += n_bytes

    def table(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Texts and bytes by the source's name and the language, in the order of the manifest."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for (place, language), (texts, n_bytes) in sorted(self._counts.items()):
            found.setdefault(self._place_of.names[place], {})[language] = (texts, n_bytes)
        return found
