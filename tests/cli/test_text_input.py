"""Each line or row is a text, in order, whatever is in it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xformer.cli.text_input import STANDARD_INPUT, TextInput
from xformer.errors import InputError

TEXTS = ["one", "", "zwei\u2028\u0085drei", " ", 'say "שלום"', "🙂 日本語", "last"]
QUOTE = '"'
LINES = "".join(f"{text}\n" for text in TEXTS).encode()

Typed = Callable[..., None]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Puts bytes on standard input, maybe that of a terminal."""

    def put(data: bytes, terminal: bool = False) -> None:
        stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
        monkeypatch.setattr(stream, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stdin", stream)

    return put


def as_rows(field: str = "text") -> list[dict[str, Any]]:
    return [{"n": number, field: text} for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a", LINES),
        ("a.txt", LINES.removesuffix(b"\n")),
        ("a.de", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n")),
        ("a.gz", gzip.compress(LINES, mtime=0)),
        ("a.bz2", bz2.compress(LINES)),
        ("a.txt.xz", lzma.compress(LINES)),
        ("a.jsonl", "\n".join(map(json.dumps, as_rows())).encode()),
        (
            "a.csv",
            "n,text\n" + "".join(f'{n},"{text.replace(QUOTE, 2 * QUOTE)}"\n' for n, text in enumerate(TEXTS)),
        ),
        ("a.jsonl.gz", gzip.compress("\n\n".join(map(json.dumps, as_rows())).encode(), mtime=0)),
        (
            "a.tsv",
            "".join(f"{row['n']}\t{row['text']}\n" for row in [{"n": "n", "text": "text"}, *as_rows()]),
        ),
    ],
)
def test_each_line_or_row_is_a_text(tmp_path: Path, name: str, data: bytes | str) -> None:
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    texts = TextInput((tmp_path / name,))
    assert (texts.repeatable, texts.count(), list(texts), list(texts)) == (True, len(TEXTS), TEXTS, TEXTS)


def test_rows_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    from pyarrow import parquet

    rows = [*as_rows("title"), {"n": 99, "title": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert list(TextInput((tmp_path / "a.parquet",), "title")) == [*TEXTS, ""]


def test_a_null_and_a_nested_field(tmp_path: Path) -> None:
    rows = [{"translation": {"de": "ja"}}, {"translation": {"de": None}}]
    (tmp_path / "a.txt").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert list(TextInput((tmp_path / "a.txt",), "translation.de", "jsonl")) == ["ja", ""]


def test_files_follow_one_another(tmp_path: Path, typed: Typed) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "four"}\n')
    typed(b"three\n")
    texts = TextInput((tmp_path / "a", STANDARD_INPUT, tmp_path / "b.jsonl"))
    assert texts.count() is None
    assert list(texts) == ["one", "two", "three", "four"]


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as stdin, open(writer, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)
        texts = iter(TextInput())
        for text in TEXTS:
            pipe.write(f"{text}\n".encode())
            assert next(texts) == text


def test_rows_of_standard_input(typed: Typed) -> None:
    typed("\n".join(map(json.dumps, as_rows("a"))).encode())
    assert list(TextInput(field="a", format="jsonl")) == TEXTS


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    texts = TextInput((tmp_path / "pipe",))
    assert (texts.repeatable, texts.count()) == (False, None)


@pytest.mark.parametrize(("terminal", "said"), [(True, "Ctrl-D"), (False, "")])
def test_a_user_at_a_terminal_is_told_what_is_awaited(
    typed: Typed, capsys: pytest.CaptureFixture[str], terminal: bool, said: str
) -> None:
    typed(b"one\n", terminal)
    TextInput().say_what_is_awaited()
    assert said in capsys.readouterr().err
    assert TextInput().typed == terminal


@pytest.mark.parametrize(
    ("name", "data", "options", "said"),
    [
        ("a", b"one\n\xff\n", {}, "a:2: expected UTF-8"),
        ("a.jsonl", b'{"text": "one"}\n{"text": 2}\n', {}, "a.jsonl:2: field 'text': expected text, got 2"),
        ("a.jsonl", b'{"a": "one"}\n', {}, "a.jsonl:1: no field 'text'"),
        ("a.tsv", b"a\tb\n1\t2\n", {"field": "c"}, "a.tsv:1: no column 'c'; there are 'a', 'b'"),
        ("a.gz", b"one\n", {}, "a.gz: not a valid compressed file"),
        ("a", b"a <mask>\nb\n", {"must_have": "<mask>"}, "a:2: expected a text with <mask>, got 'b'"),
        ("a.jsonl", b'{"text": "b"}\n', {"must_have": "x"}, "a.jsonl:1: expected a text with x, got 'b'"),
        ("a", b"", {"field": "title"}, "--field title: lines have no fields"),
        ("missing", None, {}, "missing: no such file$"),
        ("two words", None, {}, "two words: no such file; a text itself is given on standard input"),
        (".", None, {}, "expected a file, this is a folder"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, name: str, data: bytes | None, options: dict[str, Any], said: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        TextInput((tmp_path / name,), **options).count()


def test_standard_input_can_be_given_once(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(b"")
    with pytest.raises(InputError, match="-: expected standard input once"):
        TextInput((STANDARD_INPUT, STANDARD_INPUT))
    with pytest.raises(InputError, match="cannot be read from a pipe"):
        TextInput(format="parquet")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input, which is closed"):
        TextInput()
