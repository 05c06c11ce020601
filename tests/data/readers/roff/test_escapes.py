r"""Escapes of roff: what they print. Covers `glyphs`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers.roff.escapes import expand, is_continued, plain, without_comment
from xformer.data.readers.roff.glyphs import character, glyph


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (r"\-\-help", "--help"),
        (r"\(co 2020 \[rg] \(aqone\(aq \(lqtwo\(rq", "© 2020 ® 'one' “two”"),
        (r"caf\[u00E9] na\[u0069_0308]ve \['e]t\(`a \[n a~]", "café naïve étà ñ"),
        (r"\fBbold\fP \f[CR]mono\f[] \f(CWwide\fR \fIx\fP", "bold mono wide x"),
        (r"\s-2small\s0 \s+1big\s0 \s[8]x\s0 \s'+2'y\s0 \s(12z", "small big x y z"),
        (r"a\&b\/c\,d\|e\^f\%g\:h\)", "abcdefgh"),
        (r"one\ word\~two\0three", "one word two three"),
        (r"C:\ebin \\n", r"C:\bin \n"),
        (r"\m[blue]link\m[] \M[red]x\M[]", "link x"),
        (r"\h'-04'\(bu\h'+03'item\v'1'", "•item"),
        (r"\N'65'\[char66]\C'co'", "AB©"),
        (r"\o'e\(aq' \z_x", "e _x"),
        (r"\X'ps: x'y\k[here]z\D'l 1 0'\l'2i'", "yz"),
        (r"\E(em \q \7", "— q 7"),
        (r"\[no such name]\(zz", ""),
        ("end\\", "end"),
    ],
)
def test_what_escapes_print(text: str, printed: str) -> None:
    assert plain(text) == printed


def test_names_of_characters() -> None:
    assert [glyph(name) for name in ("vS", ",c", ":u", "/o", "ss", "*W")] == ["Š", "ç", "ü", "ø", "ß", "Ω"]
    assert [glyph(name) for name in ("u1F600", "uD800", "u110000", "u12", "'1", "nothing")] == [
        "😀", "", "", None, None, None
    ]  # fmt: skip
    assert (character(0), character(-1), character(2**40)) == ("", "", "")


def test_strings_registers_arguments_and_widths_are_looked_up() -> None:
    def look(sign: str, name: str) -> str:
        return f"<{sign}{name}>"

    assert expand(r"\*a \*(bc \*[def] \*-x", look) == "<*a> <*bc> <*def> <*->x"
    assert expand(r"\na \n(.g \n+[ij] \$1 \$* \w'mm'u", look) == "<na> <n.g> <nij> <$1> <$*> <wmm>u"
    assert expand(r"\\*a \fB \e", look) == r"\\*a \fB \e"


def test_comments_and_lines_that_go_on() -> None:
    assert without_comment(r"text \" comment") == "text "
    assert without_comment(r"text \# comment") == "text "
    assert without_comment(r"a \\" + '"quoted" end') == r"a \\" + '"quoted" end'
    assert [is_continued(line) for line in ("a\\", r"a\\", "a\\\\\\", "a", "")] == [
        True, False, True, False, False
    ]  # fmt: skip


@given(st.text(alphabet="\\*n$[](')f'swzoZ.aAé\"{}+-0 "))
def test_nothing_is_too_odd(text: str) -> None:
    for line in (text, without_comment(text)):
        assert isinstance(plain(expand(line, lambda sign, name: name)), str)
