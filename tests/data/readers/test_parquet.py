"""Parquet: damage, and values that Python cannot hold; test_rows.py compares it with the other formats."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from xformer.data.readers import Fields, ParallelFields, read_parquet


def test_broken_parquet(write: Any, as_parquet: Any, refused: Any, tmp_path: Path) -> None:
    path = as_parquet([{"text": "x", "n": 1.5}] * 5)
    with refused(path, "no column 'label'", "'text', 'n'"):
        list(read_parquet(path, Fields(label="label"), language="de"))
    with refused(path, "row 1", "'n'", "1.5"):
        list(read_parquet(path, Fields(label="n"), language="de"))
    with refused("not.parquet", "not a valid Parquet file"):
        list(read_parquet(write("not.parquet", "text"), Fields(), language="de"))
    data = path.read_bytes()
    with refused("half.parquet", "not a valid Parquet file"):
        list(read_parquet(write("half.parquet", data[: len(data) // 2]), Fields(), language="de"))
    with refused("none.parquet", "no such file"):
        list(read_parquet(tmp_path / "none.parquet", Fields(), language="de"))
    with refused("a.parquet", "file's name does not give the language"):
        list(read_parquet(path.rename(tmp_path / "data.a.parquet"), Fields()))


def test_parquet_without_pyarrow(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with refused("a.parquet", "needs pyarrow", "xformer[parquet]"):
        list(read_parquet("a.parquet", Fields(), language="de"))


@pytest.fixture
def pyarrow() -> Any:
    return pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")


def latin_1(pyarrow: Any, *texts: str) -> Any:
    """A column of text whose bytes are not UTF-8, as careless writers make it."""
    encoded = [text.encode("latin-1") for text in texts]
    column = pyarrow.array(encoded, pyarrow.binary())
    return pyarrow.Array.from_buffers(pyarrow.string(), len(column), column.buffers())


def test_text_that_is_not_utf_8(pyarrow: Any, tmp_path: Path, refused: Any) -> None:
    from pyarrow import parquet

    path = tmp_path / "de.parquet"
    texts = latin_1(pyarrow, "bon", "R\xc9UNION", "jour")
    parquet.write_table(pyarrow.table({"text": texts, "n": [1, 2, 3]}), path)
    reader = read_parquet(path, Fields(id="n"))
    assert next(reader).text == "bon"
    with refused(f"{path}: row 2: field 'text': expected UTF-8"):
        next(reader)
    pair = pyarrow.StructArray.from_arrays([pyarrow.array(["a", "b", "c"]), texts], names=["en", "fr"])
    parquet.write_table(pyarrow.table({"translation": pair}), path)
    reader = read_parquet(path, ParallelFields({"translation.fr": "fr", "translation.en": "en"}))
    assert [next(reader).text for _ in range(2)] == ["bon", "a"]
    with refused(f"{path}: row 2: field 'translation.fr': expected UTF-8"):
        next(reader)


@pytest.mark.parametrize(("unit", "value"), [("ms", 1 << 50), ("us", -(1 << 60)), ("ns", 1)])
def test_a_time_that_python_cannot_hold(
    pyarrow: Any, tmp_path: Path, refused: Any, unit: str, value: int
) -> None:
    from pyarrow import parquet

    path = tmp_path / "de.parquet"
    times = pyarrow.array([None, value], pyarrow.timestamp(unit))
    parquet.write_table(pyarrow.table({"text": ["a", "b"], "when": times}), path)
    reader = read_parquet(path, Fields(group="when"))
    assert next(reader).text == "a"
    with refused(f"{path}: row 2: field 'when': expected text or an integer, got "):
        next(reader)


def test_columns_of_one_name(pyarrow: Any, tmp_path: Path, refused: Any) -> None:
    from pyarrow import parquet

    path = tmp_path / "de.parquet"
    texts = [pyarrow.array(["a"]), pyarrow.array(["b"])]
    parquet.write_table(pyarrow.Table.from_arrays(texts, names=["text", "text"]), path)
    with refused(path, "columns of different names", "'text' twice"):
        list(read_parquet(path, Fields()))
    nested = pyarrow.StructArray.from_arrays(texts, names=["de", "de"])
    parquet.write_table(pyarrow.table({"translation": nested, "text": ["x"]}), path)
    with refused(path, "columns of translation", "'de' twice"):
        list(read_parquet(path, Fields()))
