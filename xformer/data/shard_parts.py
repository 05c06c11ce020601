"""Token shards by many workers: each writes its own, whoever is last puts them together.

Worker i of n makes shards i, i + n, i + 2n … of a split, each in a folder of its own:

    OUT.parts/shard-00003/
        tokens-00003.bin    the shard as it will be
        group.bin …         its examples' properties
        part.json           which records these are and what they were made with; sealed

Shard k holds the same records whoever makes it, so workers never wait for one another, share nothing but a
file system, and may be started, stopped, repeated and renumbered at will: a shard that is there is not made
again, unless its bytes are not those that were written. `join_shards` links the token files together, appends
the properties, writes the index. The result is what `write_shards` writes, byte for byte.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path

from xformer.data.corpus import open_corpus
from xformer.data.shard_writer import COLUMNS, Encoder, ShardEntry, ShardWriter, cut_by_bytes
from xformer.data.shards import INDEX_NAME, Progress, ShardsInfo, shard_settings, write_index
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, atomic_folder, read_checksummed, write_checksummed

_PART = "part.json"
_BATCH = 1024


@dataclass(frozen=True)
class _Part:
    """part.json.

    Attributes:
        settings: what the shard was made with.
        number: of the shard, from 0.
        first_record: line of the split's file, from 0, where its records begin.
        records: how many it holds.
        empty_records: those of them that encode to no token.
        shard: its token file.
        columns: its examples' properties.
    """

    settings: ShardsInfo
    number: int
    first_record: int
    records: int
    empty_records: int
    shard: ShardEntry
    columns: dict[str, FileEntry]


def write_shard_parts(
    corpus_dir: str | os.PathLike[str],
    split: str,
    tokenizer: Encoder,
    out_dir: str | os.PathLike[str],
    *,
    worker: int,
    of: int,
    max_length: int = 512,
    bytes_per_shard: int = 1 << 28,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> int:
    """Make every `of`-th shard of a split that is not there yet, beginning with number `worker`.

    Those that are there are read and compared with their hashes; one that is damaged is made again.

    Args:
        corpus_dir: what `import_corpus` wrote.
        split: `train`, `dev` or `test`.
        tokenizer: encodes the texts.
        out_dir: where `join_shards` will put them; until then they lie in `out_dir` + `.parts`.
        worker: 0 to `of` - 1.
        of: how many workers there are.
        max_length: longest example, in tokens.
        bytes_per_shard: where a shard ends, in bytes of text.
        progress: called with ("encode SPLIT", records done or passed over, records in all).
        say: told what is damaged and made again.

    Returns:
        How many shards were made; those that were there already are not counted.

    Raises:
        InputError: when the corpus is missing or damaged, or shards are there that were made with other
            settings; both are named.
        ValueError: when a number is out of its range.
    """
    if of < 1 or not 0 <= worker < of:
        raise ValueError(f"worker, of: expected a worker from 0 to of - 1, got {worker} of {of}")
    settings = shard_settings(corpus_dir, split, tokenizer, max_length, bytes_per_shard)
    if _joined(Path(out_dir), settings) is not None:
        return 0
    parts = _parts_of(Path(out_dir))
    for path in _folders(parts):  # whoever made them
        with suppress(_DamagedError):
            _verify(path, settings, content=False)
    corpus = open_corpus(corpus_dir)
    in_all = corpus.manifest.split(split).total.records
    made = done = 0
    for number, records in enumerate(cut_by_bytes(corpus.records(split), bytes_per_shard)):
        target = parts / f"shard-{number:05d}"
        first = done
        mine = number % of == worker
        if mine and target.exists():
            try:
                _verify(target, settings)
                mine = False
            except _DamagedError as error:
                if say:
                    say(f"{error}. It is made again")
                shutil.rmtree(target)
        if not mine:
            done += sum(1 for _ in records)
            continue
        with atomic_folder(target) as folder:
            writer = ShardWriter(
                folder / f"tokens-{number:05d}.bin",
                tokenizer,
                settings.languages,
                settings.dtype,
                max_length,
            )
            with ExitStack() as stack:
                columns = {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in COLUMNS}
                stack.enter_context(writer)
                while batch := list(islice(records, _BATCH)):
                    writer.add(batch, columns, first_record=done)
                    done += len(batch)
                    if progress:
                        progress(f"encode {split}", done, in_all)
            entries = {name: FileEntry.of(folder / f"{name}.bin") for name in COLUMNS}
            part = _Part(settings, number, first, done - first, writer.empty_records, writer.entry(), entries)
            write_checksummed(folder / _PART, part)
        made += 1
    return made


def join_shards(
    corpus_dir: str | os.PathLike[str],
    split: str,
    tokenizer: Encoder,
    out_dir: str | os.PathLike[str],
    *,
    max_length: int = 512,
    bytes_per_shard: int = 1 << 28,
) -> ShardsInfo:
    """Put together what the workers made, and remove their parts. Shards that are joined already stay so.

    Every byte is compared with its hash before.

    Args:
        corpus_dir: as the workers had it.
        split: likewise.
        tokenizer: likewise.
        out_dir: a new folder, which appears whole or not at all.
        max_length: as the workers had it.
        bytes_per_shard: likewise.

    Raises:
        InputError: when a shard is missing, damaged, or made with other settings; it is named.
    """
    out = Path(out_dir)
    settings = shard_settings(corpus_dir, split, tokenizer, max_length, bytes_per_shard)
    parts = _parts_of(out)
    if (info := _joined(out, settings)) is None:
        in_all = open_corpus(corpus_dir).manifest.split(split).total.records
        found = _complete(parts, settings, in_all)
        with atomic_folder(out) as folder:
            for part in found:
                source = parts / f"shard-{part.number:05d}"
                _link(source / part.shard.file.name, folder / part.shard.file.name)
                for name, entry in part.columns.items():
                    with open(source / entry.name, "rb") as one, open(folder / f"{name}.bin", "ab") as all_:
                        shutil.copyfileobj(one, all_)
            for name in COLUMNS:  # of a split without records there is nothing to append
                (folder / f"{name}.bin").touch()
            empty = sum(part.empty_records for part in found)
            info = write_index(folder, settings, [part.shard for part in found], empty)
    shutil.rmtree(parts, ignore_errors=True)
    return info


def _complete(parts: Path, settings: ShardsInfo, in_all: int) -> list[_Part]:
    """All parts, in order: from the first record to the last without a gap."""
    found: list[_Part] = []
    records = 0
    while records < in_all:
        path = parts / f"shard-{len(found):05d}"
        begins = f"the shard that begins at record {records:,} of {in_all:,}"
        again = "Run its worker (again): what is there and whole is not made again"
        if not path.exists():
            raise InputError(f"{path}: missing; expected {begins}. {again}")
        try:
            part = _verify(path, settings)
        except _DamagedError as error:
            raise InputError(f"{error}. It is of {begins}. {again}") from error
        if part.first_record != records or part.number != len(found):
            raise InputError(f"{path}: expected {begins}, found one that begins at {part.first_record:,}")
        found.append(part)
        records += part.records
    return found


class _DamagedError(InputError):
    """Files of a part are missing, or not as they were written."""


def _verify(path: Path, settings: ShardsInfo, content: bool = True) -> _Part:
    """What is said of a part that is as it was written: of the right sizes, and hashes if `content`.

    Raises:
        _DamagedError: it is not, or not all there.
        InputError: it was made with other settings.
    """
    try:
        part = read_checksummed(path / _PART, _Part)
        for entry in (part.shard.file, *part.columns.values()):
            entry.verify(path, content)
    except InputError as error:
        raise _DamagedError(str(error)) from error
    _require_same(path, part.settings, settings)
    return part


def _joined(out: Path, settings: ShardsInfo) -> ShardsInfo | None:
    """The index of shards that are joined already; None where there are none.

    Raises:
        InputError: they were made with other settings, or their index is damaged.
    """
    if not (out / INDEX_NAME).exists():
        return None
    info = read_checksummed(out / INDEX_NAME, ShardsInfo)
    _require_same(out, replace(info, shards=(), columns={}, empty_records=0), settings)
    return info


def _require_same(path: Path, found: ShardsInfo, expected: ShardsInfo) -> None:
    for field in fields(ShardsInfo):
        before, now = getattr(found, field.name), getattr(expected, field.name)
        if before != now:
            raise InputError(f"{path}: made with {field.name}={before}, expected {field.name}={now}")


def _parts_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _folders(parts: Path) -> Sequence[Path]:
    return sorted(parts.glob("shard-*"))


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
