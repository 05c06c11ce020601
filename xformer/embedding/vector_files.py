"""Files of texts and their vectors, written as the vectors come, in bounded memory.

Shapes: E texts, B texts of one block, D vector width.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO, Any, Literal, TextIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.storage.files import atomic_write

FilePath = str | os.PathLike[str]
Matrix = NDArray[np.floating]
VectorFormat = Literal["text", "jsonl", "npy", "parquet"]
WriteVectors = Callable[[Sequence[str], NDArray[np.float32]], None]
"""Writes the next B texts and their vectors (B, D)."""

Lines = Callable[[Sequence[str], NDArray[np.float32]], Iterator[str]]
"""The lines of B texts and their vectors (B, D)."""

_ROWS_OF_A_GROUP = 16_384
_CHARACTERS_OF_A_GROUP = 1 << 26


def vector_writer(
    out: FilePath | TextIO, kind: VectorFormat, dim: int
) -> AbstractContextManager[WriteVectors]:
    """Open a file, or an open text stream, for texts and vectors.

    A file is whole or absent: it gets its name when the block ends without an error. A stream gets each block
    of vectors at once.

    Args:
        out: the file; for `text` and `jsonl` a stream, too.
        kind: `text`: D numbers a line, between spaces. `jsonl`: a line is `{"text": …, "vector": […]}`.
            `npy`: NumPy's array (E, D). `parquet`: columns `text` and `vector`, for which pyarrow is needed.
            Numbers are float32; as text they have nine digits, which give the same float32 again.
        dim: D.

    Raises:
        InputError: pyarrow is missing.
        OSError: there is no room, or the file cannot be written; the error names it.
    """
    if kind in ("text", "jsonl"):
        return _text_file(out, _json_lines if kind == "jsonl" else _number_lines)
    assert isinstance(out, str | os.PathLike), f"{kind} is not written to a stream"
    return _npy_file(out, dim) if kind == "npy" else _parquet_file(out, dim)


def open_vectors(path: FilePath) -> Matrix:
    """The vectors of a `.npy` file, (E, D), mapped into memory: rows are read when they are used.

    Raises:
        InputError: the file is missing, is not such a file, or holds anything but a matrix of numbers.
    """
    try:
        # Not np.load: of a file that is no array, it says how to unpickle it.
        found = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        missing = isinstance(error, FileNotFoundError)
        why = "no such file" if missing else f"expected a .npy file of vectors: {error}"
        raise InputError(f"{path}: {why}") from error
    if found.ndim != 2 or found.dtype.kind != "f":
        got = f"{found.dtype} of shape {found.shape}"
        raise InputError(f"{path}: expected float vectors, one a row, got {got}")
    return found


@contextmanager
def _text_file(out: FilePath | TextIO, lines: Lines) -> Iterator[WriteVectors]:
    def writes_to(stream: IO[str]) -> WriteVectors:
        def write(texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
            stream.write("".join(lines(texts, vectors)))
            stream.flush()

        return write

    if isinstance(out, str | os.PathLike):
        with atomic_write(out) as file:
            yield writes_to(file)
    else:
        yield writes_to(out)


def _json_lines(texts: Sequence[str], vectors: NDArray[np.float32]) -> Iterator[str]:
    numbers = ", ".join(["%.9g"] * vectors.shape[1])
    for text, vector in zip(texts, vectors.tolist(), strict=True):
        yield f'{{"text": {json.dumps(text, ensure_ascii=False)}, "vector": [{numbers % tuple(vector)}]}}\n'


def _number_lines(texts: Sequence[str], vectors: NDArray[np.float32]) -> Iterator[str]:
    numbers = " ".join(["%.9g"] * vectors.shape[1])
    for vector in vectors.tolist():
        yield f"{numbers % tuple(vector)}\n"


@contextmanager
def _npy_file(out: FilePath, dim: int) -> Iterator[WriteVectors]:
    rows = 0
    with atomic_write(out, "wb") as file:

        def write_header() -> None:
            # NumPy leaves room for any number of rows, so the header can be written again at the end.
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
            npy.write_array_header_1_0(file, header)

        def write(texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
            nonlocal rows
            file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            rows += len(vectors)

        write_header()
        begins = file.tell()
        yield write
        file.seek(0)
        write_header()
        assert file.tell() == begins, "the header of the first row would be overwritten"


def require_pyarrow(path: FilePath) -> Any:
    """The modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: writing Parquet needs pyarrow: pip install 'xformer[parquet]'") from error
    return pyarrow


@contextmanager
def _parquet_file(out: FilePath, dim: int) -> Iterator[WriteVectors]:
    pyarrow = require_pyarrow(out)
    schema = pyarrow.schema([("text", pyarrow.string()), ("vector", pyarrow.list_(pyarrow.float32(), dim))])
    texts: list[str] = []
    blocks: list[NDArray[np.float32]] = []
    characters = 0
    with atomic_write(out, "wb") as file:
        # Hardly two floats are equal: a dictionary of them would be larger than they are.
        table = pyarrow.parquet.ParquetWriter(file, schema, use_dictionary=["text"])

        def write_group() -> None:
            nonlocal characters
            flat = pyarrow.array(np.concatenate(blocks).reshape(-1))
            columns = [pyarrow.array(texts), pyarrow.FixedSizeListArray.from_arrays(flat, dim)]
            table.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            texts.clear()
            blocks.clear()
            characters = 0

        def write(more: Sequence[str], vectors: NDArray[np.float32]) -> None:
            nonlocal characters
            texts.extend(more)
            characters += sum(map(len, more))
            blocks.append(np.asarray(vectors, dtype=np.float32))
            if len(texts) >= _ROWS_OF_A_GROUP or characters >= _CHARACTERS_OF_A_GROUP:
                write_group()

        try:
            yield write
            if texts:
                write_group()
        except BaseException:
            # The file is about to be removed. A table that is not closed complains when it is collected.
            with suppress(OSError, pyarrow.ArrowException):
                table.close()
            raise
        table.close()
