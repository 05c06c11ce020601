"""Deduplication keys: equal where two texts are the same to a reader."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

# What a program fills in: %s, %(name)d, %1$s, {}, {name}, {0:.2f}, ${name}.
_PLACEHOLDER = re.compile(r"%(?:\(\w*\)|\d+\$)?[-#0 +]*[\d.*]*[a-zA-Z](?![a-zA-Z])|\$?\{[\w.:!\[\]-]*\}")


class DedupKeys(dict[int, int | None]):
    """Computes deduplication keys of texts, as a `str.translate` table that adds characters as they occur.

    It keeps letters and their marks. Marks stay because Indic and Thai vowels are marks: without them
    different words become equal.

    >>> key = DedupKeys()
    >>> key("Enter a valid e-mail address.") == key("ENTER A VALID  EMAIL ADDRESS: %(email)s")
    True
    """

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


def text_hash(*parts: str) -> int:
    """64 bits of the BLAKE2b hash of a tuple of texts; on collisions see `group_hash`."""
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little")
