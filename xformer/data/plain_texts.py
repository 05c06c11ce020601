"""Texts with NFC and single spaces: equal where the characters are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

_END = "\0"
_LAST_WHITE = 0x3000


def plain_texts(texts: Sequence[str]) -> list[str]:
    """The texts after NFC, with one space for each run of white space and none at their ends.

    Args:
        texts: (Q,) in any language.
    """
    plain = [unicodedata.normalize("NFC", text) for text in texts]
    codes = np.frombuffer(_END.join([*plain, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    white = _white()[np.minimum(codes, _LAST_WHITE + 1)]
    # Most texts have nothing but spaces that stand alone inside; only the others are split.
    stop = white | (codes == ord(_END))
    odd = white & (codes != ord(" "))
    odd[1:] |= white[1:] & stop[:-1]
    odd[:-1] |= white[:-1] & stop[1:]
    odd[:1] |= white[:1]
    ends = np.cumsum(np.fromiter(map(len, plain), dtype=np.int64, count=len(plain)) + 1)
    for place in np.unique(np.searchsorted(ends, np.flatnonzero(odd), "right")).tolist():
        plain[place] = " ".join(plain[place].split())
    return plain


@cache
def _white() -> NDArray[np.bool_]:
    """Whether a character is white space, up to one after the last that is."""
    return np.array([chr(code).isspace() for code in range(_LAST_WHITE + 2)])
