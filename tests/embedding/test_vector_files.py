"""What is written is read again by the libraries of each format."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xformer.embedding import vector_files
from xformer.embedding.vector_files import VectorFormat, open_vectors, vector_writer
from xformer.errors import InputError

TEXTS = ["one", "", "zwei\u2028\u0085drei\r", 'say "שלום"\t', "🙂 日本語"] * 5
FORMATS: tuple[VectorFormat, ...] = ("text", "jsonl", "npy", "parquet")


@pytest.fixture
def vectors(rng: np.random.Generator) -> NDArray[np.float32]:
    """With the smallest and the largest numbers."""
    found = rng.standard_normal((len(TEXTS), 6)).astype(np.float32)
    found[0] = [0.0, -0.0, 1e-45, 3.4028235e38, 1 / 3, 1e-7]
    return found


def write(out: Any, kind: VectorFormat, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """In blocks of 1, 2, 3 … rows."""
    with vector_writer(out, kind, vectors.shape[1]) as write_block:
        start, size = 0, 1
        while start < len(texts):
            write_block(texts[start : start + size], vectors[start : start + size])
            start, size = start + size, size + 1


def read(path: Path, kind: VectorFormat) -> tuple[list[str] | None, NDArray[np.float32]]:
    if kind == "npy":
        return None, np.load(path)
    if kind == "parquet":
        from pyarrow import parquet

        table = parquet.read_table(path)
        return table["text"].to_pylist(), np.array(table["vector"].to_pylist(), dtype=np.float32)
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    if kind == "text":
        return None, np.array([line.split(" ") for line in lines], dtype=np.float32)
    rows = [json.loads(line) for line in lines]
    assert all(list(row) == ["text", "vector"] for row in rows)
    return [row["text"] for row in rows], np.array([row["vector"] for row in rows], dtype=np.float32)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_float32_come_back(
    tmp_path: Path, kind: VectorFormat, vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
        monkeypatch.setattr(vector_files, "_ROWS_OF_A_GROUP", 4)
    path = tmp_path / "a"
    write(path, kind, TEXTS, vectors)
    texts, found = read(path, kind)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors)
    assert texts is None or texts == TEXTS
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", FORMATS)
def test_no_texts_are_a_file_too(tmp_path: Path, kind: VectorFormat) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    write(tmp_path / "a", kind, [], np.empty((0, 6), dtype=np.float32))
    _, found = read(tmp_path / "a", kind)
    assert len(found) == 0
    if kind == "npy":
        assert found.shape == (0, 6)


@pytest.mark.parametrize("kind", FORMATS)
def test_after_an_error_the_old_file_is_there(
    tmp_path: Path, kind: VectorFormat, vectors: NDArray[np.float32]
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    (tmp_path / "a").write_bytes(b"before")
    with suppress(KeyboardInterrupt), vector_writer(tmp_path / "a", kind, 6) as write_block:
        write_block(TEXTS, vectors)
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_named(
    tmp_path: Path, kind: VectorFormat, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    many = np.linspace(0, 1, 50_000, dtype=np.float32).reshape(500, 100)
    with full_disk(4096), pytest.raises(OSError, match="File too large") as caught:
        write(tmp_path / "a", kind, ["text"] * 500, many)
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_stream_has_each_block_at_once(vectors: NDArray[np.float32]) -> None:
    class Stream(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Stream()
    with vector_writer(stream, "jsonl", 6) as write_block:
        write_block(TEXTS[:1], vectors[:1])
        assert stream.flushed.count("\n") == 1
        write_block(TEXTS[1:], vectors[1:])
    assert stream.flushed.count("\n") == len(TEXTS)
    assert not stream.closed


def test_vectors_are_mapped(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    write(tmp_path / "a.npy", "npy", TEXTS, vectors)
    found = open_vectors(tmp_path / "a.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, vectors)


def test_what_is_no_file_of_vectors(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "whole.npy", np.zeros((3, 2), dtype=np.int64))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "several.npz", np.zeros((3, 2)))
    (tmp_path / "empty.npy").write_bytes(b"")
    for name, said in {
        "missing": "no such file",
        "text": "expected a .npy file of vectors",
        "objects.npy": "expected a .npy file of vectors",
        "empty.npy": "expected a .npy file of vectors",
        ".": "expected a .npy file of vectors",
        "flat.npy": "expected float vectors, one a row, got",
        "whole.npy": "expected float vectors, one a row, got int64",
        "several.npz": "expected a .npy file of vectors",
    }.items():
        with pytest.raises(InputError, match=said) as raised:
            open_vectors(tmp_path / name)
        assert "pickle" not in str(raised.value)
