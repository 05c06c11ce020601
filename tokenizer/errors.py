"""The error of this package."""

from __future__ import annotations


class TokenizerError(ValueError):
    """Bad text, a bad option or a bad model file; the message names it and what was expected."""


def surrogate_error(error: UnicodeEncodeError) -> TokenizerError:
    """The error for a lone surrogate, which has no UTF-8 form; names its place in the text."""
    text, at = error.object, error.start
    return TokenizerError(
        f"text: expected Unicode, found the lone surrogate U+{ord(text[at]):04X} at character {at}, "
        f"in {text[max(0, at - 10) : at + 10]!r}"
    )
