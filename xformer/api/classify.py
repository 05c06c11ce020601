"""Labels of texts, by a run that was fine-tuned to classify."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.embedding.checked import as_texts, check, check_one
from xformer.errors import InputError
from xformer.finetuning.kinds import inputs_of
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.progress import ShowProgress, shown
from xformer.runs.sentence_layer import SentenceLayer
from xformer.tokenizer.interface import TextTokenizer


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


class Classifying:
    """The part of `Model` that classifies."""

    path: Path
    tokenizer: TextTokenizer
    device: torch.device
    _classifier: FinetunedModel | None = None
    _temperature: float = 1.0
    _layer: SentenceLayer | None
    _computing: Callable[[], AbstractContextManager[None]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that texts may get, sorted.

        Raises:
            InputError: the run was not fine-tuned to classify.
        """
        return self._require_classifier().config.classifier.labels

    @property
    def temperature(self) -> float:
        """What logits are divided by, so that a probability of 80% is right in about 80% (Guo et al. 2017).

        Found on held-out texts of the languages that the run learned in, when it was complete. 1 for another
        checkpoint than that.

        Raises:
            InputError: the run was not fine-tuned to classify.
        """
        self._require_classifier()
        return self._temperature

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, texts: str, *, calibrated: bool = ..., progress: ShowProgress = ...
    ) -> Classification: ...
    @overload
    def classify(
        self, texts: Iterable[str], *, calibrated: bool = ..., progress: ShowProgress = ...
    ) -> list[Classification]: ...

    def classify(
        self, texts: str | Iterable[str], *, calibrated: bool = True, progress: ShowProgress = None
    ) -> Classification | list[Classification]:
        """Labels of texts with their probabilities, in the order given.

        >>> found = xformer.load("runs/topics").classify("A library for reading XML")  # doctest: +SKIP
        >>> found.label, round(found.probability, 2)  # doctest: +SKIP
        ('libs', 0.83)

        Args:
            texts: texts, or one. Of a text with more tokens than the run was trained to read
                (`classifier.max_tokens`), the rest is left out.
            calibrated: with the temperature that the run has for this checkpoint (`temperature`); no label
                depends on it.
            progress: as in `encode`.

        Returns:
            A `Classification` for each text; for one string, one.

        Raises:
            InputError: a text is no string, or the run was not fine-tuned to classify.
        """
        model = self._require_classifier()
        if isinstance(texts, str):
            check_one(texts, "text")
            return self._classified([texts], model, calibrated, None)[0]
        found = list(as_texts(texts))
        check(found, 0)
        return self._classified(found, model, calibrated, progress)

    def class_probabilities(
        self, texts: Iterable[str], *, calibrated: bool = True, progress: ShowProgress = None
    ) -> NDArray[np.float32]:
        """Probabilities (texts, labels) of `labels`, as an array; arguments are those of `classify`."""
        model, found = self._require_classifier(), list(as_texts(texts))
        check(found, 0)
        return self._probabilities(found, model, calibrated, progress)

    def _use_classifier(self, classifier: FinetunedModel, temperature: float, layer: SentenceLayer) -> None:
        """Classify with a model whose encoder is this one's; take vectors after the layer that it reads."""
        self._classifier, self._temperature, self._layer = classifier.eval(), temperature, layer

    def _classified(
        self, texts: list[str], model: FinetunedModel, calibrated: bool, progress: ShowProgress
    ) -> list[Classification]:
        labels, several = model.config.classifier.labels, model.config.classifier.multi_label
        rows = self._probabilities(texts, model, calibrated, progress)
        found = []
        for row, order in zip(rows.tolist(), np.argsort(-rows, axis=1, kind="stable").tolist(), strict=True):
            by_label = {labels[place]: row[place] for place in order}
            given = [label for label, p in by_label.items() if p > 0.5] if several else [labels[order[0]]]
            found.append(Classification(tuple(given), by_label))
        return found

    def _probabilities(
        self, texts: list[str], model: FinetunedModel, calibrated: bool, progress: ShowProgress
    ) -> NDArray[np.float32]:
        inputs = inputs_of(texts, model.config, self.tokenizer)
        with shown(progress) as tell:
            logits = logits_of(model, inputs, self.device, computing=self._computing, progress=tell)
        temperature = self._temperature if calibrated else 1.0
        return probabilities_of(logits, model.config.classifier.multi_label, temperature)

    def _require_classifier(self) -> FinetunedModel:
        if self._classifier is None:
            raise InputError(
                f"{self.path}: this run has no labels; `xformer finetune classify {self.path} --train FILES"
                " --out NEW` makes a run from it that has"
            )
        return self._classifier
