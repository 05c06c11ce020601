"""The readers on real text, where it is at hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from xformer.data.readers import Fields, read_jsonl, read_moses, read_tsv

LANGUAGES = ["en", "de", "fr", "cs"]


def test_multi30k_as_moses(shared_data: Path) -> None:
    paths = [shared_data / "multi30k" / f"train.{language}.gz" for language in LANGUAGES]
    records = list(read_moses(paths))
    assert Counter(record.language for record in records) == dict.fromkeys(LANGUAGES, 29_000)
    first = records[:4]
    assert [record.language for record in first] == LANGUAGES
    assert len({record.group for record in first}) == 1
    assert first[0].text == "Two young, White males are outside near many bushes."


def test_multi30k_with_a_file_of_another_split(shared_data: Path, refused: Any) -> None:
    folder = shared_data / "multi30k"
    with refused("val.en.gz has 1014", "test_2016_flickr.de.gz has 1000"):
        list(read_moses([folder / "val.en.gz", folder / "test_2016_flickr.de.gz"]))


def test_debian_as_json_lines(shared_data: Path) -> None:
    fields = Fields(text="description", group="id", id="id", label="section")
    languages = defaultdict(set)
    labels: dict[str, str | None] = {}
    for path in sorted((shared_data / "debian").glob("dev.*.jsonl.gz")):
        for record in read_jsonl(path, fields):
            languages[record.group].add(record.language)
            assert labels.setdefault(record.group, record.label) == record.label
    assert set().union(*languages.values()) == {
        "da", "de", "en", "es", "fr", "it", "ja", "ko", "pl", "pt-BR", "ru", "uk"
    }  # fmt: skip
    assert sum(len(each) > 1 for each in languages.values()) > 1000


def test_sentiment_as_tsv(shared_data: Path, tmp_path: Path) -> None:
    """Texts and labels come in two files; pasted together they are a TSV file without a header."""
    for name, language in [("english", "en"), ("german", "de"), ("french", "fr"), ("spanish", "es")]:
        folder = shared_data / "sentiment" / name
        labels = (folder / "train_labels.txt").read_text("utf-8").split("\n")
        texts = (folder / "train_text.txt").read_text("utf-8").split("\n")
        path = tmp_path / f"train.{language}.tsv"
        rows = [f"{label}\t{text}\n" for label, text in zip(labels, texts, strict=True) if text]
        path.write_text("label\ttext\n" + "".join(rows), encoding="utf-8", newline="\n")
        records = list(read_tsv(path, Fields(label="label")))
        assert {record.language for record in records} == {language}
        assert len(records) == len(rows) > 1800
        counts = Counter(record.label for record in records)
        assert set(counts) == {"0", "1", "2"}
        assert max(counts.values()) - min(counts.values()) <= 2
