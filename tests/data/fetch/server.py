"""A web server that does what servers do on bad days."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Drip:
    """A client's clock, which goes on by two seconds each time it is read, and lets a byte go with them."""

    def __init__(self) -> None:
        self._now, self._gate = 0.0, threading.Semaphore(0)

    def __call__(self) -> float:
        self._now += 2.0
        self._gate.release()
        return self._now

    def gate(self) -> threading.Semaphore:
        """The gate of a new response; those of earlier ones, which nobody reads, stay shut."""
        self._gate = threading.Semaphore(0)
        return self._gate


@dataclass(frozen=True)
class Answer:
    """How one request is answered.

    Attributes:
        status: None: 200, 206, 304, 404 or 416, as it should be.
        headers: more headers.
        content: instead of the file.
        cut: bytes of the body after which the connection is closed; None: all are sent.
        announce: what Content-Length says; None: the truth. -1: there is no such header.
        ranges: whether `Range` is understood.
        tagged: whether there is an ETag.
        condition: whether `If-Range` is understood.
        pause: seconds between pieces of the body.
        piece: their bytes.
        drip: instead, lets the body go byte by byte.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    cut: int | None = None
    announce: int | None = None
    ranges: bool = True
    tagged: bool = True
    condition: bool = True
    pause: float = 0.0
    piece: int = 1
    drip: Drip | None = None


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    range: str | None
    agent: str | None


class Server:
    """Files by their paths, and what to do instead of serving them.

    Attributes:
        url: the address.
        files: what is served; a path may have a query.
        answers: for a path, answers that are used up one by one.
        always: for a path, the answer after those.
        asked: the requests so far.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, deque[Answer]] = defaultdict(deque)
        self.always: dict[str, Answer] = {}
        self.asked: list[Asked] = []

    def script(self, path: str, *answers: Answer) -> None:
        self.answers[path].extend(answers)

    def ranges(self, path: str) -> list[str | None]:
        """What was asked for of a file, by GET."""
        return [one.range for one in self.asked if one.path == path and one.method == "GET"]

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        path, headers = handler.path, handler.headers
        self.asked.append(Asked(handler.command, path, headers.get("Range"), headers.get("User-Agent")))
        script = self.answers[path]
        answer = script.popleft() if script else self.always.get(path, Answer())
        content = self.files.get(path) if answer.content is None else answer.content
        status, sent = answer.status, dict(answer.headers)
        if content is None:
            status, content = status or 404, b"nothing here"
        etag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        if answer.tagged:
            sent.setdefault("ETag", etag)
        body = content
        if status is None:
            status = 200
            match = re.fullmatch(r"bytes=(\d+)-", headers.get("Range", ""))
            current = not answer.condition or headers.get("If-Range") in (None, sent.get("ETag"))
            if headers.get("If-None-Match") == sent.get("ETag", "none"):
                status, body = 304, b""
            elif match and answer.ranges and current:
                start = int(match[1])
                status, body = (206, content[start:]) if start < len(content) else (416, b"")
                last = f"{start}-{len(content) - 1}" if status == 206 else "*"
                sent.setdefault("Content-Range", f"bytes {last}/{len(content)}")
        gate = None if answer.drip is None else answer.drip.gate()
        handler.send_response(status)
        length = len(body) if answer.announce is None else answer.announce
        if length >= 0:
            sent["Content-Length"] = str(length)
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        body = body[: answer.cut]
        if gate is not None:
            for byte in body:
                if not gate.acquire(timeout=20):
                    return
                handler.wfile.write(bytes([byte]))
            return
        if not answer.pause:
            handler.wfile.write(body)
            return
        for start in range(0, len(body), answer.piece):
            handler.wfile.write(body[start : start + answer.piece])
            time.sleep(answer.pause)


@contextmanager
def serving() -> Iterator[Server]:
    """A server on this machine, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                server.respond(self)
            except (BrokenPipeError, ConnectionResetError):  # the client has had enough
                self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.daemon_threads = True
        server = Server(f"http://127.0.0.1:{web.server_port}")
        assert urlsplit(server.url).port
        thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            web.shutdown()
            thread.join()
