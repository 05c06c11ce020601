"""How often and when a failed request is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

from xformer.data.fetch.errors import GivenUp, Temporary

_LONGEST_BACKOFF = 60.0  # seconds
_LONGEST_WAIT = 600.0


class Patience:
    """Counts the failures in a row of one file, and waits between them.

    The wait doubles with each failure up to a minute, and is up to a quarter shorter or longer by chance, so
    that many programs that failed together do not come back together. `Retry-After` of a server counts more.
    """

    def __init__(
        self,
        name: str,
        retries: int,
        backoff: float,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._name, self._retries, self._backoff = name, retries, backoff
        self._say, self._sleep = say, sleep
        self._failures = 0
        self._furthest = 0

    def reached(self, done: int) -> None:
        """Tell how far the download is, in bytes. Further than ever before, and the count starts again."""
        if done > self._furthest:
            self._furthest, self._failures = done, 0

    def failed(self, error: Temporary) -> None:
        """Wait before the next try.

        Raises:
            GivenUp: there were too many failures in a row, or the server wants a wait of more than ten
                minutes.
        """
        self._failures += 1
        if error.wait is not None and error.wait > _LONGEST_WAIT:
            minutes = round(error.wait / 60)
            raise GivenUp(f"{error}; it asks to come back in {minutes} minutes") from error
        if self._failures > self._retries:
            times = "once" if self._failures == 1 else f"{self._failures} times in a row"
            raise GivenUp(f"{error} ({times})") from error
        wait = min(_LONGEST_BACKOFF, self._backoff * 2 ** (self._failures - 1)) * random.uniform(0.75, 1.25)
        wait = wait if error.wait is None else max(wait, error.wait)
        self._say(f"{error}; try {self._failures + 1} of {self._retries + 1} in {wait:.0f} s")
        self._sleep(wait)
