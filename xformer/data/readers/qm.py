"""The reader of Qt's compiled catalogues (`.qm`), on disk or in archives.

The group of a message depends only on its source text, as for gettext. Where messages have ids in place of
source texts (`lrelease -idbased`), it is the id, and without either the hash that Qt finds messages by,
together with the name of the application.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from xformer.data.import_notes import ImportNotes
from xformer.data.languages import language_name
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import Member, check_any_read, open_members
from xformer.data.readers.qm_file import QmFile, QmMessage
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_LOCALE = re.compile(r"[a-z]{2,3}([_-]([A-Z][a-z]{3}|[A-Z]{2}|[0-9]{3}))*(@[a-z]+)?")
# The numbers of the two English forms; see `catalogue_files`.
_ONE, _MANY = 1, 100
# An id of a message, such as `settings-la-open` or `home.title`, and what may be one among such: `Open`.
_ID = re.compile(r"\w+([.:/-]+\w+)+|\w+_\w+")
_MAYBE_ID = re.compile(r"[\w.:/-]+")


def is_qm_file(path: str) -> bool:
    """Whether a file is a compiled Qt catalogue, by its name."""
    return path.endswith(".qm")


def read_qm(
    paths: Iterable[FilePath],
    *,
    source_language: str = "en",
    language: str | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the translated messages of Qt's catalogues.

    Each source message is yielded once, as a record of the source language, before its first translation.
    Messages that are empty, or whose translation equals the source, are left out. A message with plural forms
    yields that for one and that for many, in one group.

    A catalogue of ids (`lrelease -idbased`) has the form of any other, with ids for source texts. These tell
    it: no message has a context, all ids are single words, and most look like `settings-la-open`. Ids are no
    records, which `notes` say; the application's English is in a catalogue of its own. Ids of other forms
    (`btnOpen`) cannot be told from words, and are read as source texts.

    Memory holds one catalogue, and about 100 bytes for each different source message.

    Args:
        paths: `.qm` files, or folders, zips, tars or Debian packages that hold them.
        source_language: the language of the source texts.
        language: the language of every catalogue. None: the folder (`de/LC_MESSAGES/`), the file itself, its
            name (`qtbase_de.qm`) or its folder's (`de/app.qm`) gives it, in that order.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or holds no such file; or a file that is named in `paths`,
            or all files of a folder or archive, are damaged or have no known language.
    """
    notes = notes or ImportNotes()
    source_tag = normalize_language(source_language)
    seen: set[str] = set()
    read = 0
    for path in paths:
        with open_members(path, is_qm_file, "Qt catalogues (.qm)") as members:
            for member in members:
                try:
                    file = QmFile.parse(member.read(), member.name)
                    tag = notes.normalize(language) if language else _language(file, member, notes)
                    messages = list(file.messages())
                    forms = file.plural_form(_ONE), file.plural_form(_MANY)
                except InputError as error:
                    member.refuse(error, notes)
                    continue
                read += 1
                application, by_id = _application(member), _has_ids(messages)
                for message in messages:
                    translations = _translations(message, forms)
                    if not translations:
                        text = next((text for text in message.texts if text), "")
                        reason = "same as the original" if text.strip() else "not translated"
                        notes.leave_out(reason, tag, text or message.source or "", member.label)
                        continue
                    if message.source is None:
                        group = content_group("qm", application, f"{message.hash:08x}")
                    elif by_id:
                        group = content_group("qm", application, message.source)
                        if group not in seen:
                            seen.add(group)
                            reason = "id in place of a source text"
                            notes.leave_out(reason, source_tag, message.source, member.label)
                    else:
                        group = content_group(message.source)
                        if source_tag != tag and message.source.strip() and group not in seen:
                            seen.add(group)
                            yield Record(message.source, source_tag, group, member.label)
                    for text in translations:
                        yield Record(text, tag, group, member.label)
    check_any_read(notes, read, "Qt catalogues")


def _has_ids(messages: Sequence[QmMessage]) -> bool:
    """Whether the source texts of a catalogue are ids."""
    found = [message.source for message in messages if message.source]
    if not found or any(message.context or message.comment for message in messages):
        return False
    looks = sum(_ID.fullmatch(source) is not None for source in found)
    return 2 * looks > len(found) and all(map(_MAYBE_ID.fullmatch, found))


def _translations(message: QmMessage, forms: tuple[int | None, int | None]) -> list[str]:
    """The translations of a message: for one, then for many if that differs."""
    last = len(message.texts) - 1
    chosen = (
        [message.texts[last if form is None else min(form, last)] for form in forms]
        if last > 0
        else [*message.texts]
    )
    texts = [text for text in chosen if text and text.strip() and text != message.source]
    return list(dict.fromkeys(texts))


def _places(member: Member) -> PurePosixPath:
    """Where a file lies, with the folders above; of a file that the user named, the absolute ones."""
    return PurePosixPath(Path(member.path).absolute().as_posix() if member.is_given else member.path)


def _locales(stem: str) -> Mapping[str, str]:
    """The ends of a file's name that look like a locale, longest first, each with what stands before it."""
    starts = [0, *(match.end() for match in re.finditer(r"[_.-]", stem))]
    return {stem[start:]: stem[:start] for start in starts if _LOCALE.fullmatch(stem[start:])}


def _known(locale: str) -> bool:
    tag = normalize_language(locale)
    return language_name(tag) != tag


def _language(file: QmFile, member: Member, notes: ImportNotes) -> str:
    """The tag of a file's language.

    Raises:
        InputError: nothing gives it.
    """
    path = _places(member)
    given = [path.parent.parent.name] if path.parent.name == "LC_MESSAGES" else []
    given += [file.language] if file.language else []
    given += [locale for locale in _locales(path.stem) if _known(locale)][:1]
    given += [path.parent.name] if _LOCALE.fullmatch(path.parent.name) and _known(path.parent.name) else []
    if not given:
        raise InputError(
            f"{member.name}: nothing gives the language: expected a folder LANGUAGE/LC_MESSAGES, or a name "
            "such as qtbase_de.qm or de/app.qm"
        )
    try:
        return notes.normalize(given[0])
    except InputError as error:
        raise InputError(f"{member.name}: {error}") from error


def _application(member: Member) -> str:
    """The name of a file without its language, which catalogues of one application have in common."""
    stem = _places(member).stem
    return next((before for locale, before in _locales(stem).items() if _known(locale)), stem)
