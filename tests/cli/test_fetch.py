"""`xformer data fetch`, from a server here to a corpus; covers xformer.cli.data_command, too."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data.fetch import corpora
from tests.data.fetch.server import Answer, Server, serving
from xformer.data.corpus import open_corpus

Run = Callable[..., tuple[int, str, str]]

SERVE = {
    "tatoeba": corpora.serve_tatoeba,
    "manythings": corpora.serve_manythings,
    "wikimatrix": corpora.serve_wikimatrix,
    "opus": corpora.serve_opus,
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def fetch(xformer: Run, server: Server, tmp_path: Path) -> Run:
    """Fetches from the server here into `texts`, without waits."""

    def run(source: str, *arguments: object) -> tuple[int, str, str]:
        base = SERVE[source](server)
        options = ("--mirror", base, "--into", tmp_path / "texts", "--retries", 0)
        return xformer("data", "fetch", source, *arguments, *options)

    return run


LICENCES = {
    "tatoeba": "CC BY 2.0 FR",
    "manythings": "CC BY 2.0 FR",
    "wikimatrix": "CC-BY-SA-4.0",
    "opus": "CC-BY-SA 4.0 (https://example.org/licence?a=1&b=2)",
}


def pairs_in(folder: Path) -> set[tuple[str, str]]:
    """The German and English texts of a corpus that are of one group."""
    corpus = open_corpus(folder, verify=True)
    groups: dict[str, dict[str, str]] = {}
    for split in corpus.manifest.splits:
        for record in corpus.records(split):
            groups.setdefault(record.group, {})[record.language] = record.text
    return {(texts["de"], texts["en"]) for texts in groups.values() if {"de", "en"} <= set(texts)}


PAIRS = list(zip(corpora.GERMAN_LINES, corpora.ENGLISH_LINES, strict=True))
ALL = set(PAIRS)


@pytest.mark.parametrize(
    ("source", "names", "expected"),
    [
        ("tatoeba", ("German", "en"), ALL),
        ("tatoeba", (), ALL),
        ("manythings", ("de",), ALL),
        ("opus", ("Books", "en-de"), ALL),
        ("wikimatrix", ("de", "en"), set(PAIRS[:50])),
    ],
)
def test_from_a_server_to_a_corpus(
    fetch: Run, tmp_path: Path, source: str, names: tuple[str, ...], expected: set[tuple[str, str]]
) -> None:
    out = tmp_path / "corpus"
    status, _, err = fetch(source, *names, "--import", out, "--dev", 5, "--test", 5)
    assert status == 0, err
    assert pairs_in(out) == expected
    manifest = open_corpus(out).manifest
    assert {one.licence for one in manifest.sources} == {LICENCES[source]}
    fetched = {path.name for path in (tmp_path / "texts").iterdir() if not path.name.endswith(".json")}
    assert {one.name for one in manifest.sources} == fetched
    assert manifest.splits["test"].groups == 5
    for one in manifest.sources:
        record = json.loads((tmp_path / "texts" / f"{one.name}.fetched.json").read_text(encoding="utf-8"))
        assert record["sha256"] == one.sha256


def test_the_command_that_it_names_imports(
    fetch: Run, xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = fetch("wikimatrix", "de-en", "--threshold", 1.09)
    assert status == 0
    words = shlex.split(out.removeprefix("import it: xformer "))
    assert "--min-score" in words
    status, _, err = xformer(*words)
    assert status == 0, err
    manifest = open_corpus(tmp_path / "corpora" / "wikimatrix").manifest
    assert sum(entry.total.records for entry in manifest.splits.values()) == 18
    assert manifest.removed["low score"] == {"de": 91, "en": 91}


def test_json_says_what_is_here(fetch: Run, tmp_path: Path) -> None:
    status, out, _ = fetch("tatoeba", "deu", "eng", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["source"] == "tatoeba"
    assert [Path(file["path"]).name for file in found["files"]] == [
        "deu_sentences.tsv.bz2",
        "eng_sentences.tsv.bz2",
        "deu-eng_links.tsv.bz2",
    ]
    assert [file["kept"] for file in found["files"]] == [False] * 3
    again = json.loads(fetch("tatoeba", "deu", "eng", "--json")[1])
    assert [file["kept"] for file in again["files"]] == [True] * 3
    assert [file["sha256"] for file in again["files"]] == [file["sha256"] for file in found["files"]]


def test_languages_that_nothing_links(fetch: Run, tmp_path: Path) -> None:
    status, _, err = fetch("tatoeba", "deu", "eng", "fra")
    assert status == 0
    assert "deu-fra_links.tsv.bz2, eng-fra_links.tsv.bz2: the source has no such file" in err


def test_one_language_has_no_links(fetch: Run, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    status, _, err = fetch("tatoeba", "English", "--cc0", "--import", out)
    assert status == 0, err
    manifest = open_corpus(out).manifest
    assert manifest.languages == ("en",)
    assert {one.licence for one in manifest.sources} == {"CC0-1.0"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tatoeba", "Germn"), "did you mean german?"),
        (("tatoeba", "qqq"), "qqq: Tatoeba has no such language; --list shows all"),
        (("tatoeba", "deu", "de"), "deu: named twice"),
        (("manythings",), "manythings: expected languages, such as deu"),
        (("manythings", "ita"), "ManyThings.org has no such language"),
        (("opus", "Boks", "de-en"), "Boks: OPUS has no such corpus, did you mean Books?"),
        (("opus", "Books", "en-fr"), "en-fr: Books of OPUS has no such pair"),
        (
            ("opus", "Books", "de-en", "--release", "v9"),
            "--release: expected one of v1 for Books de-en, got v9",
        ),
        (("opus", "Books"), "opus: expected a corpus and pairs"),
        (("wikimatrix", "de-enn"), "enn: WikiMatrix has no such language"),
        (("wikimatrix", "de"), "de: expected a pair of languages such as de-en"),
        (("wikimatrix",), "WikiMatrix: expected pairs of languages"),
        (("wikimatrix", "de-en", "en-de"), "WikiMatrix: expected each pair once"),
        (("wikimatrix", "de-en", "--cc0"), "--cc0: expected with tatoeba only, got wikimatrix"),
        (("tatoeba", "--dev", "5"), "--dev: expected with --import only"),
        (("tatoeba", "--timeout", "0"), "--timeout: expected seconds above 0"),
    ],
)
def test_names_that_do_not_exist(
    fetch: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    status, _, err = fetch(*arguments)
    assert (status, message in err) == (2, True), err
    assert not (tmp_path / "texts").exists()


def test_places_are_checked_before_anything_is_asked(fetch: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("", encoding="utf-8")
    status, _, err = fetch("tatoeba", "deu")
    assert (status, "texts: this is a file" in err) == (2, True)
    (tmp_path / "texts").unlink()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("", encoding="utf-8")
    status, _, err = fetch("tatoeba", "deu", "--import", tmp_path / "full")
    assert (status, "full: already exists" in err) == (2, True)
    assert server.asked == []


def test_a_server_that_fails(fetch: Run, server: Server, tmp_path: Path) -> None:
    path = "/exports/per_language/deu/deu_sentences.tsv.bz2"
    server.always[path] = Answer(status=503)
    status, out, err = fetch("tatoeba", "deu")
    assert (status, out) == (1, "")
    assert "xformer: " in err
    assert "deu_sentences.tsv.bz2: 503 Service Unavailable (once)" in err
    server.always[path] = Answer(status=404)
    status, _, err = fetch("tatoeba", "deu")
    assert (status, "the source has no such file, --list shows what there is" in err) == (1, True)


def test_dry_run(fetch: Run, server: Server, tmp_path: Path) -> None:
    status, out, _ = fetch("tatoeba", "deu", "eng", "fra", "--dry-run")
    assert status == 0
    paths = [line.split()[-1].removeprefix(server.url) for line in out.splitlines()[:-1]]
    assert len(paths) == 4  # the links that do not exist are left out
    sizes = [len(server.files[path]) for path in paths]
    assert [int(line.split()[0].replace(",", "")) for line in out.splitlines()] == [*sizes, sum(sizes)]
    assert not (tmp_path / "texts").exists()
    found = json.loads(fetch("tatoeba", "deu", "--dry-run", "--json")[1])
    assert [file["size"] for file in found["files"]] == sizes[:1]


def listed(fetch: Run, *arguments: str) -> list[dict[str, Any]]:
    status, out, err = fetch(*arguments, "--list", "--json")
    assert status == 0, err
    rows: list[dict[str, Any]] = json.loads(out)["list"]
    return rows


def test_lists(fetch: Run) -> None:
    tatoeba = listed(fetch, "tatoeba")
    assert {"code": "deu", "language": "German"} in tatoeba
    assert [row["code"] for row in listed(fetch, "manythings")] == ["deu", "fra"]
    assert {"code": "simple", "language": "simple"} in listed(fetch, "wikimatrix")
    assert [row["corpus"] for row in listed(fetch, "opus")] == ["Books", "Tatoeba", "bible-uedin"]
    for names in (("de-en",), ("de", "en")):
        (row,) = listed(fetch, "opus", *names)
        assert row == {"size": 3000, "pairs": 100, "corpus": "Books", "version": "v1", "languages": "de-en"}
    assert [row["languages"] for row in listed(fetch, "opus", "Books")] == ["de-en", "de-fr"]
    status, out, _ = fetch("opus", "Books", "--list")
    assert (status, out.split()[:5]) == (0, ["3,000", "100", "Books", "v1", "de-en"])


def test_a_mirror_from_the_environment(
    xformer: Run, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XFORMER_MIRROR_MANYTHINGS", corpora.serve_manythings(server) + "/")
    status, _, _ = xformer("data", "fetch", "manythings", "deu", "--into", tmp_path / "texts")
    assert status == 0
    assert (tmp_path / "texts" / "deu-eng.zip").exists()
