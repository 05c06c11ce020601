"""Plural forms are what gettext makes of the header."""

from __future__ import annotations

import pytest

from xformer.localization.plurals import PluralForms

RUSSIAN = (
    "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"
)


def test_numbers_of_each_form() -> None:
    english = PluralForms.parse("nplurals=2; plural=(n != 1);")
    assert len(english) == 2
    assert english.is_singular(0)
    assert not english.has_one(1)
    french = PluralForms.parse(" nplurals=2 ;plural=n>1 ")
    assert french.numbers[0] == {0, 1}
    assert french.has_one(0)
    assert not french.is_singular(0)
    russian = PluralForms.parse(RUSSIAN)
    assert sorted(russian.numbers[0])[:3] == [1, 21, 31]
    assert not russian.is_singular(0)
    japanese = PluralForms.parse("nplurals=1; plural=0;")
    assert japanese.numbers[0] == set(range(1001))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "expected `nplurals=2;"),
        ("nplurals=0; plural=0;", "expected 1 to 16 forms, got 0"),
        ("nplurals=2; plural=n;", "form 2 of the number 2 is none of 2"),
        ("nplurals=2; plural=n !;", "plural form"),
        ("nplurals=2; plural=__import__('os');", "plural form"),
    ],
)
def test_what_cannot_be_evaluated_is_named(header: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PluralForms.parse(header)
