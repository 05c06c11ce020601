"""The one error of this package."""

from __future__ import annotations


class TokenizerError(ValueError):
    """Bad text, a bad option or a bad model file; the message names it and says what was expected."""
