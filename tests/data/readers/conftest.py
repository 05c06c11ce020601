"""Fixtures for the tests of readers: files on disk, and the expected parts of error messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from xformer.data.record import Record
from xformer.errors import InputError

Write = Callable[[str, str | bytes], Path]
Refused = Callable[..., "AbstractContextManager[object]"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, from text or from bytes, into the test's own folder."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def refused() -> Refused:
    """Expect an `InputError` whose message has all the given pieces."""

    def refused(*pieces: object) -> AbstractContextManager[object]:
        pattern = "(?s)" + "".join(f"(?=.*{re.escape(str(piece))})" for piece in pieces)
        return pytest.raises(InputError, match=pattern)

    return refused


@pytest.fixture
def brief() -> Callable[[Iterable[Record]], list[tuple[str, str]]]:
    """Records as (language, text)."""
    return lambda records: [(record.language, record.text) for record in records]


@pytest.fixture
def as_parquet(tmp_path: Path) -> Any:
    """Write rows as a Parquet file of two row groups or more."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    from pyarrow import parquet

    def write(rows: list[dict[str, Any]], name: str = "a.parquet") -> Path:
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / name, row_group_size=2)
        return tmp_path / name

    return write
