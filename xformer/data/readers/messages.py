"""The reader of translated messages in JSON: a file for each language, with the same keys in all of them.

Many formats are that: those of i18next, of vue-i18n and Angular's ngx-translate, of Rails in JSON, of browser
extensions (`_locales/de/messages.json`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.archives import Members, open_members
from xformer.data.readers.lines import FilePath
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_TAG = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*", re.ASCII)
_PLACE = "\0"


def read_messages(
    paths: Iterable[FilePath],
    *,
    source_language: str = "en",
    leave_out: re.Pattern[str] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the messages of JSON files that lie beside a file of the source language.

    The language is the file's name or that of a folder (`de.json`, `locales/de/common.json`,
    `common/de-AT.json`): the part of the path that, when it is the source language, names a file too. JSON
    files without such a partner are no messages and are not read. Objects may be nested; a whole file may be
    one object under its language (`{"de": {…}}`); in browser extensions the text is under `message`.

    A message of the source language is yielded once for each key and text, before its translations. Its group
    depends only on its text, as for gettext. Empty messages, those of keys that the source language doesn't
    have, and translations that equal the source are left out.

    Memory holds the files of one language and of the source language.

    Args:
        paths: folders and archives (see `open_members`).
        source_language: the language that the others are translations of.
        leave_out: keys that are no messages, searched in the path of keys, joined by `/`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged or has no such files, or a file of the source language is no
            JSON object.
    """
    notes = notes or ImportNotes()
    for path in paths:
        with open_members(path, lambda name: name.endswith(".json")) as members:
            sets = _sets(members.names, source_language)
            if not sets:
                raise InputError(
                    f"{path}: expected JSON files of messages, one of them in the source language"
                    f" ({source_language}.json), found none"
                )
            for files in sets:
                yield from _messages(members, files, source_language, leave_out, notes)


def _sets(names: Iterable[str], source_language: str) -> list[dict[str, str]]:
    """The files that are translations of each other: names by what their paths say of the language."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        parts = name.removesuffix(".json").split("/")
        for place, part in enumerate(parts):
            if _TAG.fullmatch(part):
                rest = "/".join((*parts[:place], _PLACE, *parts[place + 1 :]))
                found.setdefault(rest, {})[part] = name
    sets, taken = [], set[str]()
    # The part nearest to the end decides where two would do: in `en/web/de.json` the language is `de`.
    for _, files in sorted(found.items(), key=lambda item: (-item[0].index(_PLACE), item[0])):
        files = {part: name for part, name in files.items() if name not in taken}
        if len(files) > 1 and any(_is_source(part, source_language) for part in files):
            taken.update(files.values())
            sets.append(files)
    return sets


def _is_source(part: str, source_language: str) -> bool:
    return _same_tag(part, source_language) or _same_tag(part, f"{source_language}-US")


def _same_tag(one: str, other: str) -> bool:
    return one.replace("_", "-").casefold() == other.replace("_", "-").casefold()


def _messages(
    members: Members,
    files: Mapping[str, str],
    source_language: str,
    leave_out: re.Pattern[str] | None,
    notes: ImportNotes,
) -> Iterator[Record]:
    source = min((part for part in files if _is_source(part, source_language)), key=len)
    label = f"{members.label}:{files[source]}"
    keys = _tree(members.read(files[source]), label, source)
    originals = {key: text for key, text in keys if leave_out is None or not leave_out.search(key)}
    tag = normalize_language(source_language)
    groups = {key: content_group(text) for key, text in originals.items()}
    for key, text in originals.items():
        if text.strip():
            yield Record(text, tag, groups[key], label, id=key)
    for part, name in files.items():
        if part == source:
            continue
        label = f"{members.label}:{name}"
        try:
            language, translations = notes.normalize(part), list(_tree(members.read(name), label, part))
        except InputError as error:
            notes.not_read[label] = str(error).removeprefix(label).lstrip(": ")
            continue
        for key, text in translations:
            original = originals.get(key)
            if original is None or not original.strip() or not text.strip():
                continue
            if text == original:
                notes.leave_out("same as the original", language, text, label)
            else:
                yield Record(text, language, groups[key], label, id=key)


def _tree(data: bytes, label: str, part: str) -> Iterator[tuple[str, str]]:
    """The texts of a file, each with its keys, joined by `/`.

    Raises:
        InputError: it is no JSON object in UTF-8.
    """
    try:
        tree: Any = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{label}: expected JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise InputError(f"{label}: objects are nested too deeply") from error
    if not isinstance(tree, dict):
        raise InputError(f"{label}: expected a JSON object, got {type(tree).__name__}")
    if len(tree) == 1:
        ((key, inner),) = tree.items()
        if isinstance(inner, dict) and _same_tag(key, part):
            tree = inner
    walk: Callable[[Any, tuple[str, ...]], Iterator[tuple[str, str]]]
    walk = _extension_texts if label.endswith("/messages.json") else _texts
    yield from walk(tree, ())


def _texts(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield "/".join(keys), value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*keys, str(number)))


def _extension_texts(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """As `_texts`; of an entry with a `message`, only that: beside it stand notes for translators."""
    for key, entry in value.items() if isinstance(value, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            yield key, entry["message"]
        else:
            yield from _texts(entry, (key,))
