"""Labels of texts or of pairs of texts, by a run that was fine-tuned to give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from xformer.api.finetuned import Finetuned
from xformer.embedding.checked import as_texts, check, check_one
from xformer.errors import InputError
from xformer.finetuning.model import FinetunedModel
from xformer.progress import ShowProgress

Content = str | tuple[str, str]
"""What a run gives a label: a text, or two."""


@dataclass(frozen=True)
class Classification:
    """What a classifier says of a text.

    Attributes:
        labels: the labels that it gives, the most probable first: one, or where a text may have several, all
            of more than one half.
        probabilities: of every label, by name, the most probable first.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]

    @property
    def label(self) -> str | None:
        """The most probable label that it gives; None if it gives none."""
        return self.labels[0] if self.labels else None

    @property
    def probability(self) -> float:
        """The probability of the most probable label."""
        return max(self.probabilities.values())


class Classifying(Finetuned):
    """The part of `Model` that classifies."""

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, texts: str | tuple[str, str], *, calibrated: bool = ..., progress: ShowProgress = ...
    ) -> Classification: ...
    @overload
    def classify(
        self, texts: Iterable[Content], *, calibrated: bool = ..., progress: ShowProgress = ...
    ) -> list[Classification]: ...

    def classify(
        self,
        texts: str | tuple[str, str] | Iterable[Content],
        *,
        calibrated: bool = True,
        progress: ShowProgress = None,
    ) -> Classification | list[Classification]:
        """Labels of texts, or of pairs of texts, with their probabilities, in the order given.

        >>> found = xformer.load("runs/topics").classify("A library for reading XML")  # doctest: +SKIP
        >>> found.label, round(found.probability, 2)  # doctest: +SKIP
        ('libs', 0.83)
        >>> xformer.load("runs/pairs").classify([("ein Haus", "a house")])[0].label  # doctest: +SKIP
        'translation'

        Args:
            texts: texts, or one; of a run for pairs, pairs of texts, or one as a tuple. Of a text with more
                tokens than the run was trained to read (`classifier.max_tokens`), the rest is left out.
            calibrated: with the temperature that the run has for this checkpoint (`temperature`); no label
                depends on it.
            progress: as in `encode`.

        Returns:
            A `Classification` for each text or pair; for one, one.

        Raises:
            InputError: a text is no string, a pair has not two, or the run was not fine-tuned to classify.
        """
        model = self._require_classifier()
        if model.config.classifier.example == "pair":
            if _is_pair(texts):
                return self._classified(pairs_of([texts]), model, calibrated, None)[0]
            return self._classified(pairs_of(texts), model, calibrated, progress)
        if isinstance(texts, str):
            check_one(texts, "text")
            return self._classified([texts], model, calibrated, None)[0]
        found = list(as_texts(texts))
        check(found, 0)
        return self._classified(found, model, calibrated, progress)

    def class_probabilities(
        self, texts: Iterable[Content], *, calibrated: bool = True, progress: ShowProgress = None
    ) -> NDArray[np.float32]:
        """Probabilities (texts, labels) of `labels`, as an array; arguments are those of `classify`."""
        model = self._require_classifier()
        if model.config.classifier.example == "pair":
            return self._probabilities(pairs_of(texts), model, calibrated, progress)
        found = list(as_texts(texts))
        check(found, 0)
        return self._probabilities(found, model, calibrated, progress)

    def _classified(
        self, contents: Sequence[Content], model: FinetunedModel, calibrated: bool, progress: ShowProgress
    ) -> list[Classification]:
        labels, several = model.config.classifier.labels, model.config.classifier.multi_label
        rows = self._probabilities(contents, model, calibrated, progress)
        found = []
        for row, order in zip(rows.tolist(), np.argsort(-rows, axis=1, kind="stable").tolist(), strict=True):
            by_label = {labels[place]: row[place] for place in order}
            given = [label for label, p in by_label.items() if p > 0.5] if several else [labels[order[0]]]
            found.append(Classification(tuple(given), by_label))
        return found

    def _require_classifier(self) -> FinetunedModel:
        model = self._require_finetuned()
        if model.config.classifier.example == "words":
            raise InputError(
                f"{self.path}: this run gives each word a label, not each text; use `tag`, or a run of"
                " `xformer finetune classify`"
            )
        return model


def _is_pair(texts: object) -> bool:
    return isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(one, str) for one in texts)


def pairs_of(texts: Any) -> list[tuple[str, str]]:
    """Pairs of texts: tuples or lists of two strings.

    Raises:
        InputError: one is no such pair; its index is named.
    """
    expected = "expected a pair of texts, as (one, other), since this run gives pairs a label"
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InputError(f"texts: {expected}; got {texts!r:.60}")
    found: list[tuple[str, str]] = []
    for number, pair in enumerate(texts):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(f"texts[{number}]: {expected}; got {pair!r:.60}")
        check(pair, 0, f"texts[{number}]")
        found.append((pair[0], pair[1]))
    return found
