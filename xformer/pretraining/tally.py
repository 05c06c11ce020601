"""Losses and counts of the steps since the last line of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.pretraining.step_losses import StepSums
from xformer.pretraining.step_plan import StepPlan


class Tally:
    """Losses and counts since the last line, by objective and language. Shapes: L languages.

    Attributes:
        norm: of the gradient in the last step that was counted.
    """

    def __init__(self, languages: Sequence[str], state: Mapping[str, Sequence[float]] | None = None) -> None:
        """Begin at nothing, or where another tally was.

        Args:
            languages: their tags.
            state: of the other tally, for the same languages.
        """
        self._languages = languages
        kept = {name: np.array(values) for name, values in (state or {}).items()}
        zeros = np.zeros(len(languages))
        self._asked = kept.get("asked", zeros).copy()
        self._texts = kept.get("texts", zeros).astype(np.int64)
        self._tokens = kept.get("tokens", zeros).astype(np.int64)
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        for name, values in kept.items():
            part, _, objective = name.partition(".")
            if part == "sums":
                self._sums[objective] = values
            elif part == "counts":
                self._counts[objective] = values.astype(np.int64)
        self.norm = float(kept["norm"][0]) if kept else 0.0

    def state(self) -> dict[str, tuple[float, ...]]:
        """All that it remembers, exactly; empty when nothing was counted yet."""
        if not self._sums:
            return {}
        arrays = {"asked": self._asked, "texts": self._texts, "tokens": self._tokens}
        arrays |= {f"sums.{name}": sums for name, sums in self._sums.items()}
        arrays |= {f"counts.{name}": counts for name, counts in self._counts.items()}
        state = {name: tuple(map(float, array)) for name, array in arrays.items()}
        return state | {"norm": (self.norm,)}

    def add(self, losses: StepSums, plan: StepPlan, norm: float) -> None:
        """Count one step."""
        self.norm = norm
        self._asked += plan.asked_by_language
        self._texts += plan.texts_by_language
        self._tokens += plan.tokens_by_language
        for name, (sums, counts) in losses.by_language.items():
            self._sums[name] = self._sums.get(name, 0.0) + sums
            self._counts[name] = self._counts.get(name, 0) + counts

    def means(self) -> dict[str, float]:
        """Each objective's mean loss, in nats an item."""
        return {name: float(self._sums[name].sum() / max(1, self._counts[name].sum())) for name in self._sums}

    def by_language(self) -> dict[str, dict[str, float]]:
        """Per language: shares of the texts asked for, of those drawn, of all tokens read; mean losses."""
        asked = self._asked / max(self._asked.sum(), 1e-9)
        drawn = self._texts / max(1, int(self._texts.sum()))
        tokens = self._tokens / max(1, int(self._tokens.sum()))
        table: dict[str, dict[str, float]] = {}
        for number, language in enumerate(self._languages):
            row = {
                "asked": round(float(asked[number]), 6),
                "drawn": round(float(drawn[number]), 6),
                "tokens": round(float(tokens[number]), 6),
            }
            for name, sums in self._sums.items():
                if self._counts[name][number]:
                    row[name] = round(float(sums[number] / self._counts[name][number]), 5)
            table[language] = row
        return table
