"""Files from a server on a bad day; covers `part`, `record`, `patience`, `errors`, `pace` and `http`."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.data.fetch.conftest import CONTENT, PATH, WHOLE, Fetch, Told, names, zipped
from tests.data.fetch.server import Answer, Drip, Server
from xformer.data.fetch.errors import FetchError, GivenUp, Missing, Refused
from xformer.data.fetch.files import Remote, fetch_file
from xformer.data.fetch.http import USER_AGENT, Client
from xformer.data.fetch.record import FetchRecord
from xformer.errors import InputError


def test_a_file_arrives_with_a_record(fetch: Fetch, server: Server, told: Told, tmp_path: Path) -> None:
    shown: list[tuple[str, int, int | None]] = []
    found = fetch(show=lambda *call: shown.append(call))
    assert found.path.read_bytes() == CONTENT
    assert names(tmp_path) == WHOLE
    record = FetchRecord.read(found.path)
    assert record == found.record
    assert record is not None
    assert record.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (record.url, record.size, record.licence) == (f"{server.url}{PATH}", len(CONTENT), "CC0-1.0")
    assert record.etag is not None
    assert server.asked[0].agent == USER_AGENT
    of_file = [(done, total) for what, done, total in shown if what == "corpus.zip"]
    assert of_file[-1] == (len(CONTENT), len(CONTENT))
    assert {total for _, total in of_file} == {len(CONTENT)}
    again = fetch()
    assert (again.kept, len(server.asked), told.lines) == (True, 1, [])


def test_a_cut_connection_goes_on_where_it_was(fetch: Fetch, server: Server, told: Told) -> None:
    server.script(PATH, Answer(cut=20_000), Answer(cut=20_000))
    assert fetch().path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=20000-", "bytes=40000-"]
    assert "the connection was cut after 20,000 of" in told.lines[0]
    # After progress the count of failures begins again, and so do the waits.
    assert all(0.75 <= wait <= 1.25 for wait in told.waits)


def test_more_cuts_than_retries_are_no_matter_if_something_comes_each_time(
    fetch: Fetch, server: Server, client: Client
) -> None:
    server.script(PATH, *[Answer(cut=5_000)] * 8)
    assert fetch(client=replace(client, retries=1)).path.read_bytes() == CONTENT


def test_a_server_without_ranges_begins_again(fetch: Fetch, server: Server, told: Told) -> None:
    server.script(PATH, Answer(cut=20_000), Answer(ranges=False))
    assert fetch().path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=20000-"]
    assert any("comes from the beginning again" in line for line in told.lines)


def test_a_file_without_etag_and_date_is_not_continued(fetch: Fetch, server: Server, told: Told) -> None:
    server.script(PATH, Answer(cut=20_000, tagged=False), Answer(tagged=False))
    assert fetch().path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, None]
    assert any("cannot be continued" in line for line in told.lines)


@pytest.mark.parametrize("condition", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_whole(
    fetch: Fetch, server: Server, told: Told, condition: bool
) -> None:
    """Also from a server that does not understand If-Range, and sends the rest of the new file."""
    changed = zipped(1)
    server.files[PATH] = changed
    server.script(PATH, Answer(content=CONTENT, cut=20_000), Answer(condition=condition))
    assert fetch().path.read_bytes() == changed
    assert any("has changed on the server" in line for line in told.lines)


def test_a_weak_etag_promises_no_equal_bytes(fetch: Fetch, server: Server) -> None:
    weak = {"ETag": 'W/"1"'}
    server.script(PATH, Answer(headers=weak, cut=20_000), Answer(headers=weak))
    assert fetch().path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, None]


@pytest.mark.parametrize("piece", ["bytes 10-70000/70001", "bytes 20000-20001", "pieces", ""])
def test_another_piece_than_was_asked_for(fetch: Fetch, server: Server, told: Told, piece: str) -> None:
    server.script(PATH, Answer(cut=20_000), Answer(headers={"Content-Range": piece}))
    assert fetch().path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=20000-", None]
    assert any("comes in other pieces than asked for" in line for line in told.lines)


@pytest.mark.parametrize(("status", "message"), [(206, "a piece where all"), (416, "416 where all")])
def test_an_answer_to_another_question(fetch: Fetch, server: Server, status: int, message: str) -> None:
    server.always[PATH] = Answer(status=status)
    with pytest.raises(FetchError, match=message):
        fetch()


def test_a_date_stands_for_a_missing_etag(fetch: Fetch, server: Server) -> None:
    dated = {"Last-Modified": formatdate(1_700_000_000, usegmt=True)}
    server.always[PATH] = Answer(tagged=False, headers=dated, condition=False)
    server.script(PATH, Answer(tagged=False, headers=dated, cut=20_000))
    assert fetch().path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=20000-"]


def test_a_content_length_that_is_too_long(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    """The server says the truth when it is asked for what is beyond the end."""
    server.script(PATH, Answer(announce=len(CONTENT) + 5_000))
    assert fetch().path.read_bytes() == CONTENT
    server.always["/b.zip"] = Answer(content=CONTENT, announce=len(CONTENT) + 5_000, ranges=False)
    with pytest.raises(GivenUp, match=r"cut after .* bytes \(4 times in a row\)"):
        fetch("b.zip")
    assert "b.zip" not in names(tmp_path)


def test_a_content_length_that_is_too_short(fetch: Fetch, server: Server, told: Told, tmp_path: Path) -> None:
    server.script(PATH, Answer(announce=30_000))
    assert fetch().path.read_bytes() == CONTENT
    assert any("fetching it again" in line for line in told.lines)
    server.always["/b.zip"] = Answer(content=CONTENT, announce=30_000)
    with pytest.raises(FetchError, match=r"not a zip|not a valid compressed file"):
        fetch("b.zip")
    assert names(tmp_path) == WHOLE  # no part of it stays


def test_a_body_without_a_length(fetch: Fetch, server: Server) -> None:
    server.script(PATH, Answer(announce=-1, cut=20_000), Answer(announce=-1))
    assert fetch().path.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 410])
def test_no_such_file_is_not_tried_again(
    fetch: Fetch, server: Server, told: Told, tmp_path: Path, status: int
) -> None:
    server.always["/none.zip"] = Answer(status=status)
    with pytest.raises(Missing, match=f"none.zip: {status}"):
        fetch("none.zip")
    assert (len(server.asked), told.waits, names(tmp_path)) == (1, [], [])


@pytest.mark.parametrize("status", [403, 406])
def test_a_refusal_names_the_way_out(fetch: Fetch, server: Server, told: Told, status: int) -> None:
    server.always[PATH] = Answer(status=status)
    with pytest.raises(Refused, match="--user-agent"):
        fetch()
    assert told.waits == []


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(fetch: Fetch, server: Server, told: Told, status: int) -> None:
    later = formatdate(time.time() + 100, usegmt=True)
    server.script(PATH, Answer(status=status, headers={"Retry-After": "7"}))
    server.script(PATH, Answer(status=status, headers={"Retry-After": later}))
    assert fetch().path.read_bytes() == CONTENT
    assert told.waits[0] == 7
    assert 95 < told.waits[1] <= 100


def test_a_server_that_wants_to_be_left_alone_for_long(fetch: Fetch, server: Server, told: Told) -> None:
    server.script(PATH, Answer(status=503, headers={"Retry-After": "7200"}))
    with pytest.raises(GivenUp, match="in 120 minutes"):
        fetch()
    assert told.waits == []


def test_500_for_ever(fetch: Fetch, server: Server, told: Told, tmp_path: Path) -> None:
    server.always[PATH] = Answer(status=500)
    with pytest.raises(GivenUp, match=r"500 .*\(4 times in a row\)"):
        fetch()
    assert len(server.asked) == 4
    assert [round(wait / 2**i, 9) for i, wait in enumerate(told.waits)] == pytest.approx([1, 1, 1], abs=0.25)
    assert names(tmp_path) == []


def test_what_came_before_is_kept_when_it_is_given_up(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.script(PATH, Answer(cut=20_000), *[Answer(status=503)] * 4)
    with pytest.raises(GivenUp):
        fetch()
    assert names(tmp_path) == ["corpus.zip.part", "corpus.zip.part.json"]
    found = fetch()
    assert (found.resumed, found.path.read_bytes()) == (20_000, CONTENT)
    assert names(tmp_path) == WHOLE


def test_a_slow_drip_is_a_failure(fetch: Fetch, server: Server, client: Client, told: Told) -> None:
    """No single read takes long, so the timeout of the connection never comes."""
    drip = Drip()
    slow = replace(client, timeout=60.0, clock=drip)
    server.script(PATH, Answer(cut=5_000), Answer(drip=drip), Answer(drip=drip))
    assert fetch(client=slow).path.read_bytes() == CONTENT
    assert sum("bytes came in 62 s" in line for line in told.lines) == 2
    server.always["/b.zip"] = Answer(content=CONTENT, drip=drip)
    with pytest.raises(GivenUp, match=r"only \d+ bytes came in 62 s \(4 times in a row\)"):
        fetch("b.zip", client=slow)


def test_a_list_that_drips_is_given_up(server: Server, client: Client) -> None:
    drip = Drip()
    server.always["/list"] = Answer(content=b"x" * 2000, drip=drip)
    with pytest.raises(GivenUp, match=r"/list: only \d+ bytes came in 62 s"):
        replace(client, timeout=60.0, clock=drip).text(f"{server.url}/list")
    patient = replace(client, timeout=4000.0, clock=drip)
    assert patient.text(f"{server.url}/list") == "x" * 2000


def test_an_answer_in_a_coding_that_was_not_asked_for(fetch: Fetch, server: Server) -> None:
    server.always[PATH] = Answer(headers={"Content-Encoding": "gzip"})
    with pytest.raises(FetchError, match="sends it as gzip"):
        fetch()


def test_no_server_and_no_machine(client: Client, told: Told, tmp_path: Path) -> None:
    with pytest.raises(GivenUp, match=r"Connection refused \(4 times"):
        fetch_file(client, Remote("http://127.0.0.1:9/a.zip", "a.zip"), tmp_path, lambda _: "x")
    with pytest.raises(InputError, match="expected an address such as"):
        fetch_file(client, Remote("file:///etc/passwd", "a.zip"), tmp_path, lambda _: "x")


def test_a_proxy_is_taken_from_the_environment(
    fetch: Fetch,
    client: Client,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The request line of a proxy has the whole address."""
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://corpora.invalid/a.zip"] = CONTENT
    found = fetch_file(client, Remote("http://corpora.invalid/a.zip", "a.zip"), tmp_path, lambda _: "x")
    assert found.path.read_bytes() == CONTENT


def test_an_update_asks_first(fetch: Fetch, server: Server) -> None:
    fetch()
    assert fetch(update=True).kept
    assert server.asked[-1].method == "HEAD"
    server.files[PATH] = zipped(1)
    assert fetch().kept
    found = fetch(update=True)
    assert (found.kept, found.path.read_bytes()) == (False, zipped(1))
    assert found.record.sha256 == hashlib.sha256(zipped(1)).hexdigest()


@pytest.mark.parametrize("status", [405, 501])
def test_an_update_from_a_server_without_head(fetch: Fetch, server: Server, status: int) -> None:
    fetch()
    server.script(PATH, Answer(status=status))
    assert fetch(update=True).kept
    assert [one.method for one in server.asked[1:]] == ["HEAD", "GET"]
    changed = server.files[PATH] = zipped(1)
    server.script(PATH, Answer(status=status))
    found = fetch(update=True)
    assert (found.kept, found.path.read_bytes()) == (False, changed)
    assert [one.method for one in server.asked[3:]] == ["HEAD", "GET", "GET"]
    server.always[PATH] = Answer(status=405)
    with pytest.raises(Refused, match="405"):
        fetch(update=True)


def test_an_update_from_a_server_that_heeds_no_conditions(fetch: Fetch, server: Server) -> None:
    """It sends the headers of the file, and they say which it is."""
    fetch()
    server.always[PATH] = Answer(status=200)
    assert fetch(update=True).kept
    server.files[PATH] = zipped(1)
    assert not fetch(update=True).kept


def test_a_file_that_was_damaged_here_is_fetched_again(fetch: Fetch, told: Told) -> None:
    fetch().path.write_bytes(CONTENT[:-1] + b"?")
    found = fetch()
    assert (found.kept, found.path.read_bytes()) == (False, CONTENT)
    assert "not the file that was fetched on" in told.lines[0]


def test_a_file_that_someone_put_there(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "corpus.zip").write_bytes(CONTENT)
    assert fetch().kept
    assert server.asked == []
    (tmp_path / "to" / "b.zip").write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"b\.zip: .*remove it"):
        fetch("b.zip")


@pytest.mark.parametrize("state", [None, "{", '{"url": 1, "colour": 2}'])
def test_a_part_without_its_state_is_not_trusted(
    fetch: Fetch, server: Server, tmp_path: Path, state: str | None
) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "corpus.zip.part").write_bytes(b"x" * 1000)
    if state is not None:
        (tmp_path / "to" / "corpus.zip.part.json").write_text(state, encoding="utf-8")
    found = fetch()
    assert (found.resumed, found.path.read_bytes()) == (0, CONTENT)
    assert server.ranges(PATH) == [None]
    assert names(tmp_path) == WHOLE


def test_a_full_disk(
    fetch: Fetch,
    server: Server,
    tmp_path: Path,
    full_disk: Callable[..., AbstractContextManager[None]],
) -> None:
    with full_disk(30_000), pytest.raises(OSError, match=r"corpus\.zip\.part"):
        fetch()
    assert names(tmp_path) == ["corpus.zip.part", "corpus.zip.part.json"]
    assert fetch().resumed == 30_000


def test_no_room(fetch: Fetch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("xformer.data.fetch.files.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(InputError, match=f"has room for 1,000 bytes, corpus.zip.part needs {len(CONTENT):,}"):
        fetch()
    assert names(tmp_path) == []


def test_the_record_is_json(fetch: Fetch, tmp_path: Path) -> None:
    fetch()
    found = json.loads((tmp_path / "to" / "corpus.zip.fetched.json").read_text(encoding="utf-8"))
    assert set(found) == {"url", "fetched", "size", "sha256", "licence", "etag", "modified"}


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="--timeout: expected seconds above 0"):
        Client(timeout=0)
    with pytest.raises(InputError, match="--retries: expected 0 or more"):
        Client(retries=-1)
