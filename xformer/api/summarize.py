"""Summaries of texts: made of their own sentences, or written by a run that was trained to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from xformer.api.written import search_of, write
from xformer.embedding.checked import as_texts, check_one
from xformer.errors import InputError
from xformer.progress import ShowProgress
from xformer.summarization.extract import Summary, summaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from xformer.translation.translator import Translator


class Summarizing:
    """The part of `Model` that summarizes texts."""

    path: Path
    _summarizer: Translator | None = None

    if TYPE_CHECKING:
        encode: Callable[..., NDArray[np.float32]]

    @overload
    def summarize(  # type: ignore[overload-overlap]
        self,
        texts: str,
        sentences: int | None = ...,
        *,
        to: str | None = ...,
        beam: int | None = ...,
        progress: ShowProgress = ...,
    ) -> Summary: ...
    @overload
    def summarize(
        self,
        texts: Iterable[str],
        sentences: int | None = ...,
        *,
        to: str | None = ...,
        beam: int | None = ...,
        progress: ShowProgress = ...,
    ) -> list[Summary]: ...

    def summarize(
        self,
        texts: str | Iterable[str],
        sentences: int | None = None,
        *,
        to: str | None = None,
        beam: int | None = None,
        progress: ShowProgress = None,
    ) -> Summary | list[Summary]:
        """Choose the sentences that stand for each text, or write its summary, in the order given.

        >>> model.summarize("Open the file. Close the door. Open the files.").sentences  # doctest: +SKIP
        (0,)
        >>> xformer.load("runs/sum").summarize("Öffne die Datei. …", to="de").text  # doctest: +SKIP
        'Dateien öffnen'

        A run of `xformer finetune summarize` writes. With any other one, sentences are chosen: those nearest
        to the mean of the text's sentences, in the vectors of `encode`.

        Args:
            texts: texts in any language, or one.
            sentences: of each summary that is chosen; None for 1.
            to: language to write; None where the run writes one only.
            beam: width of the beam that writes; 1 takes the likeliest token each time. None for 4.
            progress: as in `encode`.

        Returns:
            A `Summary` for each text; for one string, one. An empty text has an empty summary. A written one
            has no places of sentences.

        Raises:
            InputError: a text is no string or holds a lone surrogate, `sentences` or `beam` is no positive
                number or belongs to the other kind of run, or the run does not write the language.
        """
        one = isinstance(texts, str)
        if isinstance(texts, str):
            check_one(texts, "text")
            texts = [texts]
        if self._summarizer is None:
            found = self._chosen(texts, sentences, to, beam, progress)
        else:
            found = self._written(self._summarizer, texts, sentences, to, beam, progress)
        return found[0] if one else found

    def _chosen(
        self,
        texts: Iterable[str],
        sentences: int | None,
        to: str | None,
        beam: int | None,
        progress: ShowProgress,
    ) -> list[Summary]:
        for name, given in (("to", to), ("beam", beam)):
            if given is not None:
                raise InputError(
                    f"{name}: {self.path} chooses sentences and writes none; `xformer finetune summarize"
                    f" {self.path} --train FILES --out NEW` makes a run from it that writes"
                )
        number = 1 if sentences is None else sentences
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InputError(f"sentences: expected a whole number from 1, got {number!r}")
        known = list(as_texts(texts))
        as_texts(known)
        return list(
            summaries(known, lambda some: self.encode(some, normalise=True, progress=progress), number)
        )

    def _written(
        self,
        summarizer: Translator,
        texts: Iterable[str],
        sentences: int | None,
        to: str | None,
        beam: int | None,
        progress: ShowProgress,
    ) -> list[Summary]:
        if sentences is not None:
            raise InputError(f"sentences: {self.path} writes summaries, and chooses no sentences")
        if to is None and len(summarizer.targets) > 1:
            raise InputError(
                f"to: expected the language to write; {self.path} writes {', '.join(summarizer.targets)}"
            )
        target, _ = summarizer.direction(summarizer.targets[0] if to is None else to)
        search = search_of(4 if beam is None else beam)
        found = write(summarizer, texts, target, search, "summarize", progress)
        return [Summary(text, ()) for text in found]
