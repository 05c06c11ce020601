"""Similarities of texts, and the nearest of them, by the vectors of a model.

Shapes: E texts, Q queries, D vector width, K results of each query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xformer.api.keywords import refuse
from xformer.embedding.checked import as_texts
from xformer.embedding.search.coded import Coded
from xformer.embedding.search.exact import search
from xformer.embedding.similarity import cosines, rows_of_numbers
from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

Vectors = NDArray[np.float32]
Texts = Iterable[str]
TextsOrVectors = str | Texts | ArrayLike | Tensor


@dataclass(frozen=True)
class Match:
    """A text that was found.

    Attributes:
        score: the product of its vector with the query's, which is their cosine.
        text: the text.
        source: the name of where it comes from: a file's path, or what the caller named it.
        line: its place there, from 1.
        row: its place among all texts, from 0.
    """

    score: float
    text: str
    source: str
    line: int
    row: int


class Comparing:
    """The part of `Model` that compares texts."""

    if TYPE_CHECKING:
        encode: Callable[..., Vectors]

    def similarity(self, a: TextsOrVectors, b: TextsOrVectors) -> Vectors:
        """Cosines of each text or vector of `a` with each of `b`.

        >>> model.similarity(["Open the file"], ["Datei öffnen", "Save the file"]).shape
        (1, 2)

        Args:
            a: texts, one text, vectors (Ea, D), or one vector (D,).
            b: the same.

        Returns:
            (Ea, Eb) float32; 0 beside an empty text.

        Raises:
            InputError: as `encode`, or the vectors differ in width.
        """
        return cosines(self._vectors(a), self._vectors(b))

    @overload
    def search(  # type: ignore[overload-overlap]  # a string is an iterable of strings, too
        self, queries: str, texts: Texts | Mapping[str, Texts], k: int = ..., *, vectors: Vectors | None = ...
    ) -> list[Match]: ...
    @overload
    def search(
        self,
        queries: Texts | NDArray[np.floating] | Tensor,
        texts: Texts | Mapping[str, Texts],
        k: int = ...,
        *,
        vectors: Vectors | None = ...,
    ) -> list[list[Match]]: ...

    def search(
        self,
        queries: str | Texts | NDArray[np.floating] | Tensor,
        texts: Texts | Mapping[str, Texts],
        k: int = 5,
        *,
        vectors: Vectors | None = None,
        **others: object,
    ) -> list[Match] | list[list[Match]]:
        """The `k` texts nearest in meaning to each query, nearest first; all of them where there are fewer.

        >>> model.search("Datei öffnen", ["Open the file", "Save the file"], k=1)[0].text
        'Open the file'

        Search is exact, as in `xformer.Index`, which keeps texts and vectors in a folder: make one for texts
        that are searched again, or that are more than memory holds.

        Args:
            queries: one text or several, in any language; or their vectors (Q, D).
            texts: what is searched, in their order; or such by the name of their source.
            k: at least 1.
            vectors: (E, D) those of the texts, if `encode` has made them before.
            others: names of other libraries, such as `top_k`, are refused with the name that is meant.

        Returns:
            A list for one query; for several a list of such lists, in their order.

        Raises:
            InputError: as `encode`; `k` is no whole number from 1, or there is not one vector for each text.
        """
        refuse(others, ("k", "vectors"))
        check_k(k)
        named = texts if isinstance(texts, Mapping) else {"texts": texts}
        if any(isinstance(some, str) for some in named.values()):
            raise InputError("texts: expected a list of strings, got one string; put it in a list")
        sources = {name: list(as_texts(some)) for name, some in named.items()}
        places = [(name, line) for name, some in sources.items() for line in range(len(some))]
        searched = [text for some in sources.values() for text in some]
        if vectors is None:
            vectors = self.encode(searched)
        elif len(vectors) != len(searched):
            raise InputError(
                f"vectors: expected one for each of {len(searched):,} texts, got {len(vectors):,}"
            )
        try:
            found = search(self._vectors(queries), [Coded.of(np.asarray(vectors, np.float32))], k)
        except ValueError as error:
            raise InputError(str(error)) from error

        def match(row: int, score: float) -> Match:
            name, line = places[row]
            return Match(score, sources[name][line], name, line + 1, row)

        lists = [
            [match(row, score) for row, score in zip(rows, scores, strict=True)]
            for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
        ]
        return lists[0] if isinstance(queries, str) else lists

    def _vectors(self, given: TextsOrVectors) -> Vectors:
        """Vectors as they are, and those of texts."""
        if isinstance(given, Tensor):
            return np.atleast_2d(cast(Vectors, given.detach().float().cpu().numpy()))
        if isinstance(given, str):
            return self.encode([given])
        if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":
            return np.atleast_2d(given)
        if isinstance(given, list | tuple) and given and not isinstance(given[0], str | bytes):
            return rows_of_numbers(given)
        return self.encode(cast(Texts, given))


def check_k(k: int) -> None:
    """Refuse a number of results that is no whole number from 1.

    Raises:
        InputError: it is none.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k: expected a whole number from 1, got {k!r}")
