"""The embedded corpora by their names: fetched from registries, read where they lie, with their licences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from xformer.data.embedded import EmbeddedName
from xformer.data.embedded.broad import broad_sources, fetch_broad, read_broad
from xformer.data.embedded.gettext import fetch_gettext_corpus, gettext_wheels, read_gettext_corpus
from xformer.data.embedded.packages import Package
from xformer.data.embedded.repeats import without_repeats
from xformer.data.import_notes import ImportNotes
from xformer.data.manifest import Source
from xformer.data.record import Record


@dataclass(frozen=True)
class EmbeddedCorpus:
    """A corpus whose packages are in the cache.

    Attributes:
        name: `gettext` or `broad`.
        sources: its files, for the manifest.
        left_out: files that this machine cannot have, each with the reason.
        records: yields its texts, and notes what is left out of them.
    """

    name: EmbeddedName
    sources: tuple[Source, ...]
    left_out: dict[str, str]
    records: Callable[[ImportNotes], Iterator[Record]]


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
    fetched, left_out = fetch_broad(broad_sources(), say=say)

    def records(notes: ImportNotes) -> Iterator[Record]:
        return without_repeats(chain.from_iterable(read_broad(each, notes) for each in fetched))

    described = (_described(each.source.name, *item) for each in fetched for item in each.paths.items())
    return EmbeddedCorpus(name, tuple(described), left_out, records)


def _described(name: str, package: Package, path: Path) -> Source:
    return Source(f"{name}/{package.filename}", package.licence, package.sha256, path.stat().st_size)


def _named(wheels: tuple[Path, ...], notes: ImportNotes) -> Iterator[Record]:
    for record in read_gettext_corpus(wheels, notes):
        place = f"gettext/{record.source}"
        yield Record(record.text, record.language, record.group, place, record.id, record.label)
