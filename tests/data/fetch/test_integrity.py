"""Files that arrive with other bytes than they should have."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
from pathlib import Path

import pytest

from tests.data.fetch.conftest import CONTENT, PATH, WHOLE, Fetch, Told, names
from tests.data.fetch.server import Answer, Server
from xformer.data.fetch.errors import FetchError


@pytest.mark.parametrize("name", ["Content-MD5", "Repr-Digest", "Digest"])
def test_wrong_checksums(fetch: Fetch, server: Server, tmp_path: Path, name: str) -> None:
    algorithm = "md5" if name == "Content-MD5" else "sha256"
    right = base64.b64encode(hashlib.new(algorithm, CONTENT).digest()).decode()
    wrong = base64.b64encode(hashlib.new(algorithm, b"other").digest()).decode()
    form = {"Content-MD5": "{}", "Repr-Digest": "sha-256=:{}:", "Digest": "SHA-256={}"}[name]
    server.script(PATH, Answer(headers={name: form.format(wrong)}))
    server.script(PATH, Answer(headers={name: form.format(right)}))
    assert fetch().path.read_bytes() == CONTENT
    server.always["/b.zip"] = Answer(content=CONTENT, headers={name: form.format(wrong)})
    with pytest.raises(FetchError, match=f"its {algorithm.upper()} is .*twice"):
        fetch("b.zip")
    assert names(tmp_path) == WHOLE


def test_a_resumed_file_is_compared_with_the_checksum_of_its_beginning(
    fetch: Fetch, server: Server, told: Told
) -> None:
    """Content-MD5 of a piece is not that of the file."""
    right = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    piece = base64.b64encode(hashlib.md5(CONTENT[20_000:]).digest()).decode()
    server.script(PATH, Answer(cut=20_000, headers={"Content-MD5": right}))
    server.script(PATH, Answer(headers={"Content-MD5": piece}))
    assert fetch().path.read_bytes() == CONTENT
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a.zip", CONTENT), ("a.bz2", bz2.compress(CONTENT)), ("a.tsv.gz", gzip.compress(CONTENT))],
)
def test_a_truncated_archive(fetch: Fetch, server: Server, tmp_path: Path, name: str, whole: bytes) -> None:
    server.files[f"/{name}"] = whole[:-100]
    with pytest.raises(FetchError, match=r"compressed file|not a zip"):
        fetch(name)
    assert len(server.asked) == 2
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    server.files[f"/{name}"] = bytes(flipped)
    with pytest.raises(FetchError, match="twice"):
        fetch(name)
    assert names(tmp_path) == []
    server.files[f"/{name}"] = whole
    assert fetch(name).path.read_bytes() == whole


@pytest.mark.parametrize("name", ["a.zip", "a.tsv.bz2"])
def test_a_web_page_instead_of_a_file(
    fetch: Fetch, server: Server, told: Told, tmp_path: Path, name: str
) -> None:
    page = b"\n<!DOCTYPE html><html><head><title>Hotel\n Wi-Fi</title></head><body>log in</body></html>"
    server.files[f"/{name}"] = page
    with pytest.raises(FetchError, match="got a web page with the title 'Hotel Wi-Fi'"):
        fetch(name)
    assert (told.waits, names(tmp_path)) == ([], [])
    server.files[f"/{name}"] = b"Something else" * 100
    with pytest.raises(FetchError, match="which begins with"):
        fetch(name)
    server.files[f"/{name}"] = b""
    with pytest.raises(FetchError, match=r"got b''"):
        fetch(name)
    assert names(tmp_path) == []
