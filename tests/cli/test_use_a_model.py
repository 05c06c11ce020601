"""The commands that use a trained run, against the same calls in Python.

Covers `xformer.cli.encode`, `fill_mask`, `neighbours`, `summarize` and `model_options`, and
`xformer.api.summarize`.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xformer as package
from xformer.api import Model
from xformer.cli.encode import encoded_blocks
from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]

LINES = [
    "dog sees house",
    "",
    "Hund sieht Haus",
    "γάτα βλέπει σπίτι",
    "a\u2028b",
    "dog sees house",
    "🙂 שלום",
]
LONG = "dog sees house " * 50


@pytest.fixture(scope="module")
def run(trained: RunDirectory) -> Path:
    return trained.path


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return package.load(run)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    return path


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))

    return put


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_vectors_are_those_of_python_in_every_format(
    xformer: Run, run: Path, model: Model, lines: Path, tmp_path: Path, typed: Callable[[str], None]
) -> None:
    expected = model.encode(LINES)
    assert not expected[1].any()

    status, out, err = xformer("encode", run, lines, "--out", tmp_path / "a.npy")
    assert (status, out) == (0, "")
    assert f"{tmp_path / 'a.npy'}: 7 vectors of {model.dim} numbers" in err
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)

    typed("".join(f"{line}\n" for line in LINES))
    status, out, _ = xformer("encode", run)
    assert status == 0
    np.testing.assert_array_equal(np.array([line.split() for line in out.split("\n")[:-1]], "f4"), expected)

    status, out, _ = xformer("encode", run, lines, "--format", "jsonl", "--no-normalise")
    rows = [json.loads(line) for line in out.split("\n")[:-1]]
    assert [row["text"] for row in rows] == LINES
    raw = model.encode(LINES, normalise=False)
    np.testing.assert_array_equal(np.array([row["vector"] for row in rows], "f4"), raw)

    pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    from pyarrow import parquet

    assert xformer("encode", run, lines, "--out", tmp_path / "a.parquet")[0] == 0
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["text"].to_pylist() == LINES
    # What one call wrote the next can read.
    status, out, _ = xformer("encode", run, tmp_path / "a.parquet")
    np.testing.assert_array_equal(np.array([line.split() for line in out.split("\n")[:-1]], "f4"), expected)


def test_no_lines_are_no_vectors(xformer: Run, run: Path, model: Model, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert xformer("encode", run, tmp_path / "empty", "--out", tmp_path / "a.npy")[0] == 0
    assert np.load(tmp_path / "a.npy").shape == (0, model.dim)
    assert xformer("encode", run, tmp_path / "empty")[:2] == (0, "")


def test_no_candidates_are_an_error_and_no_queries_are_none(xformer: Run, run: Path, tmp_path: Path) -> None:
    empty, some, vectors = tmp_path / "empty", tmp_path / "some", tmp_path / "v.npy"
    empty.write_bytes(b"")
    some.write_text("a\nb\n", encoding="utf-8")
    assert xformer("encode", run, empty, "--out", vectors)[0] == 0
    for more in ((), ("--vectors", vectors)):
        status, out, err = xformer("neighbours", run, some, empty, *more)
        assert (status, out) == (2, "")
        assert f"{empty}: expected candidates, one text a line, found none" in err
    assert xformer("neighbours", run, empty, some)[:2] == (0, "")


def test_how_many_were_cut_is_said(xformer: Run, run: Path, typed: Callable[[str], None]) -> None:
    typed(f"{LONG}\nshort\n")
    status, out, err = xformer("encode", run)
    assert (status, out.count("\n")) == (0, 2)
    assert "encode: 1 of 2 texts have more than 40 tokens" in err
    typed("short\n")
    assert "more than" not in xformer("encode", run)[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "{tmp}/a.vectors"], "expected a name that ends in .npy, .parquet, .jsonl"),
        (["--format", "npy"], "--format npy: expected also --out FILE"),
        (["--out", "{tmp}/lines.txt"], "--out {tmp}/lines.txt: expected another file than the texts are in"),
        (["--out", "/proc/a.npy"], "/proc/a.npy"),
        (["--out", "/dev/full", "--format", "jsonl"], "/dev/full"),
        (["--out", "{tmp}", "--format", "npy"], "{tmp}"),
        (["--threads", "0"], "threads: expected a whole number from 1"),
        (["--device", "abacus"], "abacus"),
        (["--batch-tokens", "0"], "batch_tokens: expected a whole number from 1"),
        (["--field", "title"], "--field title: lines have no fields"),
    ],
)
def test_what_cannot_be_done_is_said_before_work(
    xformer: Run, run: Path, lines: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    before = names(tmp_path)
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    status, out, err = xformer("encode", run, lines, *given)
    assert (status, out) == (2, "")
    assert said.replace("{tmp}", str(tmp_path)) in err.splitlines()[-1]
    assert names(tmp_path) == before


def test_a_damaged_line_is_found_before_the_lines_above_it_are_encoded(
    xformer: Run, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\n\xff\n")
    status, out, err = xformer("encode", run, tmp_path / "a", "--format", "jsonl")
    assert (status, out) == (2, "")
    assert f"{tmp_path / 'a'}:3: expected UTF-8" in err


def test_without_a_run(xformer: Run, lines: Path, tmp_path: Path) -> None:
    for command in (["encode", tmp_path, lines], ["fill-mask", tmp_path, "<mask>"]):
        status, out, err = xformer(*command)
        assert (status, out) == (2, "")
        assert str(tmp_path) in err


def test_an_interrupt_leaves_the_old_file(
    xformer: Run, run: Path, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.npy").write_bytes(b"before")
    before, usual = names(tmp_path), Model.encode_stream

    def interrupted(self: Model, texts: Iterator[str], **options: Any) -> Iterator[Any]:
        yield from usual(self, texts, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "encode_stream", interrupted)
    status, _, err = xformer("encode", run, lines, "--out", tmp_path / "a.npy")
    assert (status, err.splitlines()[-1]) == (130, "xformer: interrupted")
    assert ((tmp_path / "a.npy").read_bytes(), names(tmp_path)) == (b"before", before)


def test_few_texts_wait_in_memory(model: Model) -> None:
    """A block is handed on before the texts of the next but one are read."""
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for read in range(1, 100_001):
            yield f"text {read % 7}"

    seen = 0
    for block, vectors in encoded_blocks(model, texts(), None, Progress(), "encode"):
        assert block == [f"text {number % 7}" for number in range(seen + 1, seen + len(block) + 1)]
        assert len(block) == len(vectors)
        seen += len(block)
        assert read - seen <= 2 * 16_384
        if seen > 40_000:
            break
    assert read < 100_000


def test_single_texts_wait_for_no_other(model: Model) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in LINES:
            read.append(text)
            yield text

    blocks = encoded_blocks(model, texts(), None, Progress(), "encode", single=True)
    for number, (block, vectors) in enumerate(blocks, 1):
        assert (read, block, len(vectors)) == (LINES[:number], [LINES[number - 1]], 1)
    assert len(read) == len(LINES)


def test_masks_are_filled_as_in_python(
    xformer: Run, run: Path, model: Model, tmp_path: Path, typed: Callable[[str], None]
) -> None:
    texts = ["dog sees <mask>", "<mask> sieht <mask>"]
    expected: list[Any] = [[model.fill_mask(texts[0], k=3)], model.fill_mask(texts[1], k=3)]
    (tmp_path / "a").write_text("\n".join(texts), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"b": one}) for one in texts), encoding="utf-8")
    ways: list[list[Any]] = [
        texts,
        ["--file", tmp_path / "a"],
        [],
        ["--file", tmp_path / "a.jsonl", "--field", "b"],
    ]
    for way in ways:
        typed("\n".join(texts))
        status, out, _ = xformer("fill-mask", run, *way, "-k", 3, "--json")
        assert status == 0
        rows = [json.loads(line) for line in out.split("\n")[:-1]]
        assert [row["text"] for row in rows] == texts
        for row, masks in zip(rows, expected, strict=True):
            found = [[(one["piece"], one["text"]) for one in fillings] for fillings in row["masks"]]
            assert found == [[(one.piece, one.text) for one in fillings] for fillings in masks]
    status, out, _ = xformer("fill-mask", run, *texts, "-k", 2)
    assert status == 0
    assert [line for line in out.split("\n") if line and not line.startswith(" ")] == texts
    assert out.count("%") == 6
    assert out.count("mask 1\n") == out.count("mask 2\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dog <mask>", "dog"], "expected a text with <mask>, as 'Open the <mask>'; got 'dog'"),
        (["dog <mask>", "--file", "a"], "--file, --field: expected a file or texts as arguments, not both"),
        (["dog <mask>", "-k", "0"], "--k: expected a whole number from 1, got 0"),
    ],
)
def test_what_cannot_be_filled(xformer: Run, run: Path, arguments: list[str], said: str) -> None:
    status, out, err = xformer("fill-mask", run, *arguments)
    assert (status, out, err) == (2, "", f"xformer: {said}\n")


def test_neighbours_are_found_in_every_way(
    xformer: Run, run: Path, model: Model, lines: Path, tmp_path: Path, typed: Callable[[str], None]
) -> None:
    queries = ["dog sees house", "σκύλος βλέπει σπίτι"]
    cosines = model.similarity(queries, LINES)
    (tmp_path / "queries").write_text("\n".join(queries), encoding="utf-8")
    assert xformer("encode", run, lines, "--out", tmp_path / "lines.npy")[0] == 0
    ways: list[list[Any]] = [
        [tmp_path / "queries", lines],
        ["-", lines],
        [lines],
        ["-", lines, "--line-buffered"],
        [lines, "--query", *queries],
        [lines, "--query", *queries, "--vectors", tmp_path / "lines.npy"],
    ]
    for way in ways:
        typed("\n".join(queries))
        status, out, _ = xformer("neighbours", run, *way, "-k", 3, "--json")
        assert status == 0
        rows = [json.loads(line) for line in out.split("\n")[:-1]]
        assert [(row["line"], row["query"]) for row in rows] == list(enumerate(queries, 1))
        for row, expected in zip(rows, cosines, strict=True):
            found = row["neighbours"]
            assert [one["text"] for one in found] == [LINES[one["line"] - 1] for one in found]
            np.testing.assert_allclose(
                [one["cosine"] for one in found], np.sort(expected)[::-1][:3], atol=2e-6
            )
        # Of the two equal lines the first comes first.
        assert [one["line"] for one in rows[0]["neighbours"]][:2] == [1, 6]


def test_neighbours_for_people_and_for_tables(xformer: Run, run: Path, lines: Path) -> None:
    status, out, _ = xformer("neighbours", run, lines, "--query", LINES[2], "-k", 2)
    assert status == 0
    assert out.startswith("Hund sieht Haus\n   1.000  3  Hund sieht Haus\n")
    status, out, _ = xformer("neighbours", run, lines, lines, "-k", 100, "--tsv")
    rows = [line.split("\t") for line in out.split("\n")[:-1]]
    assert rows[0] == ["query", "rank", "cosine", "line", "text"]
    assert len(rows) == 1 + len(LINES) ** 2
    assert rows[1] == ["1", "1", "1.000000", "1", LINES[0]]
    assert {row[0] for row in rows[1:]} == {str(number) for number in range(1, len(LINES) + 1)}


def test_what_has_no_neighbours(xformer: Run, run: Path, model: Model, lines: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.ones((3, model.dim), dtype=np.float32))
    np.save(tmp_path / "nan.npy", np.full((7, model.dim), np.nan, dtype=np.float32))
    np.save(tmp_path / "wide.npy", np.ones((7, 5), dtype=np.float32))
    for arguments, said in (
        (["--vectors", tmp_path / "short.npy"], "expected a vector for each of the 7 candidates, got 3"),
        (
            ["--vectors", tmp_path / "wide.npy"],
            f"expected vectors of {model.dim} numbers, as {run} makes, got 5",
        ),
        (["--vectors", tmp_path / "nan.npy"], f"{tmp_path / 'nan.npy'}: nearest_neighbours: expected finite"),
        (["--vectors", lines], "expected a .npy file of vectors"),
        ([lines], "expected QUERIES and CANDIDATES, or CANDIDATES and --query"),
        (["--json", "--tsv"], "--json, --tsv: expected one of the two"),
    ):
        status, out, err = xformer("neighbours", run, lines, *arguments, "--query", "dog")
        assert (status, out) == (2, "")
        assert said in err.splitlines()[-1]


def test_summarize(xformer: Run, run: Path, model: Model, tmp_path: Path) -> None:
    texts = ["Dog sees house. Cat sees house. Dog buys apple.", "", "Hund sieht Haus"]
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    status, out, _ = xformer("summarize", run, path)
    found = model.summarize(texts)
    assert status == 0
    assert out.split("\n") == [*(one.text for one in found), ""]
    assert found[1].text == ""
    assert found[2].text == "Hund sieht Haus"
    assert model.summarize(texts[0]) == found[0]
    status, out, _ = xformer("summarize", run, path, "--sentences", "2", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[0]["sentences"] == sorted(rows[0]["sentences"])
    assert [len(row["sentences"]) for row in rows] == [2, 0, 1]
    assert model.summarize(iter([])) == []


def test_summarize_asked_wrongly(xformer: Run, run: Path, model: Model, lines: Path) -> None:
    status, _, error = xformer("summarize", run, lines, "--sentences", "0")
    assert (status, "--sentences: expected a whole number from 1, got 0" in error) == (2, True)
    with pytest.raises(InputError, match="sentences: expected a whole number from 1, got True"):
        model.summarize("a", True)
    with pytest.raises(InputError, match=r"texts\[1\]"):
        model.summarize(["a", 5])  # type: ignore[list-item]
