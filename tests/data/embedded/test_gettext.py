"""The embedded corpus, from the wheels themselves: needs them in the cache, or an index to fetch them."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from xformer.data.embedded import pip
from xformer.data.embedded.gettext import fetch_gettext_corpus, gettext_wheels, read_gettext_corpus
from xformer.data.record import Record
from xformer.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels() -> tuple[Path, ...]:
    try:
        return fetch_gettext_corpus(say=print)
    except InputError as error:
        pytest.skip(f"the wheels are not in the cache and cannot be fetched: {error}")


@pytest.fixture(scope="module")
def records(wheels: tuple[Path, ...]) -> list[Record]:
    return list(read_gettext_corpus(wheels))


def test_its_size(records: list[Record]) -> None:
    translations = [record for record in records if record.language != "en"]
    assert len(translations) == 437_477
    assert sum(len(record.text) for record in records) == 14_789_556
    assert len({record.group for record in records}) == 24_135


def test_fifty_languages_have_enough_text(records: list[Record]) -> None:
    counts = Counter(record.language for record in records)
    assert sum(count >= 1_200 for count in counts.values()) == 59
    assert sum(count >= 1_000 for count in counts.values()) == 63


def test_english_is_the_source_alone(records: list[Record]) -> None:
    languages = {record.language for record in records}
    assert "en" in languages
    assert not [language for language in languages if language.startswith("en-")]
    english = [record.text for record in records if record.language == "en"]
    assert len(set(english)) == len(english)
    assert {record.group for record in records if record.language == "en"} == {r.group for r in records}


def test_one_language_has_one_tag(records: list[Record]) -> None:
    languages = {record.language for record in records}
    assert {"zh-Hans", "zh-Hant", "pt-PT", "pt-BR", "nb", "nn", "sr", "sr-Latn", "es-AR"} <= languages
    assert (
        not {"zh", "zh-CN", "zh-TW", "pt", "no", "nb-NO", "tr-TR", "is-IS", "ku-IQ", "zh-Hans-CN", "es-ES"}
        & languages
    )


def test_nothing_comes_twice_or_untranslated(records: list[Record]) -> None:
    assert len({(record.language, record.group, record.text) for record in records}) == len(records)
    english = defaultdict(set)
    for record in records:
        if record.language == "en":
            english[record.group].add(record.text)
    assert not [r for r in records if r.language != "en" and r.text in english[r.group]]
    assert all(record.text.strip() for record in records)


def test_a_known_message(records: list[Record]) -> None:
    group = next(r.group for r in records if r.text == "Please correct the errors below.")
    texts = {(record.language, record.text) for record in records if record.group == group}
    assert ("de", "Bitte beheben Sie die Fehler darunter") in texts
    assert len({language for language, _ in texts}) > 60


def test_every_record_names_its_catalogue(records: list[Record]) -> None:
    sources = Counter(record.source.partition(":")[0] for record in records)
    assert set(sources) == {wheel.filename for wheel in gettext_wheels()}
    assert all(record.source.endswith((".mo", ".po")) or ".po:" in record.source for record in records)


def test_the_licences_allow_it() -> None:
    assert {wheel.licence for wheel in gettext_wheels()} == {"BSD-3-Clause", "BSD-2-Clause", "MIT"}


def test_a_wheel_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XFORMER_CACHE", str(tmp_path))
    monkeypatch.setattr(pip, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"(?s)could not fetch django .*: pip is not installed.*sha256"):
        fetch_gettext_corpus(say=print)
