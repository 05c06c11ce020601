"""Errors with messages for the user of the command line."""

from __future__ import annotations


class InputError(ValueError):
    """Input from outside (a file, an option, a field) that cannot be used.

    The message names the file, line or field, and what was expected. The command line prints it without
    a traceback and exits with status 2.
    """


class ReportedError(InputError):
    """Input that cannot be used, where another process prints the message.

    Of the processes that train together, one prints it. All exit with status 2.
    """
