"""Deduplication keys: what is left of a text for the question whether a reader has seen it before."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

# What a program fills in: %s, %(name)d, %1$s, {}, {name}, {0:.2f}, ${name}.
_PLACEHOLDER = re.compile(r"%(?:\(\w*\)|\d+\$)?[-#0 +]*[\d.*]*[a-zA-Z](?![a-zA-Z])|\$?\{[\w.:!\[\]-]*\}")

_BETWEEN = "\0"  # no placeholder reaches over it, and no character joins with it

_UNKNOWN, _DROPPED, _KEPT = range(3)


class DedupKeys(dict[int, int | None]):
    """Computes deduplication keys of texts, as a `str.translate` table that adds characters as they occur.

    It keeps letters and their marks. Marks stay because Indic and Thai vowels are marks: without them
    different words become equal.

    >>> key = DedupKeys()
    >>> key("Enter a valid e-mail address.") == key("ENTER A VALID  EMAIL ADDRESS: %(email)s")
    True
    """

    def __init__(self) -> None:
        super().__init__()
        self._fate = np.zeros(0x110000, dtype=np.uint8)  # _UNKNOWN
        self._fate[ord(_BETWEEN)] = _KEPT

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LM" else None
        return self[code]

    def __call__(self, text: str) -> str:
        """The letters of `text`: NFKC, casefolded, without placeholders, digits, punctuation and spaces.

        A text with no letter is its own key, after NFKC and with single spaces: `100 %` differs from `→`.
        """
        folded = unicodedata.normalize("NFKC", _PLACEHOLDER.sub(" ", text)).casefold()
        letters = folded.translate(self)
        return letters or " ".join(unicodedata.normalize("NFKC", text).split())

    def of(self, texts: Sequence[str]) -> list[str]:
        """The keys of many texts: the same as one by one, several times as fast. No key has a line feed."""
        joined = _BETWEEN.join([unicodedata.normalize("NFKC", text) for text in self._filled_in(texts)])
        if joined.count(_BETWEEN) != len(texts) - 1:
            return [self(text) for text in texts]
        codes = np.frombuffer(joined.casefold().encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        keys = codes[self._keeps(codes)].tobytes().decode("utf-32-le", "surrogatepass").split(_BETWEEN)
        place = -1
        for _ in range(keys.count("")):
            place = keys.index("", place + 1)
            keys[place] = self(texts[place])
        return keys

    def _filled_in(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts without placeholders."""
        joined = _BETWEEN.join(texts)
        if "%" not in joined and "{" not in joined:
            return texts
        return [_PLACEHOLDER.sub(" ", text) if "%" in text or "{" in text else text for text in texts]

    def _keeps(self, codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether each character stays."""
        fate = self._fate[codes]
        if not fate.all():
            for code in np.unique(codes[fate == _UNKNOWN]).tolist():
                self._fate[code] = _DROPPED if self[code] is None else _KEPT
            fate = self._fate[codes]
        kept: NDArray[np.bool_] = fate == _KEPT
        return kept


def text_hash(*parts: str) -> int:
    """64 bits of the BLAKE2b hash of a tuple of texts; on collisions see `group_hash`."""
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little")
