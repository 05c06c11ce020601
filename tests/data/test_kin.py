"""Languages of few texts: what is joined into what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.kin import join_small, nearest_kin
from xformer.data.languages import likely_script

TAGS = ["de", "de-AT", "de-CH", "de-DE", "en", "sr", "sr-Latn", "sr-Latn-ijekavsk", "sr-ijekavsk", "zh-Hans"]
TAGS += ["zh-Hant", "zh-TW", "zh-HK", "zh", "nds", "pt-BR", "pt-PT", "tlh"]


@pytest.mark.parametrize(
    ("tag", "others", "kin"),
    [
        ("de-AT", ["de", "de-DE"], "de"),
        ("sr-Latn-ijekavsk", ["sr", "sr-Latn"], "sr-Latn"),
        # Another script is no kin.
        ("sr-Latn-ijekavsk", ["sr"], None),
        ("sr-ijekavsk", ["sr", "sr-Latn"], "sr"),
        ("zh-TW", ["zh", "zh-Hans", "zh-Hant"], "zh-Hant"),
        ("zh-HK", ["zh", "zh-Hans"], None),
        ("zh", ["zh-Hans", "zh-Hant"], "zh-Hans"),
        # Siblings: the one with most texts.
        ("de-AT", ["de-CH", "de-DE"], "de-DE"),
        ("de", ["de-CH", "de-DE"], "de-DE"),
        ("nds", ["de", "en"], None),
        ("deu-AT", ["de"], "de"),
    ],
)
def test_the_nearest_kin(tag: str, others: list[str], kin: str | None) -> None:
    assert nearest_kin(tag, {other: size for size, other in enumerate(others)} | {tag: 1}) == kin


def test_small_languages_join_the_smallest_first() -> None:
    counts = {"de": 5000, "de-AT": 400, "de-CH": 999, "de-DE": 1000, "pt-PT": 600, "pt-BR": 600, "tlh": 3}
    assert join_small(counts, 1000) == {"de-AT": "de", "de-CH": "de", "pt-BR": "pt-PT"}
    assert join_small(counts, 1) == {}


def test_what_joined_a_language_goes_on_with_it() -> None:
    counts = {"sr-Latn-ijekavsk": 5, "sr-Latn-RS": 20, "sr-Latn": 10, "en": 99}
    assert join_small(counts, 50) == {"sr-Latn-ijekavsk": "sr-Latn", "sr-Latn": "sr-Latn-RS"} | {
        "sr-Latn-ijekavsk": "sr-Latn-RS"
    }


@given(st.dictionaries(st.sampled_from(TAGS), st.integers(1, 30), min_size=1), st.integers(1, 40))
def test_joined_languages_are_gone_and_none_that_is_still_small_has_kin(
    counts: dict[str, int], least: int
) -> None:
    becomes = join_small(counts, least)
    sizes = dict(counts)
    for tag in becomes:
        del sizes[tag]
    for tag, kin in becomes.items():
        assert counts[tag] < least or any(other == tag for other in becomes.values())
        assert likely_script(tag) == likely_script(kin)
        sizes[kin] += counts[tag]
    assert sum(sizes.values()) == sum(counts.values())
    for tag, size in sizes.items():
        assert size >= least or nearest_kin(tag, sizes) is None
