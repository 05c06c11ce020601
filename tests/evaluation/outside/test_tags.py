import pytest

from xformer.data.record import normalize_language
from xformer.evaluation.outside.tags import is_known_language, match_language

RUN = (
    "ar",
    "de",
    "el",
    "en",
    "en-GB",
    "fa",
    "nb",
    "nn",
    "pt",
    "pt-BR",
    "sr-Latn",
    "tl",
    "zh-Hans",
    "zh-Hant",
)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("deu", "de"),
        ("ell", "el"),
        ("eng", "en"),
        ("cmn", "zh-Hans"),
        ("zho", "zh-Hans"),
        ("zh-TW", "zh-Hant"),
        ("nob", "nb"),
        ("nor", "nb"),
        ("nno", "nn"),
        ("pes", "fa"),
        ("arb", "ar"),
        ("por", "pt"),
        ("pt-PT", "pt"),
        ("tgl", "tl"),
        ("de-AT", "de"),
        ("en-US", "en"),
        ("srp", None),  # Cyrillic is not what was trained on
        ("yue", None),
        ("kzj", None),
    ],
)
def test_codes_of_test_sets_mean_tags_of_a_run(code: str, tag: str | None) -> None:
    assert match_language(normalize_language(code), RUN) == tag


def test_one_region_stands_for_another_where_there_is_no_other() -> None:
    assert match_language("pt", ("en", "pt-BR", "pt-PT")) == "pt-BR"
    assert match_language("pt", ("en", "pt-PT")) == "pt-PT"
    assert match_language("zh", ("zh-CN", "zh-TW")) == "zh-CN"
    assert match_language("nb", ("no",)) == "no"


def test_which_codes_are_of_known_languages() -> None:
    assert is_known_language("de")
    assert is_known_language("kzj")
    assert not is_known_language("orv")
