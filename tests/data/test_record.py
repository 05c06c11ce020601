"""Language tags of records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.record import normalize_language
from xformer.errors import InputError

ASCII = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _letters(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(ASCII, min_size=least, max_size=most)


PARTS = _letters(2, 8) | st.sampled_from(["latin", "419", "1996"])


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("de", "de"),
        ("EN", "en"),
        ("pt_BR", "pt-BR"),
        ("pt-br", "pt-BR"),
        ("zh_hans", "zh-Hans"),
        ("zh_Hant_HK", "zh-Hant-HK"),
        ("sr@latin", "sr-Latn"),
        ("sr_RS@latin", "sr-Latn-RS"),
        ("uz_UZ@Cyrillic", "uz-Cyrl-UZ"),
        ("ca@valencia", "ca-valencia"),
        ("ca_ES@valencia", "ca-ES-valencia"),
        ("es_419", "es-419"),
        ("nan", "nan"),
        ("de-1996", "de-1996"),
        ("sr@ijekavian", "sr-ijekavsk"),
        ("sr_RS@ijekavianlatin", "sr-Latn-RS-ijekavsk"),
        ("sr@ije", "sr-ijekavsk"),
        ("sd@devanagari", "sd-Deva"),
        ("mni@bengali", "mni-Beng"),
        ("en@hebrew", "en-Hebr"),
        ("tt_RU@iqtelif", "tt-Latn-RU"),
        ("de_DE@euro", "de-DE"),
        ("be@tarask", "be-tarask"),
    ],
)
def test_tags_get_their_standard_shape(tag: str, expected: str) -> None:
    assert normalize_language(tag) == expected


@given(_letters(2, 3), st.lists(PARTS, max_size=3))
def test_one_language_has_one_spelling(language: str, parts: list[str]) -> None:
    tag = "-".join([language, *parts])
    normal = normalize_language(tag)
    assert normalize_language(normal) == normal
    for same in (tag.upper(), tag.lower(), tag.replace("-", "_"), tag.replace("-", "@")):
        assert normalize_language(same) == normal


@pytest.mark.parametrize(
    "tag",
    ["", "x", "d", "de-", "-de", "de--DE", "de DE", "deutsch!", "français", "de_DE.UTF-8", "de@nosuchscript"],
)
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="language tag: expected something like 'de' or 'pt-BR'"):
        normalize_language(tag)
