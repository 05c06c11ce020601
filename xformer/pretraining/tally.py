"""The tally of pretraining: losses and texts by language since the last line of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.pretraining.batches import StepBatch
from xformer.training.losses import StepSums
from xformer.training.tally import Tally


class LanguageTally(Tally[StepBatch]):
    """Sums of losses by objective and language, and counts of texts and tokens.

    Shapes: L languages, S sources.
    """

    def __init__(
        self,
        languages: Sequence[str],
        state: Mapping[str, tuple[float, ...]] | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        """Start empty, or continue from another tally.

        Args:
            languages: tags of the languages.
            state: `state()` of the other tally, for the same languages.
            sources: names of the sources, if these are counted.
        """
        super().__init__(state)
        kept = state or {}
        zeros = np.zeros(len(languages))
        self._languages = languages
        self._asked = np.array(kept.get("asked", zeros))
        self._texts = np.array(kept.get("texts", zeros)).astype(np.int64)
        self._tokens = np.array(kept.get("tokens", zeros)).astype(np.int64)
        self._sources, zeros = sources, np.zeros(len(sources))
        self._asked_of_sources = np.array(kept.get("asked_of_sources", zeros))
        self._texts_of_sources = np.array(kept.get("texts_of_sources", zeros)).astype(np.int64)

    def add(self, losses: StepSums, batch: StepBatch, norm: float) -> None:
        """Add one step."""
        super().add(losses, batch, norm)
        self._asked += batch.plan.asked_by_language
        self._texts += batch.plan.texts_by_language
        self._tokens += batch.plan.tokens_by_language
        if batch.plan.asked_by_source is not None and batch.plan.texts_by_source is not None:
            self._asked_of_sources += batch.plan.asked_by_source
            self._texts_of_sources += batch.plan.texts_by_source

    def fields(self) -> dict[str, Any]:
        """The field `languages`: `by_language()`; where sources are counted, `sources`: `by_source()`."""
        return {"languages": self.by_language()} | ({"sources": self.by_source()} if self._sources else {})

    def by_source(self) -> dict[str, dict[str, float]]:
        """For each source that is drawn from, its share of expected texts and of drawn texts."""
        asked = self._asked_of_sources / max(self._asked_of_sources.sum(), 1e-9)
        drawn = self._texts_of_sources / max(1, int(self._texts_of_sources.sum()))
        rows = zip(self._sources, asked.tolist(), drawn.tolist(), strict=True)
        return {
            name: {"asked": round(wish, 6), "drawn": round(found, 6)}
            for name, wish, found in rows
            if wish or found
        }

    def by_language(self) -> dict[str, dict[str, float]]:
        """For each language its share of expected texts, drawn texts and tokens, and its mean losses."""
        shares: dict[str, NDArray[np.float64]] = {
            "asked": self._asked / max(self._asked.sum(), 1e-9),
            "drawn": self._texts / max(1, int(self._texts.sum())),
            "tokens": self._tokens / max(1, int(self._tokens.sum())),
        }
        table: dict[str, dict[str, float]] = {}
        for number, language in enumerate(self._languages):
            row = {name: round(float(share[number]), 6) for name, share in shares.items()}
            for name, sums in self._sums.items():
                if self._counts[name][number]:
                    row[name] = round(float(sums[number] / self._counts[name][number]), 5)
            table[language] = row
        return table

    def _arrays(self) -> dict[str, Any]:
        arrays = {"asked": self._asked, "texts": self._texts, "tokens": self._tokens}
        if self._sources:
            arrays |= {"asked_of_sources": self._asked_of_sources, "texts_of_sources": self._texts_of_sources}
        return arrays | super()._arrays()
