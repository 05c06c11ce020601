"""Errors that speak to the person at the keyboard."""

from __future__ import annotations


class InputError(ValueError):
    """Input from outside (a file, an option, a field) that cannot be used.

    The message names the file, line or field, and says what was expected. The command line prints it without
    a traceback and exits with status 2.
    """


class SaidError(InputError):
    """Input that cannot be used, of which this process has nothing more to say.

    One of the processes that train together has said it, or is about to. The exit status is 2 all the same.
    """
