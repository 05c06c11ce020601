"""Writing token shards with many workers, and joining what they wrote.

Worker i of n writes shards i, i + n, i + 2n … of a split, each into a folder of its own:

    OUT.parts/shard-00003/
        tokens-00003.bin    the token file of the shard
        group.bin …         the properties of its examples
        part.json           its records and settings, with the checksum of this file's content

A shard holds the same records whichever worker writes it. So workers need nothing in common but a file
system, and can be started, stopped and repeated in any order and number: a shard that exists and is undamaged
is not written again. `join_shards` links the token files into one folder, appends the properties and writes
the index. The result is the same, byte for byte, as that of `write_shards`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xformer.data.reporting import ProgressCallback
from xformer.data.shard_index import INDEX_NAME, ShardEntry, ShardsInfo, write_index
from xformer.data.shard_writer import Sharding, open_columns, token_file
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, atomic_folder, read_checksummed, write_checksummed

_PART = "part.json"


@dataclass(frozen=True)
class _Part:
    """The content of part.json: a shard, and how many of its records are empty: encode to no token."""

    settings: ShardsInfo
    number: int  # of the shard, from 0
    first_record: int  # line of the split's file, from 0
    records: int
    empty_records: int
    shard: ShardEntry
    columns: dict[str, FileEntry]


def write_shard_parts(
    sharding: Sharding,
    out_dir: str | os.PathLike[str],
    *,
    worker: int,
    of: int,
    progress: ProgressCallback | None = None,
    say: Callable[[str], None] | None = None,
) -> int:
    """Write every `of`-th missing shard of a split, beginning with number `worker`.

    Shards of this worker that exist are compared with their hashes; damaged ones are written again.

    Args:
        sharding: what to encode, and how; the same for all workers.
        out_dir: the folder that `join_shards` will make; until then the shards are in `out_dir` + `.parts`.
        worker: 0 to `of` - 1.
        of: number of workers.
        progress: called with ("encode SPLIT", records done or skipped, records in all).
        say: called with a line about each damaged shard.

    Returns:
        Number of shards written.

    Raises:
        InputError: the corpus is damaged, or a shard was made with other settings; the message names both
            settings.
        ValueError: `worker` or `of` is out of range.
    """
    if of < 1 or not 0 <= worker < of:
        raise ValueError(f"worker, of: expected a worker from 0 to of - 1, got {worker} of {of}")
    settings, parts = sharding.settings, _parts_of(Path(out_dir))
    if _joined(Path(out_dir), settings) is not None:
        return 0
    for path in sorted(parts.glob("shard-*")):  # of all workers
        with suppress(_DamagedError):
            _verify(path, settings, content=False)
    written = done = 0
    for number, records in enumerate(sharding.records()):
        target = parts / f"shard-{number:05d}"
        missing = number % of == worker
        if missing and target.exists():
            try:
                _verify(target, settings)
                missing = False
            except _DamagedError as error:
                if say:
                    say(f"{error}. It is made again")
                shutil.rmtree(target)
        if not missing:
            done += sum(1 for _ in records)
            continue
        with atomic_folder(target) as folder:
            tokens = folder / token_file(number)
            with open_columns(folder, settings) as columns, open(tokens, "wb") as file:
                found = sharding.encode(records, file, columns, done, progress)
            entries = {name: FileEntry.of(folder / f"{name}.bin") for name in settings.column_types}
            part = _Part(
                settings, number, done, found.records, found.empty_records, found.entry(tokens), entries
            )
            write_checksummed(folder / _PART, part)
        done += found.records
        written += 1
    return written


def join_shards(sharding: Sharding, out_dir: str | os.PathLike[str]) -> ShardsInfo:
    """Join the shards that the workers wrote into one folder, and remove their parts.

    Every byte is compared with its hash first. If the folder exists already, it is left as it is.

    Args:
        sharding: the same as for the workers.
        out_dir: a new folder, which is complete or absent.

    Raises:
        InputError: a shard is missing, damaged, or made with other settings; the message names it.
    """
    out, settings = Path(out_dir), sharding.settings
    parts = _parts_of(out)
    if (info := _joined(out, settings)) is None:
        found = _complete(parts, settings, sharding.in_all)
        with atomic_folder(out) as folder:
            with open_columns(folder, settings) as columns:
                for part in found:
                    source = parts / f"shard-{part.number:05d}"
                    _link(source / part.shard.file.name, folder / part.shard.file.name)
                    for name, entry in part.columns.items():
                        with open(source / entry.name, "rb") as one:
                            shutil.copyfileobj(one, columns[name])
            empty = sum(part.empty_records for part in found)
            info = write_index(folder, settings, [part.shard for part in found], empty)
    shutil.rmtree(parts, ignore_errors=True)
    return info


def _complete(parts: Path, settings: ShardsInfo, in_all: int) -> list[_Part]:
    """All parts in order, from the first record to the last without a gap."""
    found: list[_Part] = []
    records = 0
    while records < in_all:
        path = parts / f"shard-{len(found):05d}"
        begins = f"the shard that begins at record {records:,} of {in_all:,}"
        again = "Run its worker again: shards that are complete are not made again"
        if not path.exists():
            raise InputError(f"{path}: missing; expected {begins}. {again}")
        try:
            part = _verify(path, settings)
        except _DamagedError as error:
            raise InputError(f"{error}. It is part of {begins}. {again}") from error
        if part.first_record != records or part.number != len(found):
            raise InputError(f"{path}: expected {begins}, found one that begins at {part.first_record:,}")
        found.append(part)
        records += part.records
    return found


class _DamagedError(InputError):
    """Files of a part are missing or changed."""


def _verify(path: Path, settings: ShardsInfo, content: bool = True) -> _Part:
    """Read the part.json of a part after comparing the sizes of its files, and their hashes if `content`.

    Raises:
        _DamagedError: a file is missing or changed.
        InputError: the part was made with other settings.
    """
    try:
        part = read_checksummed(path / _PART, _Part)
        for entry in (part.shard.file, *part.columns.values()):
            entry.verify(path, content)
    except InputError as error:
        raise _DamagedError(str(error)) from error
    _require_same(path, part.settings, settings)
    if part.settings.sources != settings.sources:
        raise _DamagedError(f"{path}: made by an earlier version, which did not write the texts' sources")
    return part


def _joined(out: Path, settings: ShardsInfo) -> ShardsInfo | None:
    """The index of shards that are joined already; None if there are none.

    Raises:
        InputError: they were made with other settings, or their index is damaged.
    """
    if not (out / INDEX_NAME).exists():
        return None
    info = ShardsInfo.read(out)
    _require_same(out, info, settings)
    return info


def _require_same(path: Path, found: ShardsInfo, expected: ShardsInfo) -> None:
    if difference := found.first_difference(expected):
        name, before, now = difference
        raise InputError(f"{path}: made with {name}={before}, expected {name}={now}")


def _parts_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _link(source: Path, target: Path) -> None:
    """Hard-link a file; copy it if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
