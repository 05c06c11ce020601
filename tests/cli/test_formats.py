"""The formats of `xformer data import` and their readers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, get_args

import pytest

from xformer.cli.formats import Format, records, source_of
from xformer.data.import_notes import ImportNotes
from xformer.data.readers import Fields, ParallelFields
from xformer.errors import InputError

TMX = """<?xml version="1.0"?><tmx version="1.4"><header srclang="en"/><body><tu>
<tuv xml:lang="en"><seg>one</seg></tuv><tuv xml:lang="de"><seg>eins</seg></tuv>
<tuv xml:lang="fr"><seg>un</seg></tuv></tu></body></tmx>"""
TEI = """<TEI><text><body><entry><form><orth>eins</orth></form>
<sense><cit type="trans"><quote>one</quote></cit></sense>
</entry></body></text></TEI>"""
CLDR = '{"main": {"%s": {"characterLabels": {"1": "%s"}}}}'
PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "one"\nmsgstr "eins"\n'


def _write(folder: Path, files: dict[str, str]) -> list[Path]:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _read(
    kind: Format,
    paths: list[Path],
    languages: tuple[str, ...] = (),
    fields: Fields | ParallelFields | None = None,
    paragraphs: bool = False,
    delimiter: str | None = None,
) -> set[tuple[str, str]]:
    found = records(
        kind,
        paths,
        languages=languages,
        fields=fields or Fields(),
        paragraphs=paragraphs,
        delimiter=delimiter,
    )
    return {(record.language, record.text) for record in found}


BOTH = {("en", "one"), ("de", "eins")}

READ: list[tuple[Format, dict[str, str], dict[str, Any], set[tuple[str, str]]]] = [
    ("gettext", {"de.po": PO}, {}, BOTH),
    ("gettext", {"some.po": PO}, {"languages": ("de",)}, BOTH),
    ("moses", {"a.en": "one\n", "a.de": "eins\n"}, {}, BOTH),
    ("moses", {"a.txt": "one\n", "b.txt": "eins\n"}, {"languages": ("en", "de")}, BOTH),
    ("tatoeba", {"sentences.csv": "1\teng\tone\n2\tdeu\teins\n", "links.csv": "1\t2\n2\t1\n"}, {}, BOTH),
    (
        "tatoeba",
        {"sentences.csv": "1\teng\tone\n2\tdeu\teins\n3\tfra\tun\n", "links.csv": "1\t2\n1\t3\n"},
        {"languages": ("en", "de")},
        BOTH,
    ),
    ("manythings", {"deu.txt": "one\teins\tCC-BY\n"}, {}, BOTH),
    ("manythings", {"mine.txt": "one\teins\tCC-BY\n"}, {"languages": ("de",)}, BOTH),
    (
        "tatoeba",
        {
            "deu_sentences.tsv": "2\tdeu\teins\n",
            "deu-eng_links.tsv": "2\t1\n",
            "eng_sentences.tsv": "1\teng\tone\n",
        },
        {},
        BOTH,
    ),
    ("tatoeba", {"deu_sentences.tsv": "2\tdeu\teins\n", "eng_sentences.tsv": "1\teng\tone\n"}, {}, BOTH),
    ("wikimatrix", {"WikiMatrix.de-en.tsv": "1.04\teins\tone\n1.03\tzwei\ttwo\n"}, {}, BOTH),
    ("wikimatrix", {"a.tsv": "1.1\teins\tone\n"}, {"languages": ("de", "en")}, BOTH),
    ("iwslt", {"train.tags.de-en.en": "one\n", "train.tags.de-en.de": "eins\n"}, {}, BOTH),
    ("tmx", {"a.tmx": TMX}, {"languages": ("en", "de")}, BOTH),
    ("dict", {"deu-eng.index": "eins\tA\tJ\n", "deu-eng.dict": "eins\none\n"}, {}, BOTH),
    ("tei", {"deu-eng.tei": TEI}, {}, BOTH),
    ("tei", {"words.tei": TEI}, {"languages": ("de", "en")}, BOTH),
    ("messages", {"en.json": '{"a": "one"}', "de.json": '{"a": "eins"}'}, {}, BOTH),
    (
        "messages",
        {"en.json": '{"a": "one"}', "de.json": '{"a": "eins"}', "fr.json": '{"a": "un"}'},
        {"languages": ("de",)},
        BOTH,
    ),
    ("cldr", {"en.json": CLDR % ("en", "one"), "de.json": CLDR % ("de", "eins")}, {}, BOTH),
    ("csv", {"a.en.csv": "text\none\n", "b.deu.csv": "text\neins\n"}, {}, BOTH),
    ("csv", {"a.csv": "x;y\none;eins\n"}, {"fields": ParallelFields({"x": "en", "y": "de"})}, BOTH),
    (
        "csv",
        {"a.csv": "x;y#z\n1;one#2\n"},
        {"fields": Fields("x;y"), "languages": ("en",), "delimiter": "#"},
        {("en", "1;one")},
    ),
    ("tsv", {"a.en.tsv": "text\none\n", "b.de.tsv": "text\neins\n"}, {}, BOTH),
    ("tsv", {"a.tsv": "x\ty\none\teins\n"}, {"fields": ParallelFields({"x": "en", "y": "de"})}, BOTH),
    (
        "jsonl",
        {"a.jsonl": '{"text": "one"}\n', "b.jsonl": '{"text": "eins"}\n'},
        {"languages": ("en", "de")},
        BOTH,
    ),
    ("text", {"en.txt": "one\n", "de.txt": "eins\n"}, {}, BOTH),
    ("text", {"en.txt": "one\nmore\n\nlast\n"}, {"paragraphs": True}, {("en", "one\nmore"), ("en", "last")}),
]


@pytest.mark.parametrize(("kind", "files", "options", "expected"), READ)
def test_each_format_is_read_by_its_reader(
    kind: Format,
    files: dict[str, str],
    options: dict[str, Any],
    expected: set[tuple[str, str]],
    tmp_path: Path,
) -> None:
    assert _read(kind, _write(tmp_path, files), **options) == expected


@pytest.mark.parametrize(("kind", "files", "options"), [(kind, files, how) for kind, files, how, _ in READ])
def test_a_text_names_the_source_that_the_manifest_has(
    kind: Format, files: dict[str, str], options: dict[str, Any], tmp_path: Path
) -> None:
    """So that a rule of `data.sources` can be about it. Folders are no part of the name."""
    (tmp_path / "some" / "of").mkdir(parents=True)
    paths = _write(tmp_path / "some" / "of", files)
    given: dict[str, Any] = {"languages": (), "fields": Fields()} | options
    named = {record.source.partition(":")[0] for record in records(kind, paths, **given)}
    assert named <= {source_of(kind, path, "CC0-1.0").name for path in paths}


def test_parquet_is_read_by_its_reader(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    parquet.write_table(arrow.table({"text": ["one"]}), tmp_path / "a.en.parquet")
    parquet.write_table(arrow.table({"text": ["eins"]}), tmp_path / "b.parquet")
    paths = [tmp_path / "a.en.parquet", tmp_path / "b.parquet"]
    assert _read("parquet", paths, languages=("en", "de")) == BOTH


def test_a_zip_holds_both_sides_of_moses(tmp_path: Path) -> None:
    paths = []
    for code, text in (("en", "one"), ("fr", "un")):
        paths.append(tmp_path / f"opus.{code}.zip")
        with zipfile.ZipFile(paths[-1], "w") as archive:
            archive.writestr(f"Corpus.de-{code}.de", "eins\n")
            archive.writestr(f"Corpus.de-{code}.{code}", f"{text}\n")
    assert _read("moses", paths[:1]) == BOTH
    assert _read("moses", paths) == BOTH | {("fr", "un")}


def test_every_format_is_tried_above() -> None:
    assert {kind for kind, *_ in READ} | {"parquet", "qm", "man", "datasets"} == set(get_args(Format))


@pytest.mark.parametrize(
    ("kind", "names", "languages", "said"),
    [
        *[(kind, [], (), f"{kind}: expected .*, got 0 file") for kind in get_args(Format)],
        ("moses", ["a.de"], (), "moses: expected line-aligned files"),
        ("iwslt", ["a.de"], (), "iwslt: expected the same talks"),
        ("tatoeba", ["a"], (), "tatoeba: expected sentences.csv and links.csv, got 1 file"),
        ("tatoeba", ["a", "b", "c"], (), "got 3 file"),
        ("tsv", ["a.tsv"], ("de", "en"), "--languages: expected one for each of the 1 files, got 2"),
        ("text", ["a.de", "b.de"], ("de",), "--languages: expected one for each of the 2 files, got 1"),
        ("manythings", ["deu.txt"], ("de", "en"), "--languages: expected one for each of the 1 files, got 2"),
        ("gettext", ["a.po"], ("de", "en"), "--languages: expected one for all catalogues, got 2"),
        ("moses", ["a.de", "a.en"], ("de",), "expected one language for each of 2 files, got 1"),
    ],
)
def test_too_few_or_too_many_are_refused(
    kind: Format, names: list[str], languages: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        _read(kind, _write(tmp_path, dict.fromkeys(names, "x\n")), languages=languages)


@pytest.mark.parametrize(
    ("kind", "names", "said"),
    [
        ("tsv", ["x.de.csv"], r"got CSV: 'text;b'; is x\.de\.csv of the format csv, not tsv\?$"),
        ("jsonl", ["x.de.csv"], r"expected a JSON object: .*; is x\.de\.csv of the format csv, not jsonl\?$"),
        ("moses", ["x.de.csv"], r"got 1 file\(s\); is x\.de\.csv of the format csv, not moses\?$"),
        ("messages", ["en.json"], r"\(en\.json\), found none$"),
        ("messages", ["en.csv"], r"is en\.csv of the format csv, not messages\?$"),
        ("tatoeba", ["x.jsonl", "links.csv"], r"is x\.jsonl of the format jsonl, not tatoeba\?$"),
        ("tatoeba", ["sentences.csv", "links.csv"], r"between tabs, got 'text;b'$"),
        ("csv", ["x.csv"], r"does not give the language: .* or the option --languages$"),
    ],
)
def test_a_wrong_format_is_named(kind: Format, names: list[str], said: str, tmp_path: Path) -> None:
    languages = ("de",) if kind in ("tsv", "jsonl") else ()
    with pytest.raises(InputError, match=said):
        _read(kind, _write(tmp_path, dict.fromkeys(names, "text;b\n1;2\n")), languages)


def test_a_score_is_for_wikimatrix(tmp_path: Path) -> None:
    paths = _write(tmp_path, {"a.de.tsv": "text\n"})
    with pytest.raises(InputError, match="--min-score: expected with the format wikimatrix only, got tsv"):
        records("tsv", paths, languages=(), fields=Fields(), min_score=1.1)


def test_a_delimiter_is_for_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--delimiter: expected with the format csv only, got tsv"):
        _read("tsv", _write(tmp_path, {"a.de.tsv": "text\n"}), delimiter=";")


@pytest.mark.parametrize(
    "kind",
    sorted({*get_args(Format)} - {"datasets", "dict", "gettext", "man", "parquet", "qm", "tei", "text"}),
)
def test_every_reader_notes_what_it_leaves_out(kind: Format, tmp_path: Path) -> None:
    files: dict[str, dict[str, str]] = {
        "moses": {"a.en": "one\ntwo\n", "a.deu": "eins\n \n"},
        "iwslt": {"a.en": "one\ntwo\n", "a.deu": "eins\n\n"},
        "tatoeba": {"s.csv": "1\teng\tone\n2\tdeu\t \n3\t\\N\t?\n", "links.csv": ""},
        "manythings": {"deu.txt": "one\t \n"},
        "wikimatrix": {"WikiMatrix.deu-en.tsv": "1.1\t \tone\n"},
        "tmx": {"a.tmx": TMX.replace("eins", " ").replace('"de"', '"deu"')},
        "messages": {
            "en.json": '{"a": "one", "b": "two"}',
            "deu.json": '{"a": "eins", "b": " "}',
        },
        "cldr": {
            "a.json": CLDR % ("deu", "eins"),
            "b.json": CLDR % ("deu", " "),
        },
        "csv": {"a.deu.csv": "text,b\neins,1\n ,2\n"},
        "tsv": {"a.deu.tsv": "text\tb\neins\t1\n \t2\n"},
        "jsonl": {"a.deu.jsonl": '{"text": "eins"}\n{"text": null}\n'},
    }
    notes = ImportNotes()
    paths = _write(tmp_path, files[kind])
    assert list(records(kind, paths, languages=(), fields=Fields(), notes=notes))
    assert notes.left_out["no text"] == {"de": 1}
    assert notes.renamed["deu"] == "de"
    assert set(notes.left_out) == ({"no text", "no language"} if kind == "tatoeba" else {"no text"})


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.en.jsonl"
    path.write_text(json.dumps({"text": "one"}) + "\nno JSON\n")
    stream = iter(records("jsonl", [path], languages=(), fields=Fields(), paragraphs=False))
    assert next(stream).text == "one"
    with pytest.raises(InputError, match=r"a\.en\.jsonl:2"):
        next(stream)
