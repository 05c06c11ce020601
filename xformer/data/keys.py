"""What makes two texts the same: a key without case, spacing, punctuation, digits and placeholders."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

# What a program fills in: %s, %(name)d, %1$s, {}, {name}, {0:.2f}, ${name}.
_PLACEHOLDER = re.compile(r"%(?:\(\w*\)|\d+\$)?[-#0 +]*[\d.*]*[a-zA-Z](?![a-zA-Z])|\$?\{[\w.:!\[\]-]*\}")


class _LettersOnly(dict[int, int | None]):
    """A `str.translate` table that keeps letters and the marks upon them; it fills itself as characters
    occur.

    Marks must stay: Indic and Thai vowels are marks, and without them different words become one.
    """

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LM" else None
        return self[code]


class TextKeys:
    """Computes keys of texts; equal keys mean the same text to a reader.

    >>> key = TextKeys()
    >>> key("Enter a valid e-mail address.") == key("ENTER A VALID  EMAIL ADDRESS: %(email)s")
    True
    """

    def __init__(self) -> None:
        self._letters_only = _LettersOnly()

    def __call__(self, text: str) -> str:
        """The letters of `text`: NFKC, casefolded, without placeholders, digits, punctuation and spaces.

        A text with no letter is its own key, after NFKC and with its spaces normalised: `100 %` is not `→`.
        """
        folded = unicodedata.normalize("NFKC", _PLACEHOLDER.sub(" ", text)).casefold()
        letters = folded.translate(self._letters_only)
        return letters or " ".join(unicodedata.normalize("NFKC", text).split())


def text_number(*parts: str) -> int:
    """A number for a tuple of texts: 64 bits of a BLAKE2b hash; see `group_number` on collisions."""
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little")
