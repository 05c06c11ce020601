"""What a translation does wrong with placeholders, and what it may do."""

from __future__ import annotations

import pytest

from xformer.localization.placeholders import difference, has_words


@pytest.mark.parametrize(
    ("source", "target", "flags"),
    [
        ("%s of %d", "%s von %d", ()),
        ("%(done)s of %(all)d", "von %(all)d sind %(done)s", ("python-format",)),
        ("{0} of {1:>3}", "von {1:>3} {0}", ("python-brace-format",)),
        ("%1$s and %2$s", "%2$s und %1$s", ("c-format",)),
        ("Open <b>file</b><br/>", "<b>Datei</b> öffnen<br/>", ()),
        ("&accel;Open ${name} $HOME", "${name} $HOME &accel;Öffnen", ()),
        ("100% of it", "100 % davon", ()),  # no format: a number and a word
        ("100%% of %d", "100 %% von %d", ("c-format",)),
        ("costs $5", "kostet 5 $", ()),
        ("%1 of %2", "%2 von %1", ()),
        ("%<PRIu64> bytes", "%<PRIu64> Bytes", ("c-format",)),
        ("{{literal}} {name!r}", "{name!r} {{literal}}", ()),
        ("no placeholder { at all", "gar keiner {", ()),
    ],
)
def test_right(source: str, target: str, flags: tuple[str, ...]) -> None:
    assert difference(source, target, flags) == ""


@pytest.mark.parametrize(
    ("source", "target", "flags", "says"),
    [
        ("%s of %d", "%d von %s", (), "has %d, %s in another order"),
        ("{} {!r}", "{!r} {}", (), "in another order"),
        ("%(name)s", "%(Name)s", ("python-format",), "lacks %(name)s"),
        ("%(name)s", "%(name) s", (), "lacks %(name)s"),
        ("{0} {0}", "{0}", (), "lacks {0}"),
        ("no format", "kein {0}", (), "has {0}, which the original lacks"),
        ("no format", "%s", (), "has %s, which"),
        ("<b>x</b>", "<b>x<b>", (), "lacks </b>"),
        ("<b><i>x</i></b>", "<b><i>x</b></i>", (), "closes tags in another order"),
        ("a <a href='x'>link</a>", "ein <a href='y'>Link</a>", (), "lacks <a href='x'>"),
        ("&amp; more", "& mehr", (), "lacks &amp;"),
        ("100% of it", "100 % davon", ("c-format",), "lacks % o"),
        ("%s %s %s", "%s", (), "lacks %s (2 times)"),
    ],
)
def test_wrong(source: str, target: str, flags: tuple[str, ...], says: str) -> None:
    assert says in difference(source, target, flags)


def test_marked_as_no_format() -> None:
    assert difference("100% of", "100 % davon", ("no-c-format",)) == ""


def test_words() -> None:
    assert has_words("%s files")
    assert has_words("日本")
    assert not has_words("%(name)s: {0} – 12 <b></b>\n")
    assert not has_words("")
