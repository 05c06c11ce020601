"""What a fine-tuned run adds to a model: its labels, and their probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.finetuning.config import ExampleKind
from xformer.finetuning.kinds import inputs_of, kind_of
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.progress import ShowProgress, shown
from xformer.runs.sentence_layer import SentenceLayer
from xformer.tokenizer.interface import TextTokenizer


class Finetuned:
    """The part of `Model` that all kinds of fine-tuned runs share."""

    path: Path
    tokenizer: TextTokenizer
    device: torch.device
    _finetuned: FinetunedModel | None = None
    _temperature: float = 1.0
    _layer: SentenceLayer | None
    _computing: Callable[[], AbstractContextManager[None]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that texts, pairs of texts or words may get, sorted.

        Raises:
            InputError: the run was not fine-tuned.
        """
        return self._require_finetuned().config.classifier.labels

    @property
    def example(self) -> ExampleKind:
        """What gets a label: `text`; `pair`, two texts; or `words`, each of them.

        Raises:
            InputError: the run was not fine-tuned.
        """
        return self._require_finetuned().config.classifier.example

    @property
    def temperature(self) -> float:
        """What logits are divided by, so that a probability of 80% is right in about 80% (Guo et al. 2017).

        Found on held-out examples of the languages that the run learned in, when it was complete. 1 for
        another checkpoint than that.

        Raises:
            InputError: the run was not fine-tuned.
        """
        self._require_finetuned()
        return self._temperature

    def _use_finetuned(self, model: FinetunedModel, temperature: float, layer: SentenceLayer) -> None:
        """Take labels from a model whose encoder is this one's, and vectors after the layer that it reads."""
        self._finetuned, self._temperature, self._layer = model.eval(), temperature, layer

    def _probabilities(
        self, contents: Sequence[Any], model: FinetunedModel, calibrated: bool, progress: ShowProgress
    ) -> NDArray[np.float32]:
        """Probabilities (units, labels) of checked contents of examples."""
        inputs = inputs_of(contents, model.config, self.tokenizer)
        with shown(progress) as tell:
            logits = logits_of(model, inputs, self.device, computing=self._computing, progress=tell)
        temperature = self._temperature if calibrated else 1.0
        return probabilities_of(logits, model.config.classifier.multi_label, temperature)

    def _require_finetuned(self, wanted: ExampleKind = "text") -> FinetunedModel:
        """The fine-tuned model; without one, say which command makes a run that has one."""
        if self._finetuned is None:
            command = f"xformer finetune {kind_of(wanted).command} {self.path} --train FILES --out NEW"
            raise InputError(f"{self.path}: this run has no labels; `{command}` makes a run from it that has")
        return self._finetuned
