"""The reader of gettext catalogues, compiled (`.mo`) or source (`.po`), in files, folders or archives.

The group of a message depends only on its source text. So the same source message is one group in all
catalogues, packages and contexts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from xformer.data.groups import DisjointSets
from xformer.data.import_notes import ImportNotes
from xformer.data.readers.catalogue import Message
from xformer.data.readers.catalogue_files import find_catalogues
from xformer.data.readers.contexts import Contexts
from xformer.data.readers.lines import FilePath
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

# What GNOME and KDE ask translators to translate by their own names and addresses.
_TRANSLATORS = re.compile(
    r"translators?[-_]credits?|your (names|e-?mails)|(.*\b)?(name|e-?mail|role|task)s? of translators\b.*",
    re.IGNORECASE | re.DOTALL,
)
_REMEMBERED = 1 << 15


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
    out. So are names and addresses of translators (the translations of "Your names", "translator-credits"),
    and the English that gettext makes of the source with other quotation marks (`en@quot`). A message with a
    plural yields its singular and its general plural, in one group. If a `.po` has its `.mo` beside it, only
    the `.mo` is read: it has the same text and is much faster to parse.

    A context before a source text is no text: `female^Archer` is read as `Archer`, where its translations
    have no `^` (`xformer.data.readers.contexts`).

    A catalogue of a folder or an archive that is damaged, or has no known language, is left out as a whole,
    and noted in `notes.not_read`. One that is named in `paths` must be readable.

    The catalogues are read twice. The first pass finds plurals, because "entries" may be the plural of
    "entry" in one catalogue and a message of its own in another; both are then one group. Memory holds one
    catalogue, and about 100 bytes for each different source message.

    Args:
        paths: `.mo` or `.po` files, or folders, wheels, zips, tars or Debian packages that hold some.
        source_language: the language of the source messages. None: they are keys (`home.title`) and not text,
            and yield no record.
        language: the language of every catalogue. None: the folder (`de/LC_MESSAGES/`), the `Language` header
            or the file name (`de.po`) gives it, in that order.
        rename: replacements of language tags, all in normalised form.
        skip: whether to leave out a language, after `rename`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing, damaged or has no catalogue, nothing gives the language of a catalogue
            in `paths`, or no catalogue can be read.
    """
    paths = list(paths)
    notes = notes or ImportNotes()
    source = None if source_language is None else normalize_language(source_language)
    contexts = Contexts()
    joined, readable = _survey(paths, language, notes, None if source is None else contexts)
    seen: set[str] = set()
    # A source message comes again in each language.
    group_of, is_of_translators = (
        lru_cache(_REMEMBERED)(content_group),
        lru_cache(_REMEMBERED)(_names_translators),
    )
    for catalogue in find_catalogues(paths):
        if catalogue.name not in readable:
            continue
        if not (messages := catalogue.messages()):
            continue
        tag = notes.normalize(language) if language else catalogue.language(messages, notes)
        tag = (rename or {}).get(tag, tag)
        if skip is not None and skip(tag):
            continue
        plural = catalogue.plural(messages)
        of_file = "English in other quotation marks" if catalogue.is_quoted_english(messages) else None
        for message in map(contexts.without, messages):
            if not message.ids[0]:
                continue
            place = f"{catalogue.label}:{message.line}" if message.line else catalogue.label
            translations = _translations(message, plural)
            names = is_of_translators(message.ids[0]) or is_of_translators(message.context or "")
            if reason := of_file or _reason(message, translations, names):
                notes.leave_out(reason, tag, message.texts[0] or message.ids[0], place)
                continue
            group = group_of(joined.get(message.ids[0], message.ids[0]))
            if source is not None and source != tag:
                for text in message.ids:
                    if (key := group_of(text)) not in seen and text.strip():
                        seen.add(key)
                        yield Record(text, source, group, place)
            for text in translations:
                yield Record(text, tag, group, place)


def _survey(
    paths: Sequence[FilePath], language: str | None, notes: ImportNotes, contexts: Contexts | None
) -> tuple[dict[str, str], set[str]]:
    """Read all catalogues once.

    Args:
        paths: as for `read_gettext`.
        language: as for `read_gettext`.
        notes: gets the catalogues that cannot be read.
        contexts: sees all messages; None where source messages are keys.

    Returns:
        For each source text that has a plural or is one, the smallest of the texts it is joined with. The
        names of the catalogues that can be read.
    """
    sets, readable = DisjointSets[str](), set[str]()
    for catalogue in find_catalogues(paths):
        try:
            messages = catalogue.messages(_is_surveyed)
            if language is None and messages:
                catalogue.language(messages, notes)
            catalogue.plural(messages)
        except InputError as error:
            if catalogue.is_given:
                raise
            notes.not_read[catalogue.label] = str(error).removeprefix(catalogue.name).lstrip(": ")
            continue
        readable.add(catalogue.name)
        for message in messages:
            if contexts is not None and contexts.see(message):
                continue
            for plural in () if message.fuzzy else message.ids[1:]:
                sets.union(message.ids[0], plural)
    for singular, *plurals in () if contexts is None else contexts.plurals():
        for plural in plurals:
            sets.union(singular, plural)
    if notes.not_read and not readable:
        label, reason = next(iter(notes.not_read.items()))
        raise InputError(f"none of {len(notes.not_read)} catalogues can be read, such as {label}: {reason}")
    return sets.smallest_members(), readable


def _is_surveyed(source: bytes) -> bool:
    """Whether the first pass looks at a source text: it is the header, has a plural, or maybe a context."""
    return not source or b"\0" in source or b"^" in source


def _translations(message: Message, plural: tuple[int, int] | None) -> list[str]:
    """The translations of a message: of its singular, then of its plural if that differs."""
    last = len(message.texts) - 1
    one, many = (0, last) if plural is None else (min(index, last) for index in plural)
    chosen = (message.texts[one], message.texts[many]) if len(message.ids) > 1 else message.texts[:1]
    return list(dict.fromkeys(text for text in chosen if text.strip() and text not in message.ids))


def _names_translators(text: str) -> bool:
    """Whether translators put their own names or addresses in place of a source text or context."""
    return _TRANSLATORS.fullmatch(text.strip()) is not None


def _reason(message: Message, translations: Sequence[str], names_translators: bool) -> str | None:
    """Why a message is left out; None if it stays."""
    if message.fuzzy:
        return "fuzzy translation"
    if names_translators:
        return "names of translators"
    if translations:
        return None
    return "same as the original" if any(text.strip() for text in message.texts) else "not translated"
