"""The reader of gettext catalogues, compiled (`.mo`) or source (`.po`), on disk or inside a wheel or zip.

The group of a message depends only on its source text. So the same source message is one group in all
catalogues, packages and contexts.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from xformer.data.groups import DisjointSets
from xformer.data.import_notes import ImportNotes
from xformer.data.readers.catalogue import Message, parse_header, parse_mo, parse_po
from xformer.data.readers.lines import FilePath, input_errors, open_zip
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

# A file's name (`django.mo`, `de.po`) is a language only if it looks like one.
_STEM = re.compile(r"[a-z]{2,3}([-_@][A-Za-z0-9]+)*")
_CODESET = re.compile(r"\.[^@]*")  # zh_CN.GB2312
# The numbers of the two English forms: "1 file", "100 files". 100 takes the general plural in every language
# we know of; 0, 2 and 5 have special forms in Latvian, Arabic and Irish.
_ONE, _MANY = 1, 100


def read_gettext(
    paths: Iterable[FilePath],
    *,
    source_language: str | None = "en",
    language: str | None = None,
    rename: Mapping[str, str] | None = None,
    skip: Callable[[str], bool] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the translated messages of gettext catalogues.

    Each source message is yielded once, as a record of the source language, before its first translation.

    Fuzzy, obsolete and empty messages, the header, and messages whose translation equals the source are left
    out. A message with a plural yields its singular and its general plural, in one group. If a `.po` has its
    `.mo` beside it, only the `.mo` is read: it has the same text and is much faster to parse.

    The catalogues are read twice. The first pass finds plurals, because "entries" may be the plural of
    "entry" in one catalogue and a message of its own in another; both are then one group. Memory holds one
    catalogue, and about 100 bytes for each different source message.

    Args:
        paths: `.mo` or `.po` files, wheels or zips with such files, or folders, which are searched.
        source_language: the language of the source messages. None: they are keys (`home.title`) and not text,
            and yield no record.
        language: the language of every catalogue. None: the folder (`de/LC_MESSAGES/`), the `Language` header
            or the file name (`de.po`) gives it, in that order.
        rename: replacements of language tags, all in normalised form.
        skip: whether to leave out a language, after `rename`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing, damaged or has no catalogue, or nothing gives a catalogue's language.
    """
    paths = list(paths)
    notes = notes or ImportNotes()
    source = None if source_language is None else normalize_language(source_language)
    joined = _join_plurals(paths)
    seen: set[str] = set()
    for name, label, messages in _catalogues(paths):
        tag = ""
        plural: tuple[int, int] | None = None
        for message in messages:
            header = parse_header(message.texts[0]) if not message.ids[0] else {}
            if not tag:
                tag = notes.normalize(language) if language else _language(name, header, notes)
                tag = (rename or {}).get(tag, tag)
                if skip is not None and skip(tag):
                    break
            if not message.ids[0]:
                plural = _plural(header, name)
                continue
            place = f"{label}:{message.line}" if message.line else label
            translations = _translations(message, plural)
            if message.fuzzy or not translations:
                notes.leave_out(_reason(message), tag, message.texts[0] or message.ids[0], place)
                continue
            group = content_group(joined.get(message.ids[0], message.ids[0]))
            if source is not None and source != tag:
                for text in message.ids:
                    if (key := content_group(text)) not in seen and text.strip():
                        seen.add(key)
                        yield Record(text, source, group, place)
            for text in translations:
                yield Record(text, tag, group, place)


def _join_plurals(paths: Iterable[FilePath]) -> dict[str, str]:
    """For each source text that has a plural or is one: the smallest of the texts it is joined with."""
    sets = DisjointSets[str]()
    for _, _, messages in _catalogues(paths):
        for message in messages:
            if message.fuzzy:
                continue
            for plural in message.ids[1:]:
                sets.union(message.ids[0], plural)
    return sets.smallest_members()


def _translations(message: Message, plural: tuple[int, int] | None) -> list[str]:
    """The translations of a message: of its singular, then of its plural if that differs."""
    last = len(message.texts) - 1
    one, many = (0, last) if plural is None else (min(index, last) for index in plural)
    chosen = (message.texts[one], message.texts[many]) if len(message.ids) > 1 else message.texts[:1]
    return list(dict.fromkeys(text for text in chosen if text.strip() and text not in message.ids))


def _reason(message: Message) -> str:
    """Why a message is left out."""
    if message.fuzzy:
        return "fuzzy translation"
    return "same as the original" if any(text.strip() for text in message.texts) else "not translated"


def _plural(header: Mapping[str, str], name: str) -> tuple[int, int] | None:
    """The plural forms of a language for one and for many; None if the header has no rule."""
    rule = re.search(r"plural\s*=\s*([^;]+)", header.get("plural-forms", "").partition(";")[2])
    if rule is None or rule[1].strip() == "EXPRESSION":
        return None
    try:
        form = gettext.c2py(rule[1])
        return max(form(_ONE), 0), max(form(_MANY), 0)
    except (ValueError, ArithmeticError) as error:
        raise InputError(f"{name}: header field Plural-Forms: {error}") from error


def _language(name: str, header: Mapping[str, str], notes: ImportNotes) -> str:
    path = PurePosixPath(name.replace(os.sep, "/").rpartition(":")[2])  # of wheel:member, the member
    if path.parent.name == "LC_MESSAGES":
        locale = path.parent.parent.name
    elif header.get("language"):
        locale = header["language"]
    elif _STEM.fullmatch(path.stem):
        locale = path.stem
    else:
        raise InputError(
            f"{name}: nothing gives the language: expected a folder LANGUAGE/LC_MESSAGES, a header field "
            "Language, or a file name such as de.po"
        )
    try:
        return notes.normalize(_CODESET.sub("", locale))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _catalogues(paths: Iterable[FilePath]) -> Iterator[tuple[str, str, Iterator[Message]]]:
    """Stream the catalogues, in the order of `paths`, and sorted by name within each.

    Yields:
        A name for error messages; a name for records, which does not depend on parent folders; the messages.
    """
    for path in map(Path, paths):
        if path.is_dir():
            files = _best_forms(
                str(file) for ending in ("mo", "po") for file in path.rglob(f"*.{ending}") if file.is_file()
            )
            if not files:
                raise InputError(f"{path}: expected gettext catalogues (.mo, .po) in this folder, found none")
            for file in files:
                yield file, Path(file).relative_to(path.parent).as_posix(), _parse(_read(file), file)
        elif path.suffix in (".mo", ".po"):
            yield str(path), "/".join(path.parts[-3:]), _parse(_read(path), str(path))
        else:
            with open_zip(path) as archive:
                members = _best_forms(archive.namelist())
                if not members:
                    raise InputError(f"{path}: expected gettext catalogues (.mo, .po) inside, found none")
                for member in members:
                    name = f"{path}:{member}"
                    with input_errors(name):
                        data = archive.read(member)
                    yield name, f"{path.name}:{member}", _parse(data, name)


def _read(path: FilePath) -> bytes:
    with input_errors(path):
        return Path(path).read_bytes()


def _parse(data: bytes, name: str) -> Iterator[Message]:
    return parse_mo(data, name) if name.endswith(".mo") else parse_po(data, name)


def _best_forms(names: Iterable[str]) -> list[str]:
    """The catalogues among `names`, sorted, without a `.po` that has its `.mo` beside it."""
    catalogues = {name for name in names if name.endswith((".mo", ".po"))}
    return sorted(name for name in catalogues if name.endswith(".mo") or f"{name[:-3]}.mo" not in catalogues)
