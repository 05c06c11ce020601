"""One file, from a server into a folder: resumed, checked, and put in place when it is whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from pathlib import Path

from xformer.data.fetch.errors import BeyondTheEnd, FetchError, NotModified, Temporary
from xformer.data.fetch.http import Client, content_length
from xformer.data.fetch.integrity import Show, damage, wrong_beginning
from xformer.data.fetch.pace import LEAST, Pace
from xformer.data.fetch.part import Origin, Part, open_part
from xformer.data.fetch.patience import Patience
from xformer.data.fetch.record import FetchRecord
from xformer.errors import InputError

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_SPOILED = 2  # times that a whole file may be damaged


@dataclass(frozen=True)
class Remote:
    """A file to fetch.

    Attributes:
        url: its address.
        name: its name here, without a folder.
        optional: whether the server may not have it.
    """

    url: str
    name: str
    optional: bool = False


@dataclass(frozen=True)
class Fetched:
    """A file that is here.

    Attributes:
        path: where.
        record: what is known of it.
        kept: whether it was here before.
        resumed: bytes that were here before from a download that had been cut short.
    """

    path: Path
    record: FetchRecord
    kept: bool = False
    resumed: int = 0


def fetch_file(
    client: Client,
    remote: Remote,
    folder: str | os.PathLike[str],
    licence: Callable[[Path], str],
    *,
    update: bool = False,
    show: Show = lambda what, done, total: None,
) -> Fetched:
    """Fetch a file, unless it is here.

    Its bytes go to `NAME.part`. When all are here and right, the file gets its name, and `NAME.fetched.json`
    says what it is. A part of an earlier try is continued if the server still has the same file. Two
    processes that want the same file take turns: the second one finds it.

    Args:
        client: makes the requests.
        remote: the file.
        folder: where to; made if missing.
        licence: tells the licence of the text in a whole file.
        update: ask the server whether a file that is here has changed, and fetch it if so.
        show: called with a name and progress in bytes.

    Raises:
        FetchError: the server does not give the file, or a damaged one twice.
        InputError: there is not enough room on the disk.
        OSError: the folder cannot be written.
    """
    target = Path(folder, remote.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not update and (here := _kept(client, target, licence)) is not None:
        return here
    with open_part(target, client.say) as part:
        here = _kept(client, target, licence)
        if here is not None and (not update or _unchanged(client, here)):
            return here
        resumed = part.size
        download = _Download(client, remote, part, show)
        download.run()
        assert part.origin is not None
        record = FetchRecord.of(part.path, part.origin, licence(part.path))
        # First the record: without the file it is nothing, but a file without it might be another one's.
        record.write(target)
        part.finish(target)
        return Fetched(target, record, resumed=0 if download.started_over else resumed)


def _kept(client: Client, target: Path, licence: Callable[[Path], str]) -> Fetched | None:
    """The file, if it is here and whole."""
    if not target.is_file():
        return None
    record = FetchRecord.read(target)
    if record is None:
        # Someone put it there by hand.
        origin = Origin("")
        if (wrong := damage(target, target.name, origin, lambda what, done, total: None)) is not None:
            raise InputError(f"{target}: {wrong}; remove it, and it is fetched again")
        record = FetchRecord.of(target, origin, licence(target))
        record.write(target)
        return Fetched(target, record, kept=True)
    if record.describes(target):
        return Fetched(target, record, kept=True)
    client.say(f"{target}: not the file that was fetched on {record.fetched[:10]}; fetching it again")
    return None


def _unchanged(client: Client, here: Fetched) -> bool:
    """Whether the server still has the file that is here, by its ETag or its date."""
    record = here.record
    conditions = {"If-None-Match": record.etag, "If-Modified-Since": record.modified}
    known = {name: value for name, value in conditions.items() if value}
    if not known or not record.url:
        return False
    try:
        headers = client.headers(here.path.name, record.url, known)
    except NotModified:
        return True
    # Not every server heeds conditions.
    now = Origin.of(record.url, headers, size=None)
    return Origin(record.url, record.etag, record.modified).same_file(now)


class _Download:
    """The tries to complete a part.

    Attributes:
        started_over: whether bytes of an earlier process were thrown away.
    """

    def __init__(self, client: Client, remote: Remote, part: Part, show: Show) -> None:
        self._client, self._remote, self._part, self._show = client, remote, part, show
        self.started_over = False

    def run(self) -> None:
        """Fetch what is missing, and check all of it."""
        patience, spoiled = self._client.patience(self._remote.name), 0
        while True:
            try:
                if not self._complete():
                    self._request(patience)
            except Temporary as error:
                patience.failed(error)
                continue
            origin = self._part.origin
            if origin is None:  # thrown away
                continue
            wrong = damage(self._part.path, self._remote.name, origin, self._show)
            if wrong is None:
                return
            self._part.begin(None)
            self.started_over, spoiled = True, spoiled + 1
            if spoiled == _SPOILED:
                raise FetchError(f"{self._remote.url}: {wrong}; so it was twice, and it was thrown away")
            self._client.say(f"{self._remote.name}: {wrong}; fetching it again")

    def _complete(self) -> bool:
        origin = self._part.origin
        return origin is not None and origin.url == self._remote.url and origin.size == self._part.size

    def _request(self, patience: Patience) -> None:
        """One request: from where the part ends, or from the beginning."""
        part, url, headers = self._part, self._remote.url, {}
        if part.origin is not None:
            if part.origin.url == url and part.origin.validator is not None:
                headers = {"Range": f"bytes={part.size}-", "If-Range": part.origin.validator}
            else:
                self._start_over("cannot be continued")
        try:
            with self._client.open(url, headers) as response:
                pace = self._client.pace(url)
                if response.status == 206:
                    if not headers:
                        raise FetchError(f"{url}: the server sends a piece where all was asked for")
                    if not self._continues(response):
                        return
                else:
                    self._begin(response, pace)
                self._receive(response, patience, pace)
        except BeyondTheEnd as error:
            if not headers:
                raise FetchError(f"{url}: 416 where all was asked for") from error
            # The part is all there is, if the size that was announced was wrong; otherwise it is too much.
            if part.origin is not None and error.size == part.size:
                part.note(Origin(url, part.origin.etag, part.origin.modified, part.size))
            else:
                self._start_over("is longer here than on the server")

    def _continues(self, response: HTTPResponse) -> bool:
        """Whether a response with a part has the bytes that come next."""
        part, origin = self._part, self._part.origin
        match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if origin is not None and match is not None and int(match[1]) == part.size:
            size = origin.size if match[2] == "*" else int(match[2])
            now = Origin.of(self._remote.url, response.headers, size=size)
            differs = [
                a for a, b in ((origin.etag, now.etag), (origin.modified, now.modified)) if a and b and a != b
            ]
            if not differs and (origin.size is None or size in (origin.size, None)):
                part.note(replace(origin, size=size))
                self._client.say(f"{self._remote.name}: goes on after {part.size:,} bytes")
                return True
        self._start_over("has changed on the server, or comes in other pieces than asked for")
        return False

    def _begin(self, response: HTTPResponse, pace: Pace) -> None:
        """Take a response with all of the file, after a look at its first bytes."""
        url, size = self._remote.url, content_length(response.headers)
        now = Origin.of(url, response.headers, size=size)
        if self._part.origin is not None:
            same = self._part.origin.same_file(now)
            self._start_over("comes from the beginning again" if same else "has changed on the server")
        if size is not None:
            _check_room(self._part.path, size)
        first = b""
        while len(first) < LEAST and (content := response.read1(LEAST)):
            first += content
            pace.came(len(content))
        if (wrong := wrong_beginning(self._remote.name, first)) is not None and len(first) >= 4:
            raise FetchError(f"{url}: {wrong}")
        self._part.begin(now)
        self._part.append(first)

    def _start_over(self, why: str) -> None:
        if self._part.size:
            self._client.say(f"{self._remote.name}: {why}; starting over")
            self.started_over = True
        self._part.begin(None)

    def _receive(self, response: HTTPResponse, patience: Patience, pace: Pace) -> None:
        """Write what comes, until all is here.

        Raises:
            Temporary: the connection was cut, or almost nothing comes.
        """
        part, name = self._part, self._remote.name
        assert part.origin is not None
        size = part.origin.size
        begun = part.size
        self._show(name, part.size, size)
        while size is None or part.size < size:
            content = response.read1(_CHUNK if size is None else min(_CHUNK, size - part.size))
            if not content:
                break
            part.append(content)
            if part.size - begun >= LEAST:
                patience.reached(part.size)
            self._show(name, part.size, size)
            pace.came(len(content))
        if size is None:  # the connection's end was the file's; `damage` sees if it was not
            part.note(replace(part.origin, size=part.size))
        elif part.size < size:
            here = f"{part.size:,} of {size:,} bytes"
            raise Temporary(f"{self._remote.url}: the connection was cut after {here}")


def _check_room(path: Path, size: int) -> None:
    """Raise InputError if a file does not fit on the disk."""
    free = shutil.disk_usage(path.parent).free + path.stat().st_size
    if size > free:
        raise InputError(f"{path.parent}: has room for {free:,} bytes, {path.name} needs {size:,}")
