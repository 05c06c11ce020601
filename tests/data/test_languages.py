"""What is known of languages, beside ISO 639."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.languages import (
    canonical_language,
    counted,
    find_language,
    language_name,
    language_named,
    likely_script,
    named,
    script_named,
)
from xformer.data.record import normalize_language

# ISO 639-1 codes beside those of ISO 639-2 (bibliographic ones last): the Library of Congress's table.
ISO = """
af:afr am:amh ar:ara az:aze be:bel bg:bul bn:ben bo:bod,tib bs:bos ca:cat cs:ces,cze cy:cym,wel da:dan
de:deu,ger el:ell,gre en:eng eo:epo es:spa et:est eu:eus,baq fa:fas,per fi:fin fr:fra,fre ga:gle gl:glg
gu:guj he:heb hi:hin hr:hrv hu:hun hy:hye,arm id:ind is:isl,ice it:ita ja:jpn ka:kat,geo kk:kaz km:khm
kn:kan ko:kor ku:kur ky:kir la:lat lo:lao lt:lit lv:lav mk:mkd,mac ml:mal mn:mon mr:mar ms:msa,may
my:mya,bur nb:nob ne:nep nl:nld,dut nn:nno no:nor or:ori pa:pan pl:pol ps:pus pt:por ro:ron,rum ru:rus
sh:hbs si:sin sk:slk,slo sl:slv sq:sqi,alb sr:srp sv:swe sw:swa ta:tam te:tel tg:tgk th:tha tl:tgl tr:tur
tt:tat tw:twi uk:ukr ur:urd uz:uzb vi:vie wo:wol xh:xho yi:yid zh:zho,chi zu:zul
"""
CODES = [
    (short, long) for short, _, codes in (e.partition(":") for e in ISO.split()) for long in codes.split(",")
]


@pytest.mark.parametrize(("short", "long"), CODES)
def test_three_letters_become_two(short: str, long: str) -> None:
    assert canonical_language(long) == short
    assert canonical_language(short) == short
    assert language_name(long) == language_name(short) != short


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("DEU", "de"),
        ("zho-Hant-HK", "zh-Hant-HK"),
        ("por-BR", "pt-BR"),
        ("cmn", "zh"),
        ("pes", "fa"),
        ("zsm", "ms"),
        ("swh", "sw"),
        ("iw", "he"),
        ("ckb", "ckb"),
        ("yue", "yue"),
        ("tlh", "tlh"),
        ("xx", "xx"),
        ("ca-valencia", "ca-valencia"),
        ("racv", "ca-valencia"),
    ],
)
def test_the_rest_of_a_tag_stays(tag: str, expected: str) -> None:
    assert canonical_language(tag) == expected


@given(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=3),
    st.sampled_from(["", "-Latn", "-Cyrl-RS", "-DE"]),
)
def test_a_canonical_tag_stays(language: str, rest: str) -> None:
    once = canonical_language(language + rest)
    assert canonical_language(once) == once
    assert once.endswith(rest)
    assert normalize_language(once) == once
    assert language_name(once)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("de", "German"),
        ("deu", "German"),
        ("zh-Hant", "Chinese (Traditional)"),
        ("zh-Hant-HK", "Chinese (Traditional, Hong Kong SAR China)"),
        ("pt-BR", "Portuguese (Brazil)"),
        ("sr-Latn", "Serbian (Latin)"),
        ("es-419", "Spanish (Latin America)"),
        ("ca-valencia", "Catalan (Valencian)"),
        ("de-x", "German (x)"),
        ("prs", "Dari"),
        ("qqq", "qqq"),
        ("qqq-Latn", "qqq-Latn"),
    ],
)
def test_names(tag: str, name: str) -> None:
    assert language_name(tag) == name


@pytest.mark.parametrize(
    ("tag", "script"),
    [
        ("de", "Latn"),
        ("rus", "Cyrl"),
        ("sr", "Cyrl"),
        ("sr-Latn-RS", "Latn"),
        ("uz-Cyrl", "Cyrl"),
        ("zh", "Hans"),
        ("zh-TW", "Hant"),
        ("zh-Hant-CN", "Hant"),
        ("ja", "Jpan"),
        ("ko", "Kore"),
        ("el", "Grek"),
        ("he", "Hebr"),
        ("hi", "Deva"),
        ("prs", "Arab"),
        ("sh", "Latn"),
        ("de-XX", "Latn"),
        ("qqq", None),
        ("und", None),
    ],
)
def test_scripts(tag: str, script: str | None) -> None:
    assert likely_script(tag) == script


def test_a_language_is_found_by_its_name() -> None:
    assert [language_named(name) for name in ("german", "German", "CZECH")] == ["de", "de", "cs"]
    assert language_named("ok") is None


def test_a_script_is_found_by_its_name() -> None:
    assert [script_named(name) for name in ("devanagari", "Latin", "HEBREW")] == ["Deva", "Latn", "Hebr"]
    assert script_named("valencia") is None


@pytest.mark.parametrize(
    ("languages", "wanted", "found"),
    [
        (("de", "en"), "en", "en"),
        (("deu", "eng"), "en", "eng"),
        (("de", "en"), "eng", "en"),
        (("de", "deu"), "deu", "deu"),  # a corpus that was made before had both
        (("de", "deu"), "ger", "de"),
        (("pt", "pt-BR"), "por_BR", "pt-BR"),
        (("pt-BR",), "pt", None),
        (("de", "en"), "German", "de"),
        (("deu", "eng"), "english", "eng"),
        (("zh-Hans", "zh-Hant"), "Chinese (Traditional)", "zh-Hant"),
        (("de", "en"), "EN", "en"),
        (("de", "en"), "fr", None),
        (("de", "en"), "no such language!", None),
        ((), "en", None),
    ],
)
def test_a_corpus_is_searched_for_a_language(
    languages: tuple[str, ...], wanted: str, found: str | None
) -> None:
    assert find_language(languages, wanted) == found


def test_tables_are_read_when_asked() -> None:
    """Commands that name no language do not wait for them."""
    code = "import sys, xformer.data.languages, xformer.data.record; print('babel' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_languages_are_counted_in_words() -> None:
    assert [counted(count) for count in (0, 1, 2)] == ["0 languages", "1 language", "2 languages"]


def test_a_sentence_names_the_tag_and_the_language() -> None:
    assert (named("de"), named("deu"), named("xx-unknown")) == ("de (German)", "deu (German)", "xx-unknown")
