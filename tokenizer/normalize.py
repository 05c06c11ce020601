"""Unicode normalisation, and which original characters each normalised one came from.

SentencePiece's own rule tables replace fixed strings, so they cannot reorder combining marks (Hebrew points,
Arabic vowel signs) and have no NFC. Python's `unicodedata` implements the standard in full (UAX #15); it runs
before SentencePiece, which then takes text as it is.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import surrogate_error
from .options import Normalization

_FORMS: dict[Normalization, Literal["NFC", "NFKC"]] = {"nfc": "NFC", "nfkc": "NFKC"}


def normalize(text: str, normalization: Normalization) -> str:
    """`text` in the given form; `"identity"` returns it unchanged.

    Raises:
        TokenizerError: `text` holds a lone surrogate.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise surrogate_error(error) from None
    if normalization == "identity":
        return text
    return unicodedata.normalize(_FORMS[normalization], text)


def normalize_with_alignment(
    text: str, normalization: Normalization
) -> tuple[str, NDArray[np.int64], NDArray[np.int64]]:
    """Normalise and keep track of where every character came from.

    The text is cut into the smallest chunks that normalise independently. Characters of a chunk that changed
    all map to the whole chunk: which of two reordered marks became which character is not a question with an
    answer.

    Returns:
        The normalised text of m characters, and for each of them where its origin begins and ends in `text`,
        both `(m,)` and ascending.
    """
    result = normalize(text, normalization)
    if result == text:
        begins = np.arange(len(text), dtype=np.int64)
        return result, begins, begins + 1
    borders, parts = _independent_chunks(text, normalization)
    if "".join(parts) != result:
        borders, parts = [0, len(text)], [result]
    begins_list: list[int] = []
    ends_list: list[int] = []
    for (begin, end), part in zip(pairwise(borders), parts, strict=True):
        if part == text[begin:end]:
            begins_list.extend(range(begin, end))
            ends_list.extend(range(begin + 1, end + 1))
        else:
            begins_list.extend([begin] * len(part))
            ends_list.extend([end] * len(part))
    return result, np.array(begins_list, dtype=np.int64), np.array(ends_list, dtype=np.int64)


def _independent_chunks(text: str, normalization: Normalization) -> tuple[list[int], list[str]]:
    """Borders (one more than chunks) and normalised chunks.

    A chunk can begin only at a character that does not combine, and two neighbours stay apart only if
    normalising them together gives the same as normalising them alone: that keeps Hangul jamo, Indic vowel
    signs and half-width voicing marks, which compose although their combining class is zero, with what they
    compose with.
    """
    borders = [0]
    parts: list[str] = []
    begin = 0
    starts = [i for i, c in enumerate(text) if i and not unicodedata.combining(c)]
    for end in [*starts, len(text)]:
        part = normalize(text[begin:end], normalization)
        while parts:
            before = borders[-2]
            together = normalize(text[before:end], normalization)
            if together == parts[-1] + part:
                break
            parts.pop()
            borders.pop()
            begin, part = before, together
        parts.append(part)
        borders.append(end)
        begin = end
    return borders, parts
