"""Whole pages become blocks. Covers `blocks`, `man_macros`, `mdoc_macros` and `mdoc_words`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers.roff.blocks import join_lines
from xformer.data.readers.roff.page import read_page
from xformer.errors import InputError

TITLE = ".TH PARROT 1 2026-01-01 birds"


def man(*lines: str) -> list[str]:
    """Blocks of a page in the macros of man, each as its kind and its text."""
    return [f"{block.kind} {block.text}".strip() for block in read_page("\n".join((TITLE, *lines)), "a.1")]


def mdoc(*lines: str) -> list[str]:
    """Blocks of a page in the macros of mdoc."""
    page = "\n".join((".Dd May 1, 2026", ".Dt PARROT 1", ".Os", *lines))
    return [f"{block.kind} {block.text}".strip() for block in read_page(page, "a.1")]


def test_headings_and_paragraphs() -> None:
    assert man(
        ".SH NAME",
        "parrot \\- repeat words",
        '.SH "SEE ALSO"',
        ".SH",
        "ON THE NEXT LINE",
        ".SS Small \\(em one",
    ) == ["S NAME", "p parrot - repeat words", "S SEE ALSO", "S ON THE NEXT LINE", "s Small — one"]
    assert man("One", "two.", ".PP", "Three", "", "four", ".sp 2", "five", ".br", "six", ".LP", ".P") == [
        "p One two.",
        "p Three",
        "p four",
        "p five",
        "b six",
    ]


def test_fonts_join_as_they_should() -> None:
    assert man("Say", ".B loud words", "to", ".BR parrot (1),", '.IR "a b" c', "and", ".SM", "NEXT", ".") == [
        "p Say loud words to parrot(1), a bc and NEXT"
    ]
    assert man("\\fB\\-\\-say\\fR=\\fI\\,WORD\\/\\fR\\c", ".B :", "x") == ["p --say=WORD: x"]


def test_lists() -> None:
    assert man(
        ".TP", '.BR \\-a ", " \\-\\-all', "All.", ".TP 8", "b\\c", ".I c", "Both.", ".TQ", "d", "D."
    ) == ["t -a, --all", "p All.", "t bc", "p Both.", "t d", "p D."]
    assert man(".IP \\(bu 2", "dot", ".IP 1.", "one", ".IP", "more", '.IP "some tag" 4', "body") == [
        "i dot",
        "i one",
        "i more",
        "t some tag",
        "p body",
    ]
    assert man("a", ".RS 4", "b", ".RS", "c", ".RE", ".RE", "d") == [
        "p a",
        ">",
        "p b",
        ">",
        "p c",
        "<",
        "<",
        "p d",
    ]
    assert man(
        ".ie n \\{\\", "\\h'-04'\\(bu\\h'+03'\\c", ".\\}", ".el \\{\\", ".IP \\(bu 2", ".\\}", "dot"
    ) == ["p dot"]
    assert man(".TP", ".PD 0", ".B x", ".SH NEXT") == ["t x", "S NEXT"]


def test_examples_tables_and_synopses_keep_their_place_only() -> None:
    assert man("See:", ".nf", "$ parrot", ".B hello", ".fi", "Then:", ".EX", "x", ".EE", "end") == [
        "p See:",
        "v",
        "p Then:",
        "v",
        "p end",
    ]
    assert man(
        "a",
        "  laid out",
        "  by spaces",
        "b",
        ".TS",
        "l.",
        "cell",
        ".TE",
        "c",
        ".SY parrot",
        ".OP \\-x",
        ".YS",
    ) == ["p a", "v", "p b", "T", "p c", "v"]
    assert man(".nf", "x", ".RS", "y", ".SH NEXT", "text") == ["v", ">", "S NEXT", "p text"]


def test_links() -> None:
    assert man("See", ".UR https://a.b", "the site", ".UE .", "Or", ".MT a@b.c", ".ME ;", "end") == [
        "p See the site. Or a@b.c; end"
    ]
    assert man(
        ".de URL", "x", "..", "Go to", '.URL "https://a.b" "the site" "."', ".MTO a@b.c", ".MR ls 1 ,"
    ) == ["p Go to the site. a@b.c ls(1),"]


def test_lines_of_scripts_without_spaces_are_joined_without_one() -> None:
    assert join_lines("これは", "文です。") == "これは文です。"
    assert join_lines("한국어", "문장") == "한국어 문장"
    assert join_lines("文", "word") == "文 word"
    assert join_lines("", "x") == "x"


def test_mdoc_paragraphs_and_words() -> None:
    assert mdoc(
        ".Sh NAME",
        ".Nm parrot",
        ".Nd repeat words",
        ".Sh DESCRIPTION",
        ".Nm",
        "runs",
        ".Pa /bin/x ,",
        "see",
        ".Xr ls 1 .",
        ".Pp",
        "A",
        ".Dq quoted word ;",
        ".Fl a , b Ns = Ns Ar file",
        ".Op Fl c | d .",
        ".Ux",
        "and",
        ".Fx 9 ;",
        '.Fn call "int x" y',
        ".Li x Ap s",
        ".Pf ( Em y ) .",
    ) == [
        "S NAME",
        "p parrot - repeat words",
        "S DESCRIPTION",
        "p parrot runs /bin/x, see ls(1).",
        "p A “quoted word”; -a, -b=file [-c | -d]. UNIX and FreeBSD 9; call(int x, y) x's (y).",
    ]
    assert mdoc("The", ".Do", "long", ".Em quotation", ".Dc ,", ".Po see", ".Va x", ".Pc", "\\*(Le 1") == [
        "p The “long quotation”, (see x) ≤ 1"
    ]
    assert mdoc(
        ".An -nosplit", ".An A. Bird Aq Mt a@b.c", ".St -isoC", '.Lk https://a.b "a site"', ".Bx 4.4"
    ) == ["p A. Bird <a@b.c> ISO/IEC 9899:1990 (“ISO C90”) a site 4.4BSD"]


def test_mdoc_lists_and_displays() -> None:
    assert mdoc(
        ".Bl -tag -width x", ".It Fl a Ar b", "first", ".It Xo", ".Fl c", ".Xc", "second", ".El", "end"
    ) == [">", "t -a b", "p first", "t -c", "p second", "<", "p end"]
    assert mdoc(
        ".Bl -bullet", ".It", "one", ".It", "two", ".El", ".Bl -column a b", ".It x Ta y", ".El", "z"
    ) == [">", "i one", "i two", "<", "T", "p z"]
    assert mdoc(
        "a", ".Bd -literal", "x", ".Ed", "b", ".Dl $ x", "c", ".Bd -filled", "d", ".Ed", ".Rs", ".%A X", ".Re"
    ) == ["p a", "v", "p b", "v", "p c", ">", "p d", "<"]


def test_a_text_without_a_title_is_no_page() -> None:
    with pytest.raises(InputError, match=r"^a\.1: expected a manual page, with \.TH or \.Dd in it$"):
        read_page("just text\n", "a.1")


MACROS = st.sampled_from("SH TP IP BR nf fi RS RE UR UE Sh It Bl El Op Fl Xo Xc Ns Bd Ed Nm Fn".split())  # noqa: SIM905
WORDS = st.one_of(
    MACROS.map(".{}".format),
    MACROS,
    st.sampled_from(["-tag", "-literal", "|", ",", "(", ".", "\\c", '"', "文"]),
)


@pytest.mark.parametrize("title", [TITLE, ".Dd x"])
@given(lines=st.lists(st.lists(WORDS, max_size=5).map(" ".join), max_size=10))
def test_nothing_is_too_odd(title: str, lines: list[str]) -> None:
    for block in read_page("\n".join((title, *lines)), "a.1"):
        assert block.text == block.text.strip()
