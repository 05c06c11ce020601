"""What can go wrong between a file on a server and the file here."""

from __future__ import annotations


class FetchError(Exception):
    """A server, or the network, does not give a file. The command line prints it and exits with status 1."""


class Missing(FetchError):
    """The server has no such file (404, 410)."""


class Refused(FetchError):
    """The server does not give the file to this program (401, 403, 406 …).

    Attributes:
        status: of the response.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class GivenUp(FetchError):
    """So many failures in a row that it is no use."""


class Temporary(Exception):
    """A failure that may be over soon.

    Attributes:
        wait: seconds after which the server wants to be asked again; None if it does not say.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class BeyondTheEnd(Exception):
    """The file ends before the byte that was asked for (416).

    Attributes:
        size: of the file, in bytes; None if the server does not say.
    """

    def __init__(self, size: int | None) -> None:
        super().__init__(f"the file has {size} bytes")
        self.size = size


class NotModified(Exception):
    """The file is the one that is known already (304)."""
