"""Files of records, one a line, that are only ever added to.

Of the product it imports nothing: the bench of kernels runs beside the files of older revisions, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines at the end of a file, which is made when there is none, and see them onto the disk.

    A last line that a cut-off run left without its end is dropped first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines).encode()
    with path.open("ab+") as file:
        _drop_broken_end(file.fileno(), file.seek(0, os.SEEK_END))
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _drop_broken_end(file: int, size: int) -> None:
    """Cut a file after its last line feed."""
    stop = size
    while stop > 0:
        start = max(0, stop - 2**16)
        found = os.pread(file, stop - start, start).rfind(b"\n")
        if found >= 0:
            stop = start + found + 1
            break
        stop = start
    if stop < size:
        os.ftruncate(file, stop)
