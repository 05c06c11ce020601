"""A server, a client that does not wait long, and a file to fetch."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data.fetch.server import Server, serving
from xformer.data.fetch.files import Fetched, Remote, fetch_file
from xformer.data.fetch.http import Client

Fetch = Callable[..., Fetched]
WHOLE = ["corpus.zip", "corpus.zip.fetched.json"]


PATH = "/corpus.zip"


def zipped(seed: int = 0, size: int = 60_000) -> bytes:
    """A zip of noise, which no compression makes small."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # Named by a string, an entry has the time of this moment, and two archives of the same would differ.
        archive.writestr(zipfile.ZipInfo("a.txt"), random.Random(seed).randbytes(size), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("b.txt"), "the second one" * 10, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


CONTENT = zipped()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


class Told:
    """What a client said, and how long it wanted to sleep."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.waits: list[float] = []


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def client(told: Told) -> Client:
    return Client(timeout=10.0, retries=3, say=told.lines.append, sleep=told.waits.append)


@pytest.fixture
def fetch(server: Server, client: Client, tmp_path: Path) -> Fetch:
    server.files[PATH] = CONTENT

    def run(name: str = "corpus.zip", **options: Any) -> Fetched:
        remote = Remote(f"{server.url}/{name}", name)
        return fetch_file(
            options.pop("client", client), remote, tmp_path / "to", lambda _: "CC0-1.0", **options
        )

    return run


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "to").iterdir())
