"""Texts that are added to an index: all of them or none, and many small additions become few parts.

The files of a part come first, and count when `index.json` lists them. A part that is no larger than all that
came after it is joined with that, as in the logarithmic method of Bentley and Saxe (1980): after n additions
there are about log n small parts, and each text was written about log n times. Large parts are left alone, as
search gains nothing by joining them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

from xformer.embedding.search.folder import (
    NAME,
    Block,
    IndexInfo,
    read_info,
    write_blocks,
)
from xformer.embedding.search.part import Part, PartEntry, write_part
from xformer.errors import InputError
from xformer.storage.checksummed import scratch_folder, write_checksummed
from xformer.storage.files import flush_to_disk

LARGE = 1 << 16
"""Texts of a part that is left alone: as many vectors as one product of a few queries takes."""


def add_to_index(path: str | os.PathLike[str], blocks: Iterable[Block]) -> None:
    """Add texts to an index: all of them, or none if it ends early.

    Those who have the index open go on with what it was.

    Raises:
        InputError: it is no index, another process is adding to it, or a vector is not finite.
    """
    target = Path(path)
    with _locked(target):
        info = read_info(target)
        number = info.parts[-1].number + 1
        with scratch_folder(target / "new") as folder:
            part, sources = write_blocks(folder, number, blocks, info.model)
            if not part.texts:
                return
            kept = info.parts[: len(info.parts) - count_to_join(info.parts, part)]
            old = info.parts[len(kept) :]
            if old:
                part = _joined(target, folder, old, part, info.dim)
            for file in part.files:
                flush_to_disk(folder / file.name)
                os.replace(folder / file.name, target / file.name)
        flush_to_disk(target)
        grown = replace(info, parts=(*kept, part), sources=(*info.sources, *sources))
        write_checksummed(target / NAME, grown)
        _remove_unlisted(target, grown)


def count_to_join(parts: Sequence[PartEntry], added: PartEntry) -> int:
    """How many of the last parts are joined with what is added behind them."""
    total, count = added.texts, 0
    for part in reversed(parts):
        if part.texts > min(total, LARGE):
            break
        total, count = total + part.texts, count + 1
    return count


def _joined(target: Path, folder: Path, old: Sequence[PartEntry], new: PartEntry, dim: int) -> PartEntry:
    """Write one part of old ones, which lie in `target`, and the new one, which lies in `folder`."""
    parts = [*(Part(target, entry, dim) for entry in old), Part(folder, new, dim)]
    return write_part(folder, new.number + 1, chain.from_iterable(part.blocks() for part in parts))


def _remove_unlisted(target: Path, info: IndexInfo) -> None:
    """Remove files of parts that were joined, also by a process that was killed before it came to that.

    Those who have them mapped keep them.
    """
    listed = {file.name for part in info.parts for file in part.files}
    kinds = {name.partition(".")[2] for name in listed}
    for path in target.iterdir():
        number, _, kind = path.name.partition(".")
        if number.isdigit() and kind in kinds and path.name not in listed:
            with suppress(OSError):
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be the only process that adds to an index."""
    read_info(path)
    lock = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another process is adding to it; wait for its end") from None
        yield
    finally:
        os.close(lock)
