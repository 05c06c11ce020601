"""A corpus of some languages of another, with the same splits."""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from xformer.data.background import Background
from xformer.data.batches import Batch, batches
from xformer.data.corpus import Corpus, open_corpus
from xformer.data.groups import distinct_rows, group_hash
from xformer.data.languages import find_language
from xformer.data.manifest import Counts, Manifest, SplitEntry
from xformer.data.record_file import RecordWriter, lines_of
from xformer.data.reporting import ProgressCallback
from xformer.data.source_counts import SourceCounts
from xformer.data.source_rules import OTHER
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, atomic_folder


def languages_of(corpus: Corpus, wanted: Collection[str], option: str = "--languages") -> tuple[str, ...]:
    """The tags of a corpus that some tags or names mean, sorted; without any, all of them.

    Raises:
        InputError: the corpus lacks one.
    """
    known, found = corpus.manifest.languages, set()
    for one in wanted:
        if (tag := find_language(known, one)) is None:
            raise InputError(f"{option}: {corpus.folder} has no {one!r}; it has {', '.join(known)}")
        found.add(tag)
    return tuple(sorted(found or known))


def write_subset(
    corpus: Corpus,
    languages: Collection[str],
    out: str | os.PathLike[str],
    progress: ProgressCallback | None = None,
) -> Corpus:
    """Write the texts in some languages as a corpus of their own. The folder is complete or absent.

    Texts stay in their split and in their order. Sources without a text are left out of the manifest, and so
    is what it says about texts that were left out in other languages.

    Args:
        corpus: the whole one.
        languages: tags of the corpus.
        out: a new folder.
        progress: called with ("copy texts", texts read, texts in all).

    Raises:
        InputError: `out` exists, or the corpus is damaged.
    """
    whole, chosen = corpus.manifest, set(languages)
    total, done = sum(entry.total.records for entry in whole.splits.values()), 0
    splits = {}
    with atomic_folder(out) as folder:
        for name in whole.splits:
            path, kept = folder / f"{name}.jsonl.gz", _Kept(whole)
            with RecordWriter(path) as writer, Background() as background:
                for batch in batches(corpus.records(name)):
                    places = [place for place, tag in enumerate(batch.language) if tag in chosen]
                    kept.add(batch.part(places))
                    background(writer.write_lines, lines_of(batch, places))
                    done += len(batch)
                    if progress:
                        progress("copy texts", done, total)
            splits[name] = kept.entry(FileEntry.of(path))
        _manifest(whole, chosen, splits).write(folder)
    return open_corpus(out)


class _Kept:
    """What a split keeps."""

    def __init__(self, manifest: Manifest) -> None:
        self._sources = SourceCounts(source.name for source in manifest.sources)
        self._counts: dict[str, Counts] = {}
        self._numbers: dict[str, int] = {}
        self._groups, self._languages = array("Q"), array("H")

    def add(self, batch: Batch) -> None:
        """Count a batch of records."""
        sizes = [len(text.encode()) for text in batch.text]
        self._sources.add(batch, sizes)
        for text, language, size in zip(batch.text, batch.language, sizes, strict=True):
            self._counts[language] = self._counts.get(language, Counts()) + Counts(1, len(text), size)
        self._groups.extend(map(group_hash, batch.group))
        numbers = self._numbers
        self._languages.extend([numbers.setdefault(tag, len(numbers)) for tag in batch.language])

    def entry(self, file: FileEntry) -> SplitEntry:
        """The split's entry in the manifest."""
        group = np.array(self._groups, dtype=np.uint64)
        distinct = distinct_rows(group, np.array(self._languages, dtype=np.uint16))
        groups, languages = np.unique(group[distinct], return_counts=True)
        return SplitEntry(
            file,
            len(groups),
            dict(sorted(self._counts.items())),
            int(np.count_nonzero(languages > 1)),
            self._sources.table(),
        )


def _manifest(whole: Manifest, chosen: set[str], splits: dict[str, SplitEntry]) -> Manifest:
    """The manifest of a part of a corpus."""
    named = {name for entry in splits.values() for name in entry.sources}
    sources = tuple(one for one in whole.sources if one.name in named or OTHER in named)

    def of_chosen(counts: dict[str, int]) -> dict[str, int]:
        return {tag: count for tag, count in counts.items() if tag in chosen}

    removed = {reason: of_chosen(counts) for reason, counts in whole.removed.items()}
    return replace(
        whole,
        options=whole.options | {"of_languages": sorted(chosen)},
        sources=sources,
        languages=tuple(sorted({tag for entry in splits.values() for tag in entry.languages})),
        splits=splits,
        removed={reason: counts for reason, counts in removed.items() if counts},
        unpaired=of_chosen(whole.unpaired),
        merged={tag: counts for tag, counts in whole.merged.items() if tag in chosen},
        joined={},
    )
