"""Hints about swapped languages: given where they should be, and not on good data.

Covers xformer.data.function_words, too.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path

import pytest

from xformer.data import language_check
from xformer.data.function_words import languages_by_word, words_of
from xformer.data.language_check import LanguageCheck
from xformer.data.languages import likely_script
from xformer.data.record import Record

SENTENCES = {
    "de": "Die Katze ist nicht in dem Haus und wird von einem Hund auf der Straße gesehen, gut für sie.",
    "en": "The cat is not in that house and it was seen by a dog on the street, which is good for the cat.",
    "ru": "Кошка не в доме, её увидела собака на улице, и это хорошо для неё, так что она от нас не уйдёт.",
    "ja": "猫は家の中にいません。通りで犬に見られました。それは猫にとって良いことです。",
    "zh": "猫不在房子里。它在街上被一只狗看见了。这对猫来说是件好事。我们都很高兴。",
    "ko": "고양이는 집에 없습니다. 거리에서 개가 보았습니다. 고양이에게 좋은 일입니다.",
    "sw": "Paka hayupo nyumbani na alionekana na mbwa barabarani, jambo ambalo ni zuri kwa paka wetu sote.",
    "sr": "Мачка није у кући, видео ју је пас на улици, и то је добро за њу, али не и за пса.",
}


def _records(files: dict[str, tuple[str, list[str]]]) -> Iterator[Record]:
    """Aligned files, by name: the tag and the lines of each."""
    for number, row in enumerate(zip(*(lines for _, lines in files.values()), strict=True), 1):
        for (name, (tag, _)), text in zip(files.items(), row, strict=True):
            yield Record(text, tag, str(number), f"{name}:{number}")


def _hints(files: dict[str, tuple[str, list[str]]]) -> list[str]:
    check, records = LanguageCheck(), list(_records(files))
    assert list(check.watch(records)) == records
    return check.hints()


def test_two_swapped_files_are_named_with_their_lines() -> None:
    files = {"a.de": ("de", [SENTENCES["en"]] * 50), "a.en": ("en", [SENTENCES["de"]] * 50)}
    assert _hints(files) == [
        "a.de looks like English and a.en like German (lines 1 to 50): are the two files swapped?"
    ]


@pytest.mark.parametrize(("one", "other"), [*combinations(SENTENCES, 2)])
def test_every_two_are_found_and_not_where_they_are_right(one: str, other: str) -> None:
    texts = {tag: [SENTENCES[tag]] * 60 for tag in (one, other)}
    assert _hints({"x.1": (one, texts[one]), "x.2": (other, texts[other])}) == []
    assert len(_hints({"x.1": (one, texts[other]), "x.2": (other, texts[one])})) == 1


def test_languages_of_one_file() -> None:
    check = LanguageCheck()
    for line in range(1, 61):
        rows = [
            ("pt-BR", SENTENCES["de"]),
            ("de", "O gato não está em casa, mas foi visto por um cão na rua."),
        ]
        list(check.watch(Record(text, tag, str(line), f"x.csv:{line}") for tag, text in rows))
    assert check.hints() == [
        "x.csv: the Portuguese (Brazil) texts look like German and the German texts like Portuguese (Brazil) "
        "(lines 1 to 60): are the two languages swapped?"
    ]


def test_a_part_is_found_in_a_file_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_check, "_LEAST_LINES", 50)  # 64 blocks of them are fewer than the lines
    right = [SENTENCES["de"]] * 4_000, [SENTENCES["en"]] * 4_000
    swapped = slice(1_000, 2_000)
    wrong = list(right[0]), list(right[1])
    wrong[0][swapped], wrong[1][swapped] = right[1][swapped], right[0][swapped]
    assert _hints({"a.de": ("de", right[0]), "a.en": ("en", right[1])}) == []
    (hint,) = _hints({"a.de": ("de", wrong[0]), "a.en": ("en", wrong[1])})
    assert hint.startswith("a.de looks like English and a.en like German (lines 1,001 to 2,000): ")


def test_a_file_of_another_language_of_the_import_is_doubted() -> None:
    files = {"a.de": ("de", [SENTENCES["en"]] * 50), "a.en": ("en", [SENTENCES["en"]] * 50)}
    assert _hints(files) == [
        "a.de: the text with the tag de looks like English, not German; is the tag right?"
    ]


@pytest.mark.parametrize("lines", [1, 2])
def test_short_texts_stay_silent(lines: int) -> None:
    files = {"a.de": ("de", [SENTENCES["en"]] * lines), "a.en": ("en", [SENTENCES["de"]] * lines)}
    assert _hints(files) == []


def test_mixed_texts_and_close_relatives_stay_silent() -> None:
    mixed = [SENTENCES["de"], SENTENCES["en"]] * 40
    assert _hints({"a.de": ("de", mixed), "a.en": ("en", mixed[::-1])}) == []
    serbian = "Mačka nije u kući, video ju je pas na ulici, i to je dobro za nju, ali ne i za psa."
    assert _hints({"a.sr": ("sr", [serbian] * 60), "a.hr": ("hr", [serbian] * 60)}) == []
    assert _hints({"a.sr": ("sr", [serbian] * 60), "a.en": ("en", [SENTENCES["en"]] * 60)}) == []


def test_records_without_a_line_or_a_known_language_do_no_harm() -> None:
    check = LanguageCheck()
    records = [
        Record("one text " * 90, tag, "g", source) for tag in ("qaa", "und") for source in ("s", "s:x")
    ]
    assert list(check.watch(records)) == records
    assert check.hints() == []


def test_every_list_tells_its_language_from_all_others_of_its_script() -> None:
    languages = sorted({language for known in languages_by_word().values() for language in known})
    assert len(languages) > 35
    for one, other in combinations(languages, 2):
        if likely_script(one) == likely_script(other):
            assert len(words_of(one) - words_of(other)) >= 5, (one, other)
            assert len(words_of(other) - words_of(one)) >= 5, (one, other)
    assert all(word == word.lower() and len(word) > 0 for word in languages_by_word())
    assert words_of("no") == words_of("nb")
    assert words_of("sw") == frozenset()


@pytest.mark.slow
def test_real_text_in_both_orders(shared_data: Path) -> None:
    """No false hint on good data and none missed, for each two of 15 languages and 500 lines."""
    texts = dict[str, list[str]]()
    for tag in ("cs", "de", "en", "fr"):
        with gzip.open(shared_data / "multi30k" / f"train.{tag}.gz", "rt", encoding="utf-8") as file:
            texts[f"multi30k {tag}"] = [line.rstrip("\n") for line in islice(file, 500)]
    for name in ("da", "de", "en", "es", "fr", "it", "ja", "ko", "pl", "pt_BR", "ru", "uk"):
        path = shared_data / "debian" / f"train.{name}.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in islice(file, 500)]
        for field in ("synopsis", "description"):
            texts[f"{field} {name.replace('_', '-')}"] = [row[field] for row in rows]
    names = {"de": "german", "en": "english", "es": "spanish", "fr": "french"}
    for tag, name in names.items():
        lines = (shared_data / "sentiment" / name / "train_text.txt").read_text(encoding="utf-8").split("\n")
        texts[f"tweets {tag}"] = lines[:500]
    false, missed, pairs = list[str](), list[str](), 0
    for one, other in combinations(texts, 2):
        kinds, tags = zip(one.split(), other.split(), strict=True)
        if kinds[0] != kinds[1]:
            continue
        pairs += 1
        if _hints({"1": (tags[0], texts[one]), "2": (tags[1], texts[other])}):
            false.append(f"{one}, {other}")
        if not _hints({"1": (tags[0], texts[other]), "2": (tags[1], texts[one])}):
            missed.append(f"{one}, {other}")
    assert (pairs, false, missed) == (144, [], [])
