"""The reader of translated messages in JSON: a file for each language, with the same keys in all of them.

Many formats are that: those of i18next, of vue-i18n and Angular's ngx-translate, of Rails in JSON, of browser
extensions (`_locales/de/messages.json`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import PurePath
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import Member, open_members
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_TAG = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*", re.ASCII)
_PLACE = "\0"


def read_messages(
    paths: Iterable[FilePath],
    *,
    languages: Collection[str] | None = None,
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
        paths: folders, archives, or the files themselves, side by side in their folders.
        languages: keep only these besides the source language; None: all.
        source_language: the language that the others are translations of.
        leave_out: keys that are no messages, searched in the path of keys, joined by `/`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, there are no such files, or a file of the source language is
            no JSON object.
    """
    paths, notes = list(paths), notes or ImportNotes()
    wanted = None if languages is None else {normalize_language(language) for language in languages}
    with ExitStack() as stack:
        files: dict[str, Member] = {}
        for number, path in enumerate(paths):
            members = open_members(path, is_messages_file, "files of messages (.json)")
            for member in stack.enter_context(members):
                files[member.path if member.is_given else f"{number}:/{member.path}"] = member
        sets = _sets(files, source_language)
        if not sets:
            raise InputError(
                f"{', '.join(map(str, paths))}: expected JSON files of messages, one of them in the source"
                f" language ({source_language}.json), found none"
            )
        for translations in sets:
            found = {part: files[name] for part, name in translations.items()}
            yield from _messages(found, source_language, wanted, leave_out, notes)


def is_messages_file(path: str) -> bool:
    """Whether a file may hold messages, by its path: whether it is JSON."""
    return path.endswith(".json")


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
    return _same_tag(part, source_language) or _same_tag(
        part[: len(source_language) + 1], f"{source_language}-"
    )


def _same_tag(one: str, other: str) -> bool:
    return one.replace("_", "-").casefold() == other.replace("_", "-").casefold()


def _messages(
    files: Mapping[str, Member],
    source_language: str,
    wanted: Collection[str] | None,
    leave_out: re.Pattern[str] | None,
    notes: ImportNotes,
) -> Iterator[Record]:
    # `en` before `en-US`, and `en-US` before other regions: some projects have only `en_GB` or `en_EN`.
    sources = [part for part in files if _is_source(part, source_language)]
    source = min(sources, key=lambda part: (len(part), not _same_tag(part, f"{source_language}-US"), part))
    keys = _tree(files[source], source)
    originals = {key: text for key, text in keys if leave_out is None or not leave_out.search(key)}
    tag = normalize_language(source_language)
    groups = {key: content_group(text) for key, text in originals.items()}
    for key, text in originals.items():
        if text.strip():
            yield Record(text, tag, groups[key], files[source].label, id=key)
    for part, file in files.items():
        if part == source:
            continue
        try:
            language, translations = notes.normalize(part), list(_tree(file, part))
        except InputError as error:
            file.refuse(error, notes)
            continue
        if wanted is not None and language not in wanted:
            continue
        for key, text in translations:
            original = originals.get(key)
            if original is None or not original.strip():
                continue
            if not text.strip():
                notes.leave_out("no text", language, text, file.label)
            elif text == original:
                notes.leave_out("same as the original", language, text, file.label)
            else:
                yield Record(text, language, groups[key], file.label, id=key)


def _tree(file: Member, part: str) -> Iterator[tuple[str, str]]:
    """The texts of a file, each with its keys, joined by `/`.

    Raises:
        InputError: it is no JSON object in UTF-8.
    """
    try:
        tree: Any = json.loads(file.read().decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{file.name}: expected JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise InputError(f"{file.name}: objects are nested too deeply") from error
    if not isinstance(tree, dict):
        raise InputError(f"{file.name}: expected a JSON object, got {type(tree).__name__}")
    if len(tree) == 1:
        ((key, inner),) = tree.items()
        if isinstance(inner, dict) and _same_tag(key, part):
            tree = inner
    walk: Callable[[Any, tuple[str, ...]], Iterator[tuple[str, str]]]
    walk = _extension_texts if PurePath(file.path).name == "messages.json" else _texts
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
