"""TMX: streamed, flattened, and safe. Covers xformer.data.readers.xml_stream, which reads all XML."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.readers import read_tmx, tmx, xml_stream
from xformer.errors import InputError

HEAD = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4.">
<header srclang="en"/><body>
"""
TAIL = "</body></tmx>\n"
UNIT = """<tu tuid="7"><note>no text</note><prop type="x">nor this</prop>
<tuv xml:lang="en-us"><prop>p</prop><seg>Press <bpt i="1">&lt;b&gt;</bpt>the <hi>big</hi> key<ept
i="1">&lt;/b&gt;</ept>
now<ph>{1}<sub>note</sub></ph>.</seg></tuv>
<tuv lang="DE"><seg>
  Jetzt dr&#252;cken.
</seg></tuv>
<tuv xml:lang="fr"><seg> </seg></tuv>
</tu>
"""


def test_inline_tags_are_flattened(write: Any) -> None:
    records = list(read_tmx(write("a.tmx", HEAD + UNIT + TAIL)))
    assert [(record.language, record.text, record.id) for record in records] == [
        ("en-US", "Press the big key\nnow.", "7"),
        ("de", "Jetzt drücken.", "7"),
    ]
    assert records[0].group == records[1].group
    assert records[1].source == "a.tmx:9"


def test_a_choice_of_languages(write: Any, brief: Any) -> None:
    path = write("a.tmx.gz", gzip.compress((HEAD + UNIT * 2 + TAIL).encode()))
    assert brief(read_tmx(path, languages=["en"])) == [("en-US", "Press the big key\nnow.")] * 2
    assert brief(read_tmx(path, languages=["en-US"])) == brief(read_tmx(path, languages=["en"]))
    assert brief(read_tmx(path, languages=["ja"])) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(write: Any, brief: Any, encoding: str) -> None:
    head = HEAD.replace("?>", f' encoding="{encoding.removesuffix("-sig")}"?>', 1)
    unit = '<tu><tuv xml:lang="de"><seg>Größe</seg></tuv></tu>'
    assert brief(read_tmx(write("a.tmx", (head + unit + TAIL).encode(encoding)))) == [("de", "Größe")]


@pytest.mark.parametrize(
    ("encoding", "tag", "text"),
    [
        ("gb2312", "zh", "你好，世界"),
        ("GBK", "zh", "镕"),
        ("big5", "zh-Hant", "你好"),
        ("Shift_JIS", "ja", "表示する"),
        ("EUC-KR", "ko", "안녕"),
        ("windows-1251", "ru", "привет"),
        ("KOI8-R", "ru", "привет"),
        ("ISO-8859-2", "pl", "łódź"),
        ("UTF8", "pl", "łódź"),
    ],
)
def test_encodings_that_python_reads(write: Any, brief: Any, encoding: str, tag: str, text: str) -> None:
    head = HEAD.replace("?>", f" encoding='{encoding}' standalone='yes'?>", 1)
    units = f'<tu><tuv xml:lang="{tag}"><seg>{text}</seg></tuv></tu>\n' * 40
    path = write("a.tmx", (head + units + TAIL).encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml_stream, "_CHUNK", 7)  # cuts characters in two
        assert brief(read_tmx(path)) == [(tag, text)] * 40


def test_utf_32(write: Any, brief: Any) -> None:
    unit = '<tu><tuv xml:lang="de"><seg>Größe</seg></tuv></tu>'
    assert brief(read_tmx(write("a.tmx", (HEAD + unit + TAIL).encode("utf-32")))) == [("de", "Größe")]


def test_a_mark_of_utf_8_decides(write: Any, brief: Any) -> None:
    head = HEAD.replace("?>", ' encoding="gb2312"?>', 1)
    unit = '<tu><tuv xml:lang="de"><seg>Größe</seg></tuv></tu>'
    assert brief(read_tmx(write("a.tmx", (head + unit + TAIL).encode("utf-8-sig")))) == [("de", "Größe")]


@pytest.mark.parametrize("encoding", ["klingon", "gb2312"])
def test_utf_16_that_declares_another_encoding(write: Any, refused: Any, encoding: str) -> None:
    path = write("a.tmx", (HEAD.replace("?>", f' encoding="{encoding}"?>', 1) + TAIL).encode("utf-16"))
    with refused(path, ":1:", "encoding"):
        list(read_tmx(path))


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", ""])
def test_encodings_that_nobody_knows(write: Any, refused: Any, encoding: str) -> None:
    path = write("a.tmx", HEAD.replace("?>", f' encoding="{encoding}"?>', 1) + TAIL)
    with refused(path, ":1:", "unknown encoding", repr(encoding)):
        list(read_tmx(path))


def test_bytes_that_are_not_of_the_declared_encoding(write: Any, refused: Any) -> None:
    path = write("a.tmx", HEAD.replace("?>", ' encoding="gb2312"?>', 1).encode() + b"\xff\xff")
    with refused(path, "not in the encoding", "gb2312"):
        list(read_tmx(path))


XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1
)


@settings(max_examples=40)
@given(st.lists(st.tuples(XML_TEXT, XML_TEXT)), st.integers(1, 60))
def test_any_text_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("tmx") / "a.tmx"
    units = [
        "<tu>"
        f'<tuv xml:lang="de"><seg>{escape(a)}</seg></tuv>'
        f'<tuv xml:lang="en"><seg>{escape(b)}</seg></tuv>'
        "</tu>"
        for a, b in pairs
    ]
    path.write_text(HEAD + "\n".join(units) + TAIL, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml_stream, "_CHUNK", chunk)
        texts = [record.text for record in read_tmx(path)]
    assert texts == [text.strip() for pair in pairs for text in pair if text.strip()]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    with open(path, "w") as file:
        file.write(HEAD)
        for number in range(8_000):
            file.write(UNIT.replace("Jetzt", f"Jetzt {number} " + "x" * 500))
        file.write(TAIL)
    tracemalloc.start()
    count = sum(1 for _ in read_tmx(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 16_000
    assert peak < 2**20 < path.stat().st_size / 4


GERMAN = '<tu><tuv lang="de"><seg>{}</seg></tuv></tu>'
LEVELS = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10 if level else "lol"}">' for level in range(10))
BOMB = f"<!DOCTYPE tmx [{LEVELS}]><tmx><body><tu>&e9;</tu></body></tmx>"
FILE = '<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]><tmx><body>&x;</body></tmx>'


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        (HEAD + UNIT + "<tu>" + TAIL, (":14:", "not well-formed", "mismatched tag")),
        (HEAD + UNIT, ("not well-formed", "no element found")),
        (HEAD + GERMAN.format("AT&T") + TAIL, (":5:", "not well-formed")),
        (HEAD + "<tu><tuv><seg>x</seg></tuv></tu>" + TAIL, (":5:", "got no language")),
        (HEAD + '<tu><tuv lang="?"><seg>x</seg></tuv></tu>' + TAIL, (":5:", "language tag", "'?'")),
        ("<html></html>", (":1:", "expected a <tmx> file, got <html>")),
        ("", ("not well-formed", "no element found")),
        (HEAD.encode() + GERMAN.format("ä").encode("latin-1"), (":5:", "not well-formed")),
        (BOMB, (":1:", "declares an entity", "&e0;")),
        (FILE, (":1:", "declares an entity", "&x;")),
        (HEAD + GERMAN.format("&mine;") + TAIL, (":5:", "unknown entity &mine;")),
        (
            HEAD + '<tu><tuv xml:lang="en">Good night</tuv></tu>' + TAIL,
            (":5:", "in <seg> only", "Good night"),
        ),
        (HEAD + "<tu>Good night</tu>" + TAIL, (":5:", "in <seg> only", "Good night")),
        (HEAD + '<tu><tuv lang="en"><p>Good night</p></tuv></tu>' + TAIL, (":5:", "in <seg> only")),
        (HEAD + '<tuv lang="en"><seg>x</seg></tuv>' + TAIL, (":5:", "got <tuv> in no <tu>")),
        (HEAD + "<seg>x</seg>" + TAIL, (":5:", "got <seg> in no <tu>")),
        (HEAD + "<tu><seg>x</seg></tu>" + TAIL, (":5:", "got <seg> in <tu> without <tuv>")),
        (HEAD + GERMAN.format("x").replace("seg>", "SEG>") + TAIL, (":5:", "expected <seg>, got <SEG>")),
        (HEAD + GERMAN.format("x").replace("tu>", "Tu>") + TAIL, (":5:", "expected <tu>, got <Tu>")),
        ("<TMX></TMX>", (":1:", "expected a <tmx> file, got <TMX>")),
        (HEAD + f"<tu>{GERMAN.format('x')}</tu>" + TAIL, (":5:", "got <tu> in <tu>")),
        (HEAD + GERMAN.format("<seg>x</seg>") + TAIL, (":5:", "got <seg> in <seg>")),
        (HEAD + "<tu><note><tuv/></note></tu>" + TAIL, (":5:", "got <tuv> in <note>")),
    ],
)
def test_broken_and_hostile_files(
    write: Any, refused: Any, content: str | bytes, pieces: tuple[str, ...]
) -> None:
    path = write("a.tmx", content)
    with refused(path, *pieces):
        list(read_tmx(path))


def test_what_is_wrong_in_a_unit_is_not_the_encoding(write: Any) -> None:
    for body in ('<tu><tuv lang="de">x</tuv></tu>', '<tuv lang="de"><seg>x</seg></tuv>'):
        with pytest.raises(InputError) as caught:
            list(read_tmx(write("a.tmx", HEAD + body + TAIL)))
        assert "encoding" not in str(caught.value)


def test_an_entity_of_html_is_known(write: Any, brief: Any) -> None:
    path = write("a.tmx", HEAD + '<tu><tuv lang="de"><seg>a&nbsp;&eacute;b</seg></tuv></tu>' + TAIL)
    assert brief(read_tmx(path)) == [("de", "a\xa0éb")]


def test_an_endless_unit_is_refused(write: Any, refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tmx, "_LONGEST_UNIT", 100)
    path = write("a.tmx", HEAD + f'<tu><tuv lang="de"><seg>{"x" * 101}</seg></tuv></tu>' + TAIL)
    with refused(path, ":5:", "at most 100 characters"):
        list(read_tmx(path))


def test_whole_units_before_the_damage_are_read(write: Any, refused: Any) -> None:
    reader = read_tmx(write("a.tmx", HEAD + UNIT + "x" * xml_stream._CHUNK + "<<"))
    assert next(reader).language == "en-US"
    with refused("not well-formed"):
        list(reader)
