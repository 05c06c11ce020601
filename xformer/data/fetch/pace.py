"""How fast a response comes, and when that is too slow."""

from __future__ import annotations

from collections.abc import Callable

from xformer.data.fetch.errors import Temporary

LEAST = 1024
"""Bytes that have to come within the client's timeout. Fewer, and another connection is made."""


class Pace:
    """Watches the bytes of one response.

    The timeout of a connection is that of one read: a server that sends a byte now and then would hold it
    for ever.

    Args:
        url: the address, for the message.
        timeout: seconds within which `LEAST` bytes have to come.
        clock: the time, in seconds.
    """

    def __init__(self, url: str, timeout: float, clock: Callable[[], float]) -> None:
        self._url, self._timeout, self._clock = url, timeout, clock
        self._since, self._came = clock(), 0

    def came(self, size: int) -> None:
        """Count bytes.

        Raises:
            Temporary: almost nothing has come for longer than the timeout.
        """
        self._came += size
        if (now := self._clock()) - self._since > self._timeout:
            if self._came < LEAST:
                seconds = f"{now - self._since:.0f} s"
                raise Temporary(f"{self._url}: only {self._came:,} bytes came in {seconds}")
            self._since, self._came = now, 0
