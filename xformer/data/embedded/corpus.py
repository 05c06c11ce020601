"""The embedded corpora by their names: fetched from registries, read where they lie, with their licences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from xformer.data.corpus import import_corpus
from xformer.data.decontaminate import Decontaminator
from xformer.data.embedded import EmbeddedName, is_embedded
from xformer.data.embedded.gettext import fetch_gettext_corpus, gettext_wheels, read_gettext_corpus
from xformer.data.embedded.packages import Package
from xformer.data.embedded.repeats import without_repeats
from xformer.data.embedded.sources import fetch_sources, read_source, sources_of
from xformer.data.import_notes import ImportNotes
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Manifest, Source
from xformer.data.named_test_sets import counted_texts, read_test_sets
from xformer.data.record import Record
from xformer.data.reporting import ProgressCallback


@dataclass(frozen=True)
class EmbeddedCorpus:
    """A corpus whose packages are in the cache.

    Attributes:
        name: `gettext`, `broad` or `declaration`.
        sources: its files, for the manifest.
        left_out: files that this machine cannot have, each with the reason.
        records: yields its texts, and notes what is left out of them.
    """

    name: EmbeddedName
    sources: tuple[Source, ...]
    left_out: dict[str, str]
    records: Callable[[ImportNotes], Iterator[Record]]


def import_embedded(
    name: EmbeddedName,
    folder: Path,
    options: ImportOptions,
    test_sets: Sequence[str | Path] = (),
    *,
    say: Callable[[str], None],
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Fetch a corpus and import it.

    Args:
        name: the corpus.
        folder: becomes the corpus's; it appears complete or not at all.
        options: of the import.
        test_sets: texts that overlap with these are left out, see `named_or_read`.
        say: called with a line about each step.
        progress: called with (what, texts done, texts in all or None).

    Raises:
        InputError: a package cannot be fetched, or a test set is missing.
    """
    notes = ImportNotes()
    decontaminator = Decontaminator(named_or_read(test_sets, notes, say=say)) if test_sets else None
    fetched = fetch_embedded(name, say=say)
    notes.not_read |= fetched.left_out
    return import_corpus(
        fetched.records(notes),
        folder,
        options,
        fetched.sources,
        decontaminator=decontaminator,
        notes=notes,
        progress=progress,
    )


def named_or_read(
    test_sets: Sequence[str | Path], notes: ImportNotes, *, say: Callable[[str], None]
) -> Iterator[tuple[str, Iterator[Record]]]:
    """Stream test sets, as `Decontaminator` takes them.

    Args:
        test_sets: names of embedded corpora, which are fetched, and paths, see `read_test_sets`.
        notes: gets the number of texts of each, once they are read.
        say: called with a line about each step.

    Yields:
        The name of each and its records.

    Raises:
        InputError: a path is missing or damaged, or a package cannot be fetched.
    """
    yield from read_test_sets([Path(one) for one in test_sets if not is_embedded(str(one))], notes)
    for name in map(str, test_sets):
        if is_embedded(name):
            records = fetch_embedded(name, say=say).records(ImportNotes())
            yield name, counted_texts(name, records, notes)


def fetch_embedded(name: EmbeddedName, *, say: Callable[[str], None]) -> EmbeddedCorpus:
    """Fetch what the cache lacks of a corpus.

    Args:
        name: the corpus.
        say: called with a line about each step.

    Raises:
        InputError: a package cannot be fetched.
    """
    if name == "gettext":
        wheels = fetch_gettext_corpus(say=say)
        sources = [_described("gettext", *each) for each in zip(gettext_wheels(), wheels, strict=True)]
        return EmbeddedCorpus(name, tuple(sources), {}, lambda notes: _named(wheels, notes))
    fetched, left_out = fetch_sources(sources_of(name), say=say)

    def records(notes: ImportNotes) -> Iterator[Record]:
        return without_repeats(chain.from_iterable(read_source(each, notes) for each in fetched))

    described = (_described(each.source.name, *item) for each in fetched for item in each.paths.items())
    return EmbeddedCorpus(name, tuple(described), left_out, records)


def _described(name: str, package: Package, path: Path) -> Source:
    return Source(f"{name}/{package.filename}", package.licence, package.sha256, path.stat().st_size)


def _named(wheels: tuple[Path, ...], notes: ImportNotes) -> Iterator[Record]:
    for record in read_gettext_corpus(wheels, notes):
        place = f"gettext/{record.source}"
        yield Record(record.text, record.language, record.group, place, record.id, record.label)
