"""Texts and bytes by source and language, counted while a corpus is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from xformer.data.batches import Batch
from xformer.data.source_rules import SourcePlaces


class SourceCounts:
    """Counts of one split.

    Args:
        names: of the manifest's sources.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._place_of = SourcePlaces(names)
        self._counts: dict[tuple[int, str], list[int]] = {}

    def add(self, batch: Batch, sizes: Sequence[int]) -> None:
        """Count some texts.

        Args:
            batch: their records.
            sizes: bytes of each text in UTF-8.
        """
        places = {source: self._place_of(source) for source in set(batch.source)}
        for source, language, size in zip(batch.source, batch.language, sizes, strict=True):
            count = self._counts.setdefault((places[source], language), [0, 0])
            count[0] += 1
            count[1] += size

    def bytes_by_language(self) -> Counter[str]:
        """Bytes of all texts in each language."""
        found = Counter[str]()
        for (_, language), (_, n_bytes) in self._counts.items():
            found[language] += n_bytes
        return found

    def table(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Texts and bytes by the source's name and the language, in the order of the manifest."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for (place, language), (texts, n_bytes) in sorted(self._counts.items()):
            found.setdefault(self._place_of.names[place], {})[language] = (texts, n_bytes)
        return found
