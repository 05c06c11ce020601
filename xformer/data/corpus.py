"""A corpus on disk: one gzipped JSON-lines file per split, and a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from xformer.data.batches import Batch, batches
from xformer.data.decontaminate import Decontaminator
from xformer.data.dedup_keys import DedupKeys
from xformer.data.import_notes import ImportNotes, overlap
from xformer.data.import_plan import ImportOptions, plan_import
from xformer.data.kin import join_small
from xformer.data.manifest import Manifest, Source
from xformer.data.record import Record
from xformer.data.record_file import read_records
from xformer.data.record_index import RecordIndex
from xformer.data.reporting import ProgressCallback
from xformer.data.source_counts import SourceCounts
from xformer.data.split import SPLITS
from xformer.data.split_writer import write_splits
from xformer.errors import InputError
from xformer.storage.checksummed import atomic_folder, verify_files
from xformer.version import __version__


@dataclass(frozen=True)
class Corpus:
    """A corpus folder, opened by `open_corpus`.

    Attributes:
        folder: its path.
        manifest: its manifest.
    """

    folder: Path
    manifest: Manifest

    def records(self, split: str) -> Iterator[Record]:
        """Stream the records of a split, in the order of its file.

        Raises:
            InputError: there is no such split, or its file is missing, damaged, or has another number of
                records than the manifest says; the message names the file and the line.
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
    """Open a folder that `import_corpus` wrote.

    Args:
        folder: the corpus folder.
        verify: compare the hash of every file now, which reads all of them. Otherwise only sizes are
            compared, and gzip's own checksum finds damage while records are read.

    Raises:
        InputError: the folder is not a corpus, or was changed; the message names the file.
    """
    manifest = Manifest.read(folder)
    verify_files(Path(folder), [entry.file for entry in manifest.splits.values()], content=verify)
    return Corpus(Path(folder), manifest)


def import_corpus(
    records: Iterable[Record],
    out_dir: str | os.PathLike[str],
    options: ImportOptions,
    sources: Sequence[Source],
    *,
    decontaminator: Decontaminator | None = None,
    notes: ImportNotes | None = None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Write records as a corpus: join groups, split, remove duplicates. The folder is complete or absent.

    Records without text and records that overlap a test set are left out first. `plan_import` decides about
    the others. Records keep their order, and the result depends on records and options only.

    Text is on the disk, except that of dev and test. Memory holds about 100 bytes per record.

    Args:
        records: from any reader.
        out_dir: a new folder.
        options: how to split and what to leave out.
        sources: where the text comes from, for the manifest.
        decontaminator: finds records that overlap test sets.
        notes: those of the readers; what is left out here is added to them.
        progress: called with (stage, records done, records in all or None).

    Returns:
        The manifest, as written.

    Raises:
        InputError: `out_dir` exists, a text cannot be stored, no record is left, or too few groups can be
            held out.
    """
    notes = notes or ImportNotes()
    with atomic_folder(out_dir) as folder:
        path = folder / "records.partial"
        index = RecordIndex(path, _admitted(records, decontaminator, notes, progress))
        index, merged = _with_kin(index, options, folder, progress)
        plan = plan_import(index, options, progress)
        by_source = [SourceCounts(source.name for source in sources) for _ in SPLITS]
        splits = write_splits(folder, index, plan, by_source, notes, progress)
        for scratch in folder.glob("records*"):
            scratch.unlink()
        languages = {tag for entry in splits.values() for tag in entry.languages}
        if not languages:
            read = ", ".join(source.name for source in sources[:3]) + (", …" if len(sources) > 3 else "")
            raise InputError(f"{read}: expected records, but none are left of {len(index):,} with text")
        manifest = Manifest(
            tool=f"xformer {__version__}",
            seed=options.seed,
            options=asdict(options),
            sources=tuple(sources),
            languages=tuple(sorted(languages)),
            splits=splits,
            removed={what: dict(sorted(counts.items())) for what, counts in sorted(notes.left_out.items())},
            unpaired=dict(sorted(notes.unpaired.items())),
            tags=notes.renamed,
            not_read=dict(sorted(notes.not_read.items())),
            joined=plan.joined,
            merged=merged,
            test_sets=notes.overlaps,
        )
        manifest.write(folder)
    return manifest


def _admitted(
    records: Iterable[Record],
    decontaminator: Decontaminator | None,
    notes: ImportNotes,
    progress: ProgressCallback | None,
) -> Iterator[tuple[Batch, list[str]]]:
    """Yield the records with text that overlap no test set, with their keys; note the others."""
    key_of, done = DedupKeys(), 0
    for batch in batches(records):
        if progress:
            progress("read", done, None)
        done += len(batch)
        keys = key_of.of(batch.text)
        reasons: dict[int, str] = {}
        if "" in keys:
            reasons = {place: "no text" for place, text in enumerate(batch.text) if not text.strip()}
        if decontaminator:
            for place, (name, how) in decontaminator.overlaps(batch, keys).items():
                reasons.setdefault(place, overlap(how, name))
        if reasons:
            for place, reason in sorted(reasons.items()):
                language, text, source = batch.language[place], batch.text[place], batch.source[place]
                notes.leave_out(reason, language, text if text.strip() else "", source)
            left = [place for place in range(len(batch)) if place not in reasons]
            batch, keys = batch.part(left), [keys[place] for place in left]
        yield batch, keys


def _with_kin(
    index: RecordIndex, options: ImportOptions, folder: Path, progress: ProgressCallback | None
) -> tuple[RecordIndex, dict[str, dict[str, int]]]:
    """The index with small languages joined into their kin, and numbers of their texts by kin and tag."""
    counts = np.bincount(index.language, minlength=len(index.languages)).tolist()
    sizes = dict(zip(index.languages, counts, strict=True))
    join = options.small_languages == "join"
    becomes = join_small(sizes, options.min_language_records) if join else {}
    if not becomes:
        return index, {}
    merged: dict[str, dict[str, int]] = {}
    for tag, kin in sorted(becomes.items()):
        merged.setdefault(kin, {})[tag] = sizes[tag]

    def renamed() -> Iterator[tuple[Batch, list[str]]]:
        for first, batch, keys in index.with_keys():
            if progress:
                progress("join small languages", first, len(index))
            yield replace(batch, language=[becomes.get(tag, tag) for tag in batch.language]), keys

    return RecordIndex(folder / "records-joined.partial", renamed()), merged
