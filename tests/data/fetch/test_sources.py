"""What is asked of each source; covers `tatoeba`, `opus`, `wikimatrix` and `listing`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.fetch import corpora
from tests.data.fetch.conftest import Told
from tests.data.fetch.server import Answer, Server
from xformer.data.fetch.errors import FetchError
from xformer.data.fetch.http import Client
from xformer.data.fetch.listing import list_source
from xformer.data.fetch.opus import Opus, licence_inside, plan_opus
from xformer.data.fetch.sources import find_codes, linked_names, pairs_of
from xformer.data.fetch.tatoeba import plan_manythings, plan_tatoeba
from xformer.data.fetch.wikimatrix import plan_wikimatrix, wikimatrix_languages
from xformer.data.record import normalize_language
from xformer.errors import InputError


def test_tatoeba_by_languages(client: Client, server: Server) -> None:
    base = corpora.serve_tatoeba(server)
    plan = plan_tatoeba(client, base, ["eng", "de", "French"])
    folder = f"{base}/per_language"
    assert [remote.url for remote in plan.remotes] == [
        f"{folder}/deu/deu_sentences.tsv.bz2",
        f"{folder}/eng/eng_sentences.tsv.bz2",
        f"{folder}/fra/fra_sentences.tsv.bz2",
        f"{folder}/deu/deu-eng_links.tsv.bz2",
        f"{folder}/deu/deu-fra_links.tsv.bz2",
        f"{folder}/eng/eng-fra_links.tsv.bz2",
    ]
    assert [remote.optional for remote in plan.remotes] == [False] * 3 + [True] * 3
    assert plan.licence(Path("x")) == "CC BY 2.0 FR"


def test_all_links_instead_of_very_many_files(client: Client, server: Server) -> None:
    base = corpora.serve_tatoeba(server)
    plan = plan_tatoeba(client, base, ["eng", "deu", "fra", "cmn", "yue", "ara"])
    assert [remote.name for remote in plan.remotes][5:] == ["yue_sentences.tsv.bz2", "links.tar.bz2"]


def test_all_of_tatoeba_asks_for_no_list(client: Client, server: Server) -> None:
    plan = plan_tatoeba(client, f"{server.url}/exports", [], cc0=True)
    assert [remote.name for remote in plan.remotes] == ["sentences_CC0.tar.bz2", "links.tar.bz2"]
    assert plan.licence(Path("x")) == "CC0-1.0"
    assert server.asked == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_that_lists_nothing(client: Client, server: Server, status: int) -> None:
    server.always["/exports/per_language/"] = Answer(status=status)
    base = f"{server.url}/exports"
    plan = plan_tatoeba(client, base, ["de", "English", "tlh"])
    assert [remote.name[:3] for remote in plan.remotes[:3]] == ["deu", "eng", "tlh"]
    with pytest.raises(InputError, match="expected a three-letter code, such as cmn or zho"):
        plan_tatoeba(client, base, ["zh"])


def test_codes_of_a_source(client: Client) -> None:
    known = ["cmn", "deu", "eng", "nob", "pes", "yue"]
    assert find_codes(["zh", "deu", "English", "fa"], known, "X") == ["cmn", "deu", "eng", "pes"]
    with pytest.raises(InputError, match="zh: expected one of cmn, zho, which X has for it"):
        find_codes(["zh"], ["cmn", "zho"], "X")


def test_names_of_a_page(client: Client, server: Server) -> None:
    page = '<A HREF="a%20b.zip">a</A><a href="/y/c/">c</a><a name="d"><a href="?C=M">e</a><img src="f">'
    server.files["/x/"] = page.encode()
    assert linked_names(client, f"{server.url}/x/") == ["a b.zip", "c"]
    assert linked_names(client, f"{server.url}/none/") is None


def test_a_list_is_asked_for_again(client: Client, server: Server, told: Told) -> None:
    base = corpora.serve_manythings(server)
    server.script("/anki/", Answer(status=502), Answer(cut=20))
    assert [one.name for one in plan_manythings(client, base, ["fra-eng"]).remotes] == ["fra-eng.zip"]
    assert len(told.waits) == 2
    server.files["/anki/"] = b"<a href=\xff>"
    with pytest.raises(FetchError, match="expected UTF-8"):
        plan_manythings(client, base, ["fra"])


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["de", "en"], [("de", "en")]),
        (["en-de", "fr-de"], [("de", "en"), ("de", "fr")]),
        (["en-zh_CN"], [("en", "zh_CN")]),
    ],
)
def test_pairs(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert pairs_of(names, "X") == pairs


@pytest.mark.parametrize("names", [["de-"], ["-de"], ["de-de"], ["de-en-fr"], ["de", "en", "fr"]])
def test_what_is_no_pair(names: list[str]) -> None:
    with pytest.raises(InputError, match="expected a pair of languages such as de-en for X"):
        pairs_of(names, "X")


def test_wikimatrix() -> None:
    plan = plan_wikimatrix("https://example.org", ["en-German", "simple-en"], threshold=1.1)
    assert [remote.name for remote in plan.remotes] == [
        "WikiMatrix.de-en.tsv.gz",
        "WikiMatrix.en-simple.tsv.gz",
    ]
    assert plan.options == {"min_score": 1.1}
    codes = wikimatrix_languages()
    assert (len(codes), codes) == (86, sorted(set(codes)))
    assert all(normalize_language(code) for code in codes if code != "simple")


def test_opus_takes_three_letter_codes_too(client: Client, server: Server) -> None:
    base = corpora.serve_opus(server)
    query = "corpus=Books&source=deu&target=eng&preprocessing=moses&version=latest"
    server.files[f"/opusapi/?{query}"] = b'{"corpora": []}'
    plan = plan_opus(Opus(client, base, mirrored=True), ["Books", "eng-deu"])
    (remote,) = plan.remotes
    assert (remote.name, remote.url) == ("Books-v1.de-en.zip", f"{base}/OPUS-Books/v1/moses/de-en.txt.zip")
    unmoved = plan_opus(Opus(client, base), ["Books", "de-en"])
    assert unmoved.remotes[0].url == "https://object.pouta.csc.fi/OPUS-Books/v1/moses/de-en.txt.zip"


def test_opus_without_its_api(client: Client, server: Server) -> None:
    """A release that was named needs no API."""
    opus = Opus(client, server.url, mirrored=True)
    plan = plan_opus(opus, ["ELRC-1-a b", "de-en"], "v1")
    assert plan.remotes[0].url == f"{server.url}/OPUS-ELRC-1-a%20b/v1/moses/de-en.txt.zip"
    assert Opus(client, server.url).direct("Books", "v1", ("de", "en")).url.startswith("https://object.pouta")
    with pytest.raises(FetchError, match="404"):
        plan_opus(opus, ["Books", "de-en"])


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>moved</html>",
        b"[]",
        b'{"corpora": 3}',
        b'{"corpora": ["x"]}',
        b'{"corpora": [{"corpus": "Books"}]}',
    ],
)
def test_answers_that_are_none_of_opus(client: Client, server: Server, answer: bytes) -> None:
    query = "corpus=Books&source=de&target=en&preprocessing=moses&version=latest"
    server.files[f"/opusapi/?{query}"] = answer
    with pytest.raises(FetchError, match="expected"):
        plan_opus(Opus(client, server.url), ["Books", "de-en"])


def test_counts_that_opus_does_not_know(client: Client, server: Server) -> None:
    """They are empty texts; an entry of one language has an empty target."""
    entry = corpora.opus_entry("Books", "v1", "de-en") | {"alignment_pairs": "", "size": ""}
    alone = entry | {"target": ""}
    server.files["/opusapi/?corpus=Books&preprocessing=moses&version=latest"] = json.dumps(
        {"corpora": [entry, alone]}
    ).encode()
    (row,) = list_source(client, "opus", server.url, ["Books"])
    assert (row["size"], row["pairs"]) == (None, None)


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"README": corpora.README}, "CC-BY-SA 4.0 (https://example.org/licence?a=1&b=2)"),
        ({"x/README": " Name: x\n License: See the <b>terms</b>\n"}, "See the terms"),
        ({"README": "nothing", "LICENSE": "\nCC0 1.0\nmore\n"}, "CC0 1.0"),
        ({"README": "License: empty\n"}, "unknown"),
        ({"README": "License:\nCopyright: x\n"}, "unknown"),
        ({"a.txt": ""}, "unknown"),
    ],
)
def test_licences_inside(tmp_path: Path, files: dict[str, str], licence: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(corpora.zipped(files))
    assert licence_inside(path) == licence


def test_a_list_that_does_not_come(client: Client, server: Server) -> None:
    with pytest.raises(FetchError, match="has no list of languages"):
        list_source(client, "manythings", server.url, [])
