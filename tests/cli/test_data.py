"""`xformer data` and `xformer tokenizer`; covers xformer.cli.tokenizer, too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.data.corpus import open_corpus
from xformer.data.manifest import Manifest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def corpus(xformer: Run, moses: dict[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "corpora" / "numbers"
    options = ("--out", folder, "--licence", "CC0-1.0", "--dev", 10, "--test", 20)
    status, out, err = xformer("data", "import", "moses", moses["de"], moses["en"], *options)
    assert (status, out) == (0, "")
    assert "dev: 20 texts in 10 groups" in err
    assert "test: 40 texts in 20 groups" in err
    return folder


def test_import_makes_a_corpus_with_a_manifest(corpus: Path, moses: dict[str, Path]) -> None:
    opened = open_corpus(corpus, verify=True)
    manifest = opened.manifest
    assert manifest.languages == ("de", "en")
    assert [source.licence for source in manifest.sources] == ["CC0-1.0"] * 2
    assert {source.name for source in manifest.sources} == {"train.de", "train.en"}
    assert manifest.splits["test"].groups == 20
    texts = {record.text for split in manifest.splits for record in opened.records(split)}
    assert texts <= {line for path in moses.values() for line in path.read_text().splitlines()}


def test_import_says_what_it_made_of_the_files_and_what_comes_next(
    xformer: Run, moses: dict[str, Path], tmp_path: Path
) -> None:
    """Two pairs share their English: one is left out, its German joins the other. One line is half empty."""
    lines = {tag: path.read_text(encoding="utf-8") for tag, path in moses.items()}
    (tmp_path / "m.deu").write_text(f"{lines['de']}Danke.\nVielen Dank.\nNur hier.\n", encoding="utf-8")
    (tmp_path / "m.eng").write_text(f"{lines['en']}Thank you.\nThank you.\n\n", encoding="utf-8")
    files = (tmp_path / "m.deu", tmp_path / "m.eng")
    out = tmp_path / "corpora" / "m"
    options = ("--out", out, "--license", "CC0-1.0", "--dev", 5, "--test", 5)
    status, _, err = xformer("data", "import", "moses", *files, *options)
    assert status == 0
    said = err.splitlines()
    assert said[0].endswith(" texts in 2 languages: de (German), en (English)")
    for line in (
        "  dev: 10 texts in 5 groups, 5 with translations",
        "language tags: deu → de, eng → en",
        "  duplicate: 1 (en 1), such as m.eng:102: Thank you.",
        "  no text: 1 (en 1), such as m.eng:103",
    ):
        assert line in said
    assert said[-2:] == [
        "few groups with translations to evaluate with: dev has 5, test has 5; an accuracy of 50% is then "
        "uncertain by 44 points; --dev 5 --test 9 hold out more",
        f"next: xformer pretrain runs/m --budget 10m --set data.corpus={out}",
    ]
    manifest = Manifest.read(out)
    assert manifest.removed["duplicate"] == {"en": 1}
    assert manifest.removed["no text"] == {"en": 1}
    assert manifest.unpaired == {}
    groups = {record.text: record.group for record in open_corpus(out).records("train")}
    assert groups["Danke."] == groups["Vielen Dank."] == groups["Thank you."]
    assert manifest.tags == {"deu": "de", "eng": "en"}
    assert manifest.splits["test"].translated == 5


def test_import_reads_a_folder_of_catalogues(xformer: Run, tmp_path: Path) -> None:
    words = [letter * 9 for letter in "abcdefghijklmnopqrst"]
    entries = "".join(f'msgid "Open {word}"\nmsgstr "{word} öffnen"\n\n' for word in words)
    locale = tmp_path / "locale"
    files = {"de/LC_MESSAGES/a.po": entries, "x-test/LC_MESSAGES/a.po": entries, "notes.txt": "no catalogue"}
    for name, content in files.items():
        (locale / name).parent.mkdir(parents=True, exist_ok=True)
        (locale / name).write_text(content, encoding="utf-8")
    out = tmp_path / "corpora" / "system"
    options = ("--out", out, "--licence", "unknown", "--dev", 2, "--test", 2)
    status, _, err = xformer("data", "import", "gettext", locale, *options)
    assert status == 0
    assert "not read: 1 file\n  locale:x-test/LC_MESSAGES/a.po: language tag: expected" in err
    manifest = Manifest.read(out)
    assert manifest.languages == ("de", "en")
    assert list(manifest.not_read) == ["locale:x-test/LC_MESSAGES/a.po"]
    (source,) = manifest.sources
    digest = hashlib.sha256(entries.encode()).hexdigest()
    lines = f"{digest}  de/LC_MESSAGES/a.po\n{digest}  x-test/LC_MESSAGES/a.po\n"
    assert (source.name, source.size) == ("locale", 2 * len(entries.encode()))
    assert source.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    status, _, err = xformer("data", "import", "text", locale, *options[:1], tmp_path / "t", *options[2:])
    assert (status, "expected a file, this is a folder" in err) == (2, True)


def test_stats_is_a_table_or_json(xformer: Run, corpus: Path) -> None:
    status, table, _ = xformer("data", "stats", corpus)
    assert status == 0
    for part in ("train", "dev", "test", "de", "en"):
        assert part in table
    status, out, _ = xformer("data", "stats", corpus, "--json")
    assert status == 0
    counts = Manifest.read(corpus).splits["test"].languages["de"]
    assert str(counts.records) in json.dumps(json.loads(out))


def test_rows_are_imported_by_field(xformer: Run, tmp_path: Path) -> None:
    # Other digits would not make other texts.
    words = [a + b for a in "abcdef" for b in "aeiou"]
    rows = [{"de": f"eins {w}", "en": f"one {w}", "key": n, "kind": "number"} for n, w in enumerate(words)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = ("--licence", "CC0-1.0", "--test", 3, "--dev", 3)
    parallel = ("--parallel", "de=de", "en=en", "--group-field", "key", "--label-field", "kind")
    status, _, _ = xformer("data", "import", "jsonl", path, "--out", tmp_path / "two", *common, *parallel)
    assert status == 0
    records = list(open_corpus(tmp_path / "two").records("train"))
    assert {record.language for record in records} == {"de", "en"}
    assert {record.label for record in records} == {"number"}

    one = ("--text-field", "de", "--languages", "de", "--id-field", "key", "--seed", 5)
    status, _, _ = xformer("data", "import", "jsonl", path, "--out", tmp_path / "one", *common, *one)
    assert status == 0
    assert Manifest.read(tmp_path / "one").languages == ("de",)
    assert Manifest.read(tmp_path / "one").seed == 5


WRONG: list[tuple[list[str], str]] = [
    (["data", "import", "moses", "gone.de", "gone.en", "--out", "new", "--licence", "x"], "gone.de: missing"),
    (["data", "import", "moses", "a.de", "--out", "new", "--licence", "x"], "moses: expected line-aligned"),
    (
        ["data", "import", "moses", "a.de", "a.en", "--out", "new", "--licence", ""],
        "licence: expected a text",
    ),
    (
        ["data", "import", "moses", "a.de", "a.en", "--out", "new", "--licence", "x", "--dev", "1.5"],
        "dev: expected",
    ),
    (["data", "import", "moses", "a.de", "a.en", "--out", "full", "--licence", "x"], "full: already exists"),
    (
        ["data", "import", "tsv", "a.de", "--out", "new", "--licence", "x", "--parallel", "de"],
        "--parallel: expected FIELD=LANGUAGE, got 'de'",
    ),
    (
        ["data", "import", "tsv", "a.de", "--out", "new", "--licence", "x", "--parallel", "de=de"],
        "expected two fields or more",
    ),
    (["data", "stats", "nowhere"], "nowhere: expected the folder of a corpus"),
    (["tokenizer", "train", "nowhere", "new.model"], "nowhere: expected the folder of a corpus"),
    (["tokenizer", "report", "gone.model", "nowhere"], "nowhere: expected the folder of a corpus"),
    (["evaluate", "nowhere"], "nowhere: expected a run made by `xformer pretrain`"),
    (["pretrain", "a.de"], "a.de: expected the folder of a run"),
    (["pretrain", "full"], "full: expected a run or an empty folder"),
    (["pretrain", "new", "--config", "gone.toml"], "gone.toml: No such file"),
    (["pretrain", "new", "--set", "model.size=3"], "model.size: unknown key"),
    (["pretrain", "new", "--budget", "soon"], "--budget: expected something like 90s, 10m or 1.5h"),
    (
        ["pretrain", "new", "--budget", "1m", "--steps", "3"],
        "--budget, --steps: expected one of the two, got both",
    ),
    (["pretrain", "new", "--set", "data.corpus=nowhere"], "nowhere: expected the folder of a corpus"),
]


@pytest.mark.parametrize(("command", "said"), WRONG)
def test_input_that_cannot_be_used_is_said_in_a_line_with_status_2(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.de", "a.en"):
        Path(name).write_text("eins\nzwei\n")
    Path("full").mkdir()
    Path("full/notes").write_text("mine")
    status, out, err = xformer(*command)
    assert (status, out) == (2, "")
    message = err.splitlines()[-1]
    assert message.startswith("xformer: ")
    assert said in message
    assert "Traceback" not in err


def test_an_unknown_option_or_command_has_status_2_as_well(xformer: Run) -> None:
    for command in (["pretrian"], ["pretrain"], ["data", "stats", "x", "--jsn"], []):
        status, _, err = xformer(*command)
        assert status == 2
        assert "Traceback" not in err


def test_a_vocabulary_is_trained_and_looked_at(xformer: Run, corpus: Path, tmp_path: Path) -> None:
    model, picture = tmp_path / "mine.model", tmp_path / "fairness.png"
    status, out, err = xformer("tokenizer", "train", corpus, model, "--vocabulary-size", 300)
    assert (status, out) == (0, "")
    assert str(model) in err
    status, table, _ = xformer("tokenizer", "report", model, corpus, "--picture", picture)
    assert status == 0
    assert "de" in table
    assert picture.read_bytes().startswith(b"\x89PNG")
    status, out, _ = xformer("tokenizer", "report", model, corpus, "--json", "--split", "dev")
    assert status == 0
    assert json.loads(out)
    status, _, err = xformer("tokenizer", "train", corpus, model, "--vocabulary-size", 3)
    assert status == 2
    assert "vocabulary_size: expected a whole number of at least 262" in err
    (tmp_path / "bad.model").write_bytes(b"no model")
    status, _, err = xformer("tokenizer", "report", tmp_path / "bad.model", corpus)
    assert status == 2
    assert "bad.model" in err


def test_what_overlaps_a_named_test_set_is_left_out(
    xformer: Run, corpus: Path, moses: dict[str, Path], tmp_path: Path
) -> None:
    known = tmp_path / "known.en"
    taken = sorted(record.text for record in open_corpus(corpus).records("train") if record.language == "en")[
        :7
    ]
    known.write_text("\n".join(taken) + "\n")
    common = ("--licence", "CC0-1.0", "--dev", 1, "--test", 1)
    assert xformer("data", "import", "text", known, "--out", tmp_path / "known", *common)[0] == 0
    files, out = (moses["de"], moses["en"]), tmp_path / "clean"
    status, _, _ = xformer(
        "data", "import", "moses", *files, "--out", out, *common, "--decontaminate", tmp_path / "known"
    )
    assert status == 0
    clean = open_corpus(out)
    left = {record.text for split in clean.manifest.splits for record in clean.records(split)}
    assert left
    assert not left & set(taken)
    twice = ("--decontaminate", tmp_path / "known", tmp_path / "known")
    status, _, err = xformer("data", "import", "moses", *files, "--out", tmp_path / "new", *common, *twice)
    assert status == 2
    assert "test sets: expected different names, got 'known' twice" in err


def test_small_languages_and_named_test_sets(xformer: Run, tmp_path: Path) -> None:
    sizes, letters = {"de": 30, "de-AT": 4}, "abcdefghij"
    rows = [
        f"{tag}\twort {tag} {letters[n % 10] * 9} {letters[n // 10] * 9}"
        for tag, size in sizes.items()
        for n in range(size)
    ]
    (tmp_path / "rows.tsv").write_text("\n".join(["language\ttext", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "news.txt").write_text("Wort de-AT, ccccccccc aaaaaaaaa!\n", encoding="utf-8")
    options = ("--language-field", "language", "--licence", "CC0-1.0", "--dev", 0, "--test", 0)
    small = (
        "--min-language-texts",
        20,
        "--small-languages",
        "join",
        "--decontaminate",
        tmp_path / "news.txt",
    )
    out = tmp_path / "c"
    status, _, err = xformer("data", "import", "tsv", tmp_path / "rows.tsv", "--out", out, *options, *small)
    assert status == 0, err
    manifest = Manifest.read(out)
    assert manifest.languages == ("de",)
    assert manifest.merged == {"de": {"de-AT": 3}}
    said = err.splitlines()
    assert "joined into their kin: 1 language with fewer than 20 texts" in said
    assert any(line.startswith("kept apart from news.txt, 1 text: ") for line in said)
