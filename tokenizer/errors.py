"""The error of this package, and the check that a text has a UTF-8 form."""

from __future__ import annotations

from collections.abc import Iterable


class TokenizerError(ValueError):
    """Bad text, a bad option or a bad model file; the message names it and what was expected."""


class VocabularySizeError(TokenizerError):
    """A vocabulary that does not fit its text.

    Attributes:
        most: the largest number of pieces that the text can fill; None if it is not known.
        least: pieces that the characters of the text need; None if that is not what is wrong.
    """

    def __init__(self, message: str, *, most: int | None = None, least: int | None = None) -> None:
        super().__init__(message)
        self.most, self.least = most, least


def utf8_length(text: str) -> int:
    """UTF-8 bytes of `text`.

    Raises:
        TokenizerError: `text` holds a lone surrogate, which has no UTF-8 form; names its place.
    """
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        at = error.start
        raise TokenizerError(
            f"text: expected Unicode, found the lone surrogate U+{ord(text[at]):04X} at character {at}, "
            f"in {text[max(0, at - 10) : at + 10]!r}"
        ) from None


def require_encodable(texts: Iterable[str], num_threads: int | None) -> None:
    """Check what a tokenizer is given, before it begins.

    Raises:
        TokenizerError: a text holds a lone surrogate, or `num_threads` is not positive.
    """
    if num_threads is not None and num_threads < 1:
        raise TokenizerError(f"num_threads: expected at least 1, got {num_threads}")
    for text in texts:
        if not text.isascii():
            utf8_length(text)
