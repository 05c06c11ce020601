"""Rules about sources: which fits which source, and what is said of those that fit none.

Covers xformer.data.source_counts, too.
"""

from __future__ import annotations

import pytest

from xformer.data.batches import Batch
from xformer.data.record import Record
from xformer.data.source_counts import SourceCounts
from xformer.data.source_rules import SourcePlaces, SourceRule, require_matches, rules_of
from xformer.errors import InputError

NAMES = ("cldr-annotations/full-47.tgz", "cldr-localenames/full-47.tgz", "django-5.1.whl", "other")


def test_the_first_rule_that_fits_holds() -> None:
    rules = (SourceRule("cldr-a*/*", 0.5), SourceRule("cldr-*/*", 0.1), SourceRule("[od]*"))
    assert rules_of(rules, NAMES) == [0, 1, 2, 2]
    assert rules_of(rules[:1], NAMES) == [0, None, None, None]


def test_patterns_tell_upper_case_and_fit_whole_names() -> None:
    assert rules_of((SourceRule("Django*"), SourceRule("django")), NAMES) == [None] * 4


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((SourceRule("freedict/*"),), r"'freedict/\*' fits no source of c; it has cldr-annotations/full"),
        ((SourceRule("*"), SourceRule("django*")), r"'django\*' comes too late: .* \(django-5.1.whl\)"),
        ((SourceRule("*", languages=("de", "xx*")),), r"'\*': 'xx\*' fits no language of c; it has de, en"),
    ],
)
def test_what_fits_nothing_is_refused_by_name(rules: tuple[SourceRule, ...], expected: str) -> None:
    with pytest.raises(InputError, match=f"data.sources: {expected}"):
        require_matches(rules, NAMES, ["en", "de"], "c")
    require_matches((SourceRule("*", languages=("d?",)),), NAMES, ["en", "de"], "c")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pattern", ""),
        ("weight", -0.1),
        ("weight", float("inf")),
        ("weight", float("nan")),
        ("min_chars", -1),
        ("max_chars", 0),
        ("min_translations", -1),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected "):
        SourceRule(**({"pattern": "*"} | {field: value}))  # type: ignore[arg-type]


def test_a_limit_below_the_other_is_refused() -> None:
    with pytest.raises(ValueError, match="max_chars: expected at least min_chars=9, got 8"):
        SourceRule("*", min_chars=9, max_chars=8)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("django-5.1.whl:django/conf/locale/de/LC_MESSAGES/django.mo", "django-5.1.whl"),
        ("cldr/full.tgz:de.json:a: b", "cldr/full.tgz"),
        ("cldr/full.tgz", "cldr/full.tgz"),
        ("cldr/other.tgz:x", "other"),
        # A folder that was imported whole; a catalogue by itself, which keeps its last folders.
        ("locale/de/LC_MESSAGES/hello.mo:12", "locale"),
        ("de/LC_MESSAGES/alone.mo", "alone.mo"),
        ("Reise nach Rom: Tag 2.txt:17", "Reise nach Rom: Tag 2.txt"),
        ("", "other"),
        ("synthetic", "other"),
    ],
)
def test_a_text_belongs_to_the_source_that_its_place_begins_with(source: str, name: str) -> None:
    listed = ("django-5.1.whl", "cldr/full.tgz", "locale", "alone.mo", "Reise nach Rom: Tag 2.txt")
    places = SourcePlaces(listed)
    assert [places.names[places(source)] for _ in range(2)] == [name, name]
    if ": " not in source:
        plain = SourcePlaces(listed[:-1])
        assert plain.names[plain(source)] == name


def test_names_are_numbered_once_and_other_is_last() -> None:
    assert SourcePlaces(["b", "a", "b", "other"]).names == ("b", "a", "other")


def test_texts_and_bytes_are_counted_by_source_and_language() -> None:
    counts = SourceCounts(["b.txt", "a.txt"])
    texts = [("a.txt:1", "en", 3), ("b.txt:1", "de", 4), ("a.txt:2", "en", 5), ("?", "en", 1)]
    for part in (texts[:3], texts[3:]):
        batch = Batch.of([Record("", language, "g", source) for source, language, _ in part])
        counts.add(batch, [n_bytes for _, _, n_bytes in part])
    assert counts.table() == {"b.txt": {"de": (1, 4)}, "a.txt": {"en": (2, 8)}, "other": {"en": (1, 1)}}
    assert list(counts.table()) == ["b.txt", "a.txt", "other"]
    assert counts.bytes_by_language() == {"en": 9, "de": 4}
