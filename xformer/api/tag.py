"""Labels of words, by a run that was fine-tuned to tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from xformer.api.finetuned import Finetuned
from xformer.embedding.checked import check, check_one
from xformer.errors import InputError
from xformer.finetuning.model import FinetunedModel
from xformer.progress import ShowProgress

Sentence = str | Sequence[str]


@dataclass(frozen=True)
class TaggedWords:
    """The words of a text, each with its label.

    Attributes:
        words: in their order.
        tags: the most probable label of each.
        probabilities: of these labels.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...]


class Tagger(Finetuned):
    """The part of `Model` that labels words."""

    @overload
    def tag(self, texts: str, *, calibrated: bool = ..., progress: ShowProgress = ...) -> TaggedWords: ...  # type: ignore[overload-overlap]
    @overload
    def tag(
        self, texts: Iterable[Sentence], *, calibrated: bool = ..., progress: ShowProgress = ...
    ) -> list[TaggedWords]: ...

    def tag(
        self, texts: str | Iterable[Sentence], *, calibrated: bool = True, progress: ShowProgress = None
    ) -> TaggedWords | list[TaggedWords]:
        """The label of each word of texts, in the order given.

        >>> found = xformer.load("runs/languages").tag("das ist a small Haus")  # doctest: +SKIP
        >>> found.tags  # doctest: +SKIP
        ('de', 'de', 'en', 'en', 'de')

        Args:
            texts: texts, or one. Words are what stands between white space; a list of words is taken as it
                is, also with words that are empty or have white space in them.
            calibrated: as in `classify`.
            progress: as in `encode`.

        Returns:
            A `TaggedWords` for each text; for one string, one. An empty text has no words.

        Raises:
            InputError: a text is neither a string nor a list of strings, or the run gives words no label.
        """
        model = self._require_tagger()
        if isinstance(texts, str):
            check_one(texts, "text")
            return self._tagged([texts.split()], model, calibrated, None)[0]
        return self._tagged(words_of(texts), model, calibrated, progress)

    def tag_probabilities(
        self, texts: Iterable[Sentence], *, calibrated: bool = True, progress: ShowProgress = None
    ) -> list[NDArray[np.float32]]:
        """Probabilities (words, labels) of `labels` for each text's words; arguments are those of `tag`."""
        sentences = words_of(texts)
        rows = self._probabilities(sentences, self._require_tagger(), calibrated, progress)
        ends = np.cumsum([0, *map(len, sentences)])
        return [rows[begin:end] for begin, end in pairwise(ends.tolist())]

    def _tagged(
        self, sentences: list[list[str]], model: FinetunedModel, calibrated: bool, progress: ShowProgress
    ) -> list[TaggedWords]:
        labels, found, done = model.config.classifier.labels, [], 0
        rows = self._probabilities(sentences, model, calibrated, progress)
        best, sure = rows.argmax(axis=1).tolist(), rows.max(axis=1).tolist()
        for words in sentences:
            here = slice(done, done + len(words))
            found.append(TaggedWords(tuple(words), tuple(labels[at] for at in best[here]), tuple(sure[here])))
            done += len(words)
        return found

    def _require_tagger(self) -> FinetunedModel:
        model = self._require_finetuned("words")
        if model.config.classifier.example != "words":
            what = "text" if model.config.classifier.example == "text" else "pair of texts"
            raise InputError(
                f"{self.path}: this run gives each {what} a label, not each word; use `classify`, or a run of"
                " `xformer finetune tag`"
            )
        return model


def words_of(texts: Any) -> list[list[str]]:
    """The words of texts: of a string what stands between white space, or a list of words as it is.

    Raises:
        InputError: a text is neither; its index is named.
    """
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise InputError(f"texts: expected texts, or lists of words, got {texts!r:.60}")
    found: list[list[str]] = []
    for number, text in enumerate(texts):
        name = f"texts[{number}]"
        if isinstance(text, str):
            check_one(text, name)
            found.append(text.split())
        elif isinstance(text, Sequence) and not isinstance(text, bytes):
            check(text, 0, name)
            found.append(list(text))
        else:
            raise InputError(f"{name}: expected a text, or a list of words, got {text!r:.60}")
    return found
