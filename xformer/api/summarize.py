"""Summaries of texts, made of their own sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.checked import as_texts, check_one
from xformer.errors import InputError
from xformer.progress import ShowProgress
from xformer.summarization.extract import Summary, summaries

if TYPE_CHECKING:
    from collections.abc import Callable


class Summarizing:
    """The part of `Model` that summarizes texts."""

    if TYPE_CHECKING:
        encode: Callable[..., NDArray[np.float32]]

    @overload
    def summarize(self, texts: str, sentences: int = ..., *, progress: ShowProgress = ...) -> Summary: ...  # type: ignore[overload-overlap]
    @overload
    def summarize(
        self, texts: Iterable[str], sentences: int = ..., *, progress: ShowProgress = ...
    ) -> list[Summary]: ...

    def summarize(
        self, texts: str | Iterable[str], sentences: int = 1, *, progress: ShowProgress = None
    ) -> Summary | list[Summary]:
        """Choose the sentences that stand for each text, in the order given.

        >>> model.summarize("Open the file. Close the door. Open the files.").sentences  # doctest: +SKIP
        (0,)

        They are those nearest to the mean of the text's sentences, in the vectors of `encode`.

        Args:
            texts: texts in any language, or one.
            sentences: of each summary.
            progress: as in `encode`.

        Returns:
            A `Summary` for each text; for one string, one. An empty text has an empty summary.

        Raises:
            InputError: a text is no string or holds a lone surrogate, or `sentences` is no positive number.
        """
        if isinstance(sentences, bool) or not isinstance(sentences, int) or sentences < 1:
            raise InputError(f"sentences: expected a whole number from 1, got {sentences!r}")
        one = isinstance(texts, str)
        if isinstance(texts, str):
            check_one(texts, "text")
            texts = [texts]
        known = list(as_texts(texts))
        as_texts(known)
        found = list(
            summaries(known, lambda some: self.encode(some, normalise=True, progress=progress), sentences)
        )
        return found[0] if one else found
