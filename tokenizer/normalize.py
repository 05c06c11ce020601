"""Unicode normalisation, and the original characters of each normalised character.

Python's `unicodedata` normalises the text before SentencePiece: it implements the whole standard (UAX #15).
SentencePiece's own rules replace fixed strings, so they cannot reorder combining marks (Hebrew points, Arabic
vowel signs), and have no NFC.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import utf8_length
from .options import Normalization

_FORMS: dict[Normalization, Literal["NFC", "NFKC"]] = {"nfc": "NFC", "nfkc": "NFKC"}


def normalize(text: str, normalization: Normalization) -> str:
    """`text` in the given form; `"identity"` returns it unchanged.

    Raises:
        TokenizerError: `text` holds a lone surrogate.
    """
    if not text.isascii():
        utf8_length(text)
    if normalization == "identity":
        return text
    return unicodedata.normalize(_FORMS[normalization], text)


def normalize_with_alignment(
    text: str, normalization: Normalization
) -> tuple[str, NDArray[np.int64], NDArray[np.int64]]:
    """Normalise a text, and find where each character came from.

    The text is cut into the smallest chunks that normalise independently. All characters of a changed chunk
    have the whole chunk as their origin, because reordered marks cannot be matched one to one.

    Returns:
        The normalised text of m characters, and where the origin of each begins and ends in `text`: two
        ascending arrays `(m,)`.
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
    """The borders of the chunks (one more than chunks), and the normalised chunks.

    A chunk begins at a character that does not combine. Two neighbours are separate chunks only if
    normalising them together gives the same as separately. So Hangul jamo, Indic vowel signs and half-width
    voicing marks, which compose although their combining class is zero, are in one chunk with their base.
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
