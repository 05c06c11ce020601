"""Lines of plain and compressed files, in bounded memory, with errors that name the file and the line."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from xformer.errors import InputError

FilePath = str | os.PathLike[str]

_BOM = b"\xef\xbb\xbf"
_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGED = (
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    NotImplementedError,  # zipfile, for an unknown compression method
)
# A file with a longer line is not a text file: stop before the line fills the memory.
LONGEST_LINE = 64 * 2**20


@contextmanager
def input_errors(path: FilePath) -> Iterator[None]:
    """Convert the errors of reading a file or decompressing it to an `InputError` that names `path`.

    Raises:
        InputError: the file is missing, is a folder, may not be read, or is truncated or damaged.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: expected a file, this is a folder") from error
    except EOFError as error:
        raise InputError(f"{path}: the compressed file is truncated") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: not a valid compressed file: {error}") from error
    except OSError as error:
        # bz2 raises "Invalid data stream" as an OSError without errno.
        kind = "not a valid compressed file" if error.errno is None else "cannot be read"
        raise InputError(f"{path}: {kind}: {error.strerror or error}") from error


def open_bytes(path: FilePath) -> io.BufferedIOBase:
    """Open a file for reading; the end of its name (`.gz`, `.bz2`, `.xz`) selects the decompression.

    Wrap the call and the reading in `input_errors(path)`.
    """
    return _OPEN.get(Path(path).suffix, open)(os.fspath(path), "rb")


def uncompressed_name(path: FilePath) -> str:
    """The file's name without folder and without `.gz`, `.bz2` or `.xz`: `a/train.de.gz` → `train.de`."""
    name = Path(path).name
    for suffix in _OPEN:
        name = name.removesuffix(suffix)
    return name


def decode_lines(file: IO[bytes] | io.BufferedIOBase, name: FilePath) -> Iterator[str]:
    r"""Decode UTF-8 lines that end at `\n` only.

    U+2028, U+0085, vertical tabs and a lone `\r` are text. One `\r` before the `\n` (Windows) and a byte
    order mark at the start of the file are removed.

    Args:
        file: bytes; closed by the caller.
        name: the name of the file in error messages.

    Yields:
        Lines without their ends. A last line without `\n` counts.

    Raises:
        InputError: a line is not UTF-8, or longer than `LONGEST_LINE`, or as `input_errors`.
    """
    number = 0
    with input_errors(name):
        while line := file.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                size = LONGEST_LINE // 2**20
                raise InputError(f"{name}:{number}: expected text, got a line of more than {size} MiB")
            if number == 1:
                line = line.removeprefix(_BOM)
                if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise InputError(f"{name}:1: expected UTF-8, this is UTF-16; save the file as UTF-8")
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{name}:{number}: expected UTF-8, byte {error.start + 1} of the line is "
                    f"0x{line[error.start]:02x} ({error.reason})"
                ) from error


def read_lines(path: FilePath) -> Iterator[str]:
    """Stream the lines of a plain, `.gz`, `.bz2` or `.xz` file; see `decode_lines`."""
    with input_errors(path), open_bytes(path) as file:
        yield from decode_lines(file, path)


@contextmanager
def open_zip(path: FilePath) -> Iterator[zipfile.ZipFile]:
    """Open a zip or wheel for reading.

    Raises:
        InputError: the file is missing, is not a zip, or is encrypted.
    """
    with input_errors(path):
        archive = zipfile.ZipFile(path)
    with archive:
        if any(member.flag_bits & 1 for member in archive.infolist()):
            raise InputError(f"{path}: the zip is encrypted; unpack it first")
        yield archive
