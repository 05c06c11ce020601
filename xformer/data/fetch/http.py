"""One HTTP request of a download, and what its failure means: try again, never, or no such file.

The standard library is enough: it follows redirects, takes proxies from the environment (`https_proxy`,
`no_proxy`) and certificates from the system or `SSL_CERT_FILE`. Every byte is counted here, because
`http.client` returns a body that was cut short without an error when it is read in pieces.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from xformer.data.fetch.errors import BeyondTheEnd, FetchError, Missing, NotModified, Refused, Temporary
from xformer.data.fetch.pace import Pace
from xformer.data.fetch.patience import Patience
from xformer.errors import InputError
from xformer.version import __version__

USER_AGENT = f"xformer/{__version__} (corpus download; Python urllib)"

_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_NO_SUCH_FILE = {404, 410}
_NO_SUCH_METHOD = {405, 501}
_LONGEST_TEXT = 64 * 2**20
_CHUNK = 2**18


@dataclass(frozen=True)
class Client:
    """How requests are made.

    Attributes:
        timeout (s): longest wait for a connection and for the next bytes.
        retries: failures in a row before a download is given up.
        backoff (s): wait after the first failure; it doubles with each one.
        user_agent: what is sent as `User-Agent`.
        say: called with a line when something is tried again.
        sleep: waits so many seconds.
        clock: the time in seconds, from any beginning.
    """

    timeout: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    user_agent: str = USER_AGENT
    say: Callable[[str], None] = lambda line: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"--timeout: expected seconds above 0, got {self.timeout}")
        if self.retries < 0:
            raise InputError(f"--retries: expected 0 or more, got {self.retries}")

    def patience(self, name: str) -> Patience:
        """A count of failures for one file."""
        return Patience(name, self.retries, self.backoff, self.say, self.sleep)

    def pace(self, url: str) -> Pace:
        """A watch on the speed of one response."""
        return Pace(url, self.timeout, self.clock)

    @contextmanager
    def open(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Iterator[http.client.HTTPResponse]:
        """Send one request.

        Args:
            url: http or https.
            headers: more headers, such as `Range`.
            method: `GET` or `HEAD`.

        Yields:
            The response, with status 200 or 206. Errors of reading it inside the block are converted.

        Raises:
            InputError: the address has no such form.
            Temporary: it may work later: no answer, a cut connection, or 429 and 5xx.
            Missing: 404 and 410.
            Refused: other errors.
            BeyondTheEnd: 416.
            NotModified: 304.
            FetchError: the certificate is wrong, or there is no such machine.
        """
        check_address(url)
        sent = {"User-Agent": self.user_agent, "Accept-Encoding": "identity", **(headers or {})}
        request = urllib.request.Request(url, headers=sent, method=method)
        try:
            with urllib.request.build_opener().open(request, timeout=self.timeout) as response:
                if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
                    coding = response.headers["Content-Encoding"]
                    raise FetchError(f"{url}: the server sends it as {coding}, which was not asked for")
                yield response
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    raise NotModified from None
                raise _meaning(url, error.code, error.reason, error.headers) from None
        except urllib.error.URLError as error:
            raise _of_the_network(url, error.reason) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise  # of a file, not of the network
            raise _of_the_network(url, error) from error

    def text(self, url: str) -> str:
        """Get a page or a JSON text, again where that helps.

        Raises:
            FetchError: it does not come, is larger than 64 MiB, or is no UTF-8.
        """
        patience = self.patience(url)
        while True:
            try:
                with self.open(url) as response:
                    expected = response.headers.get("Content-Length", "")
                    content, pace = bytearray(), self.pace(url)
                    while len(content) <= _LONGEST_TEXT and (piece := response.read1(_CHUNK)):
                        content += piece
                        pace.came(len(piece))
                if expected.isdecimal() and len(content) < min(int(expected), _LONGEST_TEXT):
                    raise Temporary(f"{url}: the connection was cut after {len(content):,} bytes")
                break
            except Temporary as error:
                patience.failed(error)
        if len(content) > _LONGEST_TEXT:
            raise FetchError(f"{url}: expected a list, got more than {_LONGEST_TEXT // 2**20} MiB")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FetchError(f"{url}: expected UTF-8, got other bytes") from error

    def headers(self, name: str, url: str, conditions: Mapping[str, str]) -> Message:
        """What a server says of a file, by HEAD; where it knows no HEAD, by a GET whose body is left unread.

        Args:
            name: of the file, for messages.
            url: its address.
            conditions: headers such as `If-None-Match`.

        Raises:
            NotModified: the conditions say that the file is the one that is known.
            FetchError: as `open`; after retries.
        """
        patience, method = self.patience(name), "HEAD"
        while True:
            try:
                with self.open(url, conditions, method) as response:
                    return response.headers
            except Temporary as error:
                patience.failed(error)
            except Refused as error:
                if method == "GET" or error.status not in _NO_SUCH_METHOD:
                    raise
                method = "GET"

    def size(self, url: str) -> int | None:
        """Bytes of a file; None if the server does not say. Raises as `headers`."""
        return content_length(self.headers(url, url, {}))


def check_address(url: str) -> None:
    """Check that an address is http or https with a host.

    Raises:
        InputError: it is not.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(ord(c) <= 32 for c in url):
        raise InputError(f"{url}: expected an address such as https://example.org/folder")


def content_length(headers: Message) -> int | None:
    """Bytes of the body, as its header says; None if it does not."""
    value = str(headers.get("Content-Length", "")).strip()
    return int(value) if value.isdecimal() else None


def retry_after(headers: Message) -> float | None:
    """Seconds to wait, from `Retry-After`, which has seconds or a date (RFC 9110, 10.2.3)."""
    value = str(headers.get("Retry-After", "")).strip()
    if value.isdecimal():
        return float(value)
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _meaning(url: str, status: int, reason: str, headers: Message) -> Exception:
    """The exception for a response that is an error."""
    if status == 416:
        total = str(headers.get("Content-Range", "")).rpartition("/")[2]
        return BeyondTheEnd(int(total) if total.isdecimal() else None)
    said = f"{url}: {status} {reason}"
    if status in _TRY_AGAIN:
        return Temporary(said, retry_after(headers))
    if status in _NO_SUCH_FILE:
        return Missing(said)
    hint = (
        "; some servers refuse unknown programs: --user-agent names another" if status in (403, 406) else ""
    )
    return Refused(said + hint, status)


def _of_the_network(url: str, reason: object) -> Exception:
    """The exception for a request without a response, or with half of one."""
    host = urlsplit(url).hostname
    if isinstance(reason, ssl.SSLCertVerificationError):
        return FetchError(
            f"{url}: the certificate of {host} is not trusted ({reason.verify_message}); SSL_CERT_FILE names "
            "other certificates"
        )
    if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
        return FetchError(f"{url}: there is no machine {host}, or no network; https_proxy names a proxy")
    if isinstance(reason, TimeoutError):
        return Temporary(f"{url}: no answer in time")
    if isinstance(reason, http.client.IncompleteRead):
        return Temporary(f"{url}: the connection was cut")
    return Temporary(f"{url}: {getattr(reason, 'strerror', None) or reason or type(reason).__name__}")
