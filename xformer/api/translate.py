"""What a translation run adds to a model: translations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, overload

from xformer.api.written import search_of, write
from xformer.embedding.checked import check_one
from xformer.errors import InputError
from xformer.progress import ShowProgress

if TYPE_CHECKING:
    from xformer.translation.translator import Translator


class Translating:
    """The part of `Model` that translates."""

    path: Path
    _translator: Translator | None = None

    if TYPE_CHECKING:
        _summarizer: Translator | None

    @property
    def translator(self) -> Translator:
        """What translates lists of texts, with all options: n-best lists, samples, scores.

        Raises:
            InputError: the run was not trained to translate.
        """
        if self._translator is None and self._summarizer is not None:
            raise InputError(
                f"{self.path}: this run does not translate, it writes summaries; `xformer summarize"
                f" {self.path}` uses it"
            )
        if self._translator is None:
            raise InputError(
                f"{self.path}: this run does not translate; `xformer finetune translate {self.path} --train"
                " FILES --out NEW` makes a run from it that does"
            )
        return self._translator

    @overload
    def translate(  # type: ignore[overload-overlap]
        self, texts: str, to: str, *, source: str | None = ..., beam: int = ..., progress: ShowProgress = ...
    ) -> str: ...
    @overload
    def translate(
        self,
        texts: Iterable[str],
        to: str,
        *,
        source: str | None = ...,
        beam: int = ...,
        progress: ShowProgress = ...,
    ) -> list[str]: ...

    def translate(
        self,
        texts: str | Iterable[str],
        to: str,
        *,
        source: str | None = None,
        beam: int = 4,
        progress: ShowProgress = None,
    ) -> str | list[str]:
        """Translate texts, in the order given.

        >>> xformer.load("runs/en-de").translate("A dog runs.", to="de")  # doctest: +SKIP
        'Ein Hund rennt.'

        Args:
            texts: texts, or one. Blank ones stay empty.
            to: language to write.
            source: language of the texts, to be checked; the model needs not be told.
            beam: width of the beam; 1 takes the likeliest token each time.
            progress: as in `encode`.

        Returns:
            The best translation of each text; of one string, one.

        Raises:
            InputError: the run does not translate, never saw one of the languages, or a text is too long.
        """
        translator, search = self.translator, search_of(beam)
        if isinstance(texts, str):
            check_one(texts, "texts")
            return translator.translate([texts], to, source, search)[0][0].text
        target, _ = translator.direction(to, source)
        return write(translator, texts, target, search, "translate", progress)
