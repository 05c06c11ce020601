"""Names of languages beside their tags."""

from __future__ import annotations

from xformer.evaluation.names import label, long_names, short_names, some


def test_a_tag_has_its_name_beside_it() -> None:
    assert label("de") == "de German"
    assert label("deu") == "deu German"
    assert label("xx-unknown") == "xx-unknown"
    assert long_names(["de", "fr"]) == {"de": "de German", "fr": "fr French"}


def test_a_row_of_a_chart_has_at_most_twenty_letters_and_its_whole_tag() -> None:
    tags = ("zh-Hans", "zh-Hant", "en", "qaa-x-a-very-long-tag-of-its-own")
    found = short_names(tags)
    assert found["zh-Hans"] == "zh-Hans Chinese (Si…"
    assert found["en"] == "en English"
    assert len(set(found.values())) == 4
    assert all(row.rstrip("…").startswith(tag) for tag, row in found.items())


def test_long_lists_are_cut() -> None:
    names = [f"l{number}" for number in range(30)]
    assert some(names[:21]).endswith("l20")
    assert some(names) == f"{', '.join(names[:20])} and 10 more"
    assert some([]) == ""
