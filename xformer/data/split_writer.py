"""The last step of an import: the files of the splits, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.background import Background
from xformer.data.batches import Batch
from xformer.data.groups import distinct_rows
from xformer.data.import_notes import ImportNotes
from xformer.data.import_plan import REASONS, ImportPlan
from xformer.data.manifest import Counts, SplitEntry
from xformer.data.record_file import RecordWriter, lines_of
from xformer.data.record_index import RecordIndex
from xformer.data.reporting import ProgressCallback
from xformer.data.source_counts import SourceCounts
from xformer.data.split import SPLITS
from xformer.storage.checksummed import FileEntry


def write_splits(
    folder: Path,
    index: RecordIndex,
    plan: ImportPlan,
    by_source: Sequence[SourceCounts],
    notes: ImportNotes,
    progress: ProgressCallback | None,
) -> dict[str, SplitEntry]:
    """Write the records that stay, one file per split; note the others.

    Args:
        folder: where to write.
        index: R records.
        plan: what becomes of each.
        by_source: for each split, counts of texts by source, which are added to.
        notes: what is left out is added to them.
        progress: called with ("write", records done, records in all).

    Returns:
        The entries of the manifest, by the name of the split.
    """
    stays = plan.reason == 0
    renamed = np.array(sorted(plan.names), dtype=np.uint64)
    left_out = _LeftOut(index, plan)
    paths = [folder / f"{split}.jsonl.gz" for split in SPLITS]
    with ExitStack() as stack:
        writers = [stack.enter_context(RecordWriter(path)) for path in paths]
        background = stack.enter_context(Background())
        for first, batch in index.batches():
            if progress:
                progress("write", first, len(index))
            rows = slice(first, first + len(batch))
            for place in np.flatnonzero(np.isin(plan.group[rows], renamed)).tolist():
                batch.group[place] = plan.names[int(plan.group[first + place])]
            left_out.see(first, batch)
            for split, writer in enumerate(writers):
                places = np.flatnonzero(stays[rows] & (plan.split[rows] == split)).tolist()
                if places:
                    sizes = [len(batch.text[place].encode()) for place in places]
                    by_source[split].add(batch.part(places), sizes)
                    background(writer.write_lines, lines_of(batch, places))
    left_out.add_to(notes)
    entries: dict[str, SplitEntry] = {}
    for place, (name, path) in enumerate(zip(SPLITS, paths, strict=True)):
        kept = np.flatnonzero(stays & (plan.split == place))
        distinct = kept[distinct_rows(plan.group[kept], index.language[kept])]
        groups, languages = np.unique(plan.group[distinct], return_counts=True)
        entries[name] = SplitEntry(
            FileEntry.of(path),
            len(groups),
            _amounts(index, kept, by_source[place].bytes_by_language()),
            int(np.count_nonzero(languages > 1)),
            by_source[place].table(),
        )
    return entries


def _amounts(index: RecordIndex, rows: NDArray[np.intp], n_bytes: Mapping[str, int]) -> dict[str, Counts]:
    """The amounts of text in some rows, by language, sorted."""
    language, size = index.language[rows], len(index.languages)
    records = np.bincount(language, minlength=size).tolist()
    chars = np.bincount(language, weights=index.chars[rows], minlength=size).astype(np.int64).tolist()
    amounts = zip(index.languages, records, chars, strict=True)
    return {tag: Counts(texts, length, n_bytes[tag]) for tag, texts, length in sorted(amounts) if texts}


class _LeftOut:
    """What a plan leaves out, or leaves without its translations: counted, and of each reason the first."""

    def __init__(self, index: RecordIndex, plan: ImportPlan) -> None:
        self._index, self._plan = index, plan
        reasons, first = np.unique(plan.reason, return_index=True)
        self._first = {
            int(row): REASONS[reason] for reason, row in zip(reasons, first, strict=True) if reason
        }
        self._alone = np.flatnonzero(plan.unpaired)[:1].tolist()
        self._examples: dict[int, tuple[str, str]] = {}

    def see(self, first: int, batch: Batch) -> None:
        """Look for examples in a batch of the index, by its first row."""
        for row in {*self._first, *self._alone}:
            if first <= row < first + len(batch):
                self._examples[row] = batch.text[row - first], batch.source[row - first]

    def add_to(self, notes: ImportNotes) -> None:
        """Add counts and examples, once all batches were seen."""
        language, plan = self._index.language, self._plan
        for row, reason in sorted(self._first.items()):
            counts = self._by_language(language[plan.reason == REASONS.index(reason)])
            notes.leave_out_many(reason, counts, *self._examples[row])
        for row in self._alone:
            notes.leave_alone(self._by_language(language[plan.unpaired]), *self._examples[row])

    def _by_language(self, languages: NDArray[np.uint16]) -> dict[str, int]:
        counts = np.bincount(languages, minlength=len(self._index.languages)).tolist()
        return {tag: count for tag, count in zip(self._index.languages, counts, strict=True) if count}
