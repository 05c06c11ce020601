"""A corpus on disk: one gzipped JSON-lines file per split, and a manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

import xformer
from xformer.data.decontaminate import Decontaminator
from xformer.data.manifest import Counts, Manifest, Source, SplitEntry
from xformer.data.plan import REASONS, ImportOptions, Plan, make_plan
from xformer.data.record import Record
from xformer.data.record_file import RecordWriter, read_records
from xformer.data.split import SPLITS
from xformer.data.spool import Spool
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, atomic_folder

Progress = Callable[[str, int, int | None], None]


class Corpus:
    """The records of a corpus folder, split by split. Made by `open_corpus`.

    Attributes:
        folder: where it lies.
        manifest: what it holds.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    def records(self, split: str) -> Iterator[Record]:
        """Every record of a split, in the order of the file, one at a time.

        Raises:
            InputError: when there is no such split, or its file is missing, damaged, or holds another number
                of records than the manifest says; the file and the line are named.
        """
        entry = self.manifest.split(split)
        path = entry.file.verify(self.folder, content=False)
        count = 0
        for record in read_records(path):
            count += 1
            yield record
        if count != entry.total.records:
            raise InputError(f"{path}: expected {entry.total.records:,} records, found {count:,}")


def open_corpus(folder: str | os.PathLike[str], verify: bool = False) -> Corpus:
    """Open what `import_corpus` wrote.

    Args:
        folder: the corpus folder.
        verify: compare the hash of every file first, which reads them all; otherwise sizes only, and damage
            is found where gzip's own checksum finds it, while reading.

    Raises:
        InputError: when the folder is no corpus, or was changed; the file is named.
    """
    manifest = Manifest.read(folder)
    manifest.verify(folder, content=verify)
    return Corpus(Path(folder), manifest)


def import_corpus(
    records: Iterable[Record],
    out_dir: str | os.PathLike[str],
    options: ImportOptions,
    sources: Sequence[Source],
    *,
    decontaminator: Decontaminator | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Make a corpus of records: join groups, split, remove what repeats, write. It appears whole or not at
    all.

    Records without text, and those that overlap a named test set, are left out as they come. What becomes of
    the rest `make_plan` says. Records keep their order; nothing in the result depends on anything but records
    and options.

    Text is on the disk throughout, except that of dev and test; about 100 bytes per record are in memory.

    Args:
        records: from any reader.
        out_dir: a new folder.
        options: how.
        sources: what to record about where the text comes from.
        decontaminator: keeps test sets out.
        progress: called with (stage, records done, records in all or None).

    Returns:
        The manifest, as written.

    Raises:
        InputError: when `out_dir` exists, a text cannot be stored, nothing is left, or too few groups can be
            held out.
    """
    with atomic_folder(out_dir) as folder:
        spool_path = folder / "spool.jsonl.gz"
        removed: Counter[tuple[str, str]] = Counter()
        spool = Spool(spool_path, _admit(records, decontaminator, removed, progress))
        plan = make_plan(spool, options, progress)
        for row in np.flatnonzero(plan.reason):
            removed[REASONS[plan.reason[row]], spool.languages[spool.language[row]]] += 1
        splits = _write_splits(folder, spool, plan, progress)
        spool_path.unlink()
        languages = {tag for entry in splits.values() for tag in entry.languages}
        if not languages:
            raise InputError(f"{out_dir}: expected records, but none are left of {len(spool):,} with text")
        by_reason: dict[str, dict[str, int]] = {}
        for (reason, language), count in sorted(removed.items()):
            by_reason.setdefault(reason, {})[language] = count
        manifest = Manifest(
            tool=f"xformer {xformer.__version__}",
            seed=options.seed,
            options=asdict(options),
            sources=tuple(sources),
            languages=tuple(sorted(languages)),
            splits=splits,
            removed=by_reason,
            joined=plan.joined,
        )
        manifest.write(folder)
    return manifest


def _admit(
    records: Iterable[Record],
    decontaminator: Decontaminator | None,
    removed: Counter[tuple[str, str]],
    progress: Progress | None,
) -> Iterator[Record]:
    """Records with text that overlap no test set; counts the others by reason and language."""
    for row, record in enumerate(records):
        if progress and row % 1000 == 0:
            progress("read", row, None)
        if not record.text.strip():
            removed["no text", record.language] += 1
        elif decontaminator and (found := decontaminator.overlap(record)):
            removed[f"{found[1]} overlap with {found[0]}", record.language] += 1
        else:
            yield record


def _write_splits(folder: Path, spool: Spool, plan: Plan, progress: Progress | None) -> dict[str, SplitEntry]:
    """Write the records that stay, one file per split."""
    counts: list[dict[str, Counts]] = [{} for _ in SPLITS]
    paths = [folder / f"{split}.jsonl.gz" for split in SPLITS]
    with ExitStack() as stack:
        writers = [stack.enter_context(RecordWriter(path)) for path in paths]
        for row, record in enumerate(spool):
            if progress and row % 1000 == 0:
                progress("write", row, len(spool))
            if plan.reason[row]:
                continue
            split = int(plan.split[row])
            name = plan.names.get(int(plan.group[row]), record.group)
            writers[split].write(replace(record, group=name))
            size = Counts(1, len(record.text), len(record.text.encode()))
            counts[split][record.language] = counts[split].get(record.language, Counts()) + size
    groups = [
        len(np.unique(plan.group[(plan.reason == 0) & (plan.split == split)])) for split in range(len(SPLITS))
    ]
    return {
        split: SplitEntry(FileEntry.of(path), groups[place], dict(sorted(counts[place].items())))
        for place, (split, path) in enumerate(zip(SPLITS, paths, strict=True))
    }
