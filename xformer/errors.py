"""Errors that speak to the person at the keyboard."""

from __future__ import annotations


class InputError(ValueError):
    """Input from outside (a file, an option, a field) that cannot be used.

    The message names the file, line or field, and says what was expected. The command line prints it without
    a traceback and exits with status 2.
    """
