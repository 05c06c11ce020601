"""The gettext catalogues in files, folders and archives, and the languages that their places give."""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.catalogue import Message, parse_header, parse_mo, parse_po
from xformer.data.readers.lines import FilePath, input_errors
from xformer.data.readers.members import open_members
from xformer.errors import InputError

# A file's name (`django.mo`, `de.po`) is a language only if it looks like one.
_STEM = re.compile(r"[a-z]{2,3}([-_@][A-Za-z0-9]+)*")
_CODESET = re.compile(r"\.[^@]*")  # zh_CN.GB2312
# gettext makes these catalogues itself, of the English source: with “ ” ‘ ’ around words, or bold ones.
_QUOTES = re.compile(r"en(_[A-Z]+)?(\.[^@]*)?@(bold)?quot")
# The numbers of the two English forms: "1 file", "100 files". 100 takes the general plural in every language
# we know of; 0, 2 and 5 have special forms in Latvian, Arabic and Irish.
_ONE, _MANY = 1, 100


@dataclass(frozen=True)
class CatalogueFile:
    """A catalogue in a file or an archive.

    Attributes:
        name: for error messages.
        label: for records; it begins with the name of the path's `Source` in the manifest.
        is_given: whether the user named it, and not a folder or an archive that holds it.
        read: its bytes.
    """

    name: str
    label: str
    is_given: bool
    read: Callable[[], bytes]

    def messages(self, wanted: Callable[[bytes], bool] = lambda source: True) -> list[Message]:
        """The messages of the catalogue.

        Args:
            wanted: of a `.mo`, which to read (`parse_mo`); of a `.po`, all are.

        Raises:
            InputError: it cannot be read, or is damaged.
        """
        with input_errors(self.name):
            data = self.read()
        is_compiled = self.name.endswith(".mo")
        return list(parse_mo(data, self.name, wanted) if is_compiled else parse_po(data, self.name))

    def locale(self, messages: Iterable[Message]) -> str | None:
        """The locale of the folder (`de/LC_MESSAGES/`), the header or the file's name, in that order."""
        path = PurePosixPath(self.name.replace(os.sep, "/").rpartition(":")[2])  # of wheel:member, the member
        if path.parent.name == "LC_MESSAGES":
            return path.parent.parent.name
        header = _header(messages)
        if header.get("language"):
            return header["language"]
        return path.stem if _STEM.fullmatch(path.stem) else None

    def is_quoted_english(self, messages: Iterable[Message]) -> bool:
        """Whether it is the English source with other quotation marks, `en@quot` or `en@boldquot`."""
        return _QUOTES.fullmatch(self.locale(messages) or "") is not None

    def language(self, messages: Iterable[Message], notes: ImportNotes) -> str:
        """The tag of its locale.

        Raises:
            InputError: there is no locale, or it is no language tag.
        """
        locale = self.locale(messages)
        if locale is None:
            raise InputError(
                f"{self.name}: nothing gives the language: expected a folder LANGUAGE/LC_MESSAGES, a header "
                "field Language, or a file name such as de.po"
            )
        try:
            if _QUOTES.fullmatch(locale):
                return notes.normalize("en")
            return notes.normalize(_CODESET.sub("", locale))
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def plural(self, messages: Iterable[Message]) -> tuple[int, int] | None:
        """The plural forms of its language for one and for many; None if the header has no rule.

        Raises:
            InputError: the rule cannot be computed.
        """
        field = _header(messages).get("plural-forms", "")
        rule = re.search(r"plural\s*=\s*([^;]+)", field.partition(";")[2])
        if rule is None or rule[1].strip() == "EXPRESSION":
            return None
        try:
            return _plural_forms(rule[1])
        except (ValueError, ArithmeticError) as error:
            raise InputError(f"{self.name}: header field Plural-Forms: {error}") from error


def find_catalogues(paths: Iterable[FilePath]) -> Iterator[CatalogueFile]:
    """Stream the catalogues, in the order of `paths`, and sorted by name within each folder or archive.

    Raises:
        InputError: a folder or an archive has no catalogue, or an archive is missing or damaged.
    """
    for path in map(Path, paths):
        if path.is_dir():
            files = catalogue_files(path)
            if not files:
                raise InputError(f"{path}: expected gettext catalogues (.mo, .po) in this folder, found none")
            for file in files:
                # A source of the manifest has the folder's name, and a text's place begins with it.
                label = f"{path.absolute().name or path}:{file.relative_to(path).as_posix()}"
                yield CatalogueFile(str(file), label, False, file.read_bytes)
        elif path.suffix in (".mo", ".po"):
            yield CatalogueFile(str(path), path.name, True, path.read_bytes)
        else:
            yield from _members(path)


def catalogue_files(folder: Path) -> list[Path]:
    """The catalogues in a folder and those below, sorted, without a `.po` that has its `.mo` beside it."""
    found = [file for ending in ("mo", "po") for file in folder.rglob(f"*.{ending}") if file.is_file()]
    return [Path(name) for name in _best_forms(map(str, found))]


def _members(path: Path) -> Iterator[CatalogueFile]:
    """The catalogues in an archive."""
    with open_members(path, _is_catalogue, "gettext catalogues (.mo, .po)") as members:
        if members[0].is_given:
            raise InputError(
                f"{path}: expected a catalogue (.mo, .po), or a folder, a zip, a tar or a .deb that has some"
            )
        files = {member.path: member for member in members}
        for name in _best_forms(files):
            member = files[name]
            yield CatalogueFile(member.name, member.label, False, member.read)


def _is_catalogue(name: str) -> bool:
    return name.endswith((".mo", ".po"))


def _best_forms(names: Iterable[str]) -> list[str]:
    catalogues = set(filter(_is_catalogue, names))
    return sorted(name for name in catalogues if name.endswith(".mo") or f"{name[:-3]}.mo" not in catalogues)


@lru_cache(maxsize=1024)  # catalogues share rules, and each is compiled as code
def _plural_forms(rule: str) -> tuple[int, int]:
    """The forms for one and for many by a rule in C; raises what `gettext.c2py` and the rule itself raise."""
    form = gettext.c2py(rule)
    return max(form(_ONE), 0), max(form(_MANY), 0)


def _header(messages: Iterable[Message]) -> dict[str, str]:
    return next((parse_header(message.texts[0]) for message in messages if not message.ids[0]), {})
