"""A `.po` file whose untranslated messages are filled, and which stays the same byte for byte elsewhere.

polib reads what messages mean. Its writer, as others, wraps lines and orders fields in its own way, so a file
of many translators would change everywhere. Here lines of `msgstr`, and the mark `fuzzy`, are put in the
place of those that stood there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.errors import InputError
from xformer.localization.plurals import PluralForms
from xformer.storage.files import atomic_write

if TYPE_CHECKING:
    import polib

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\b")


@dataclass(frozen=True)
class Message:
    """A message that has no translation.

    Attributes:
        number: which of the catalogue's.
        line: line of the file on which it begins.
        context: what tells it from others with the same text (`msgctxt`); None without.
        text: the original; of a message with a plural the singular.
        plural: the original's plural; None without.
        flags: such as `python-format`.
    """

    number: int
    line: int
    context: str | None
    text: str
    plural: str | None
    flags: tuple[str, ...]


class Catalogue:
    """A `.po` file in memory."""

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            InputError: it is missing, no catalogue, or not in the encoding that it names; or polib is not
                installed.
        """
        try:
            import polib
        except ImportError as error:
            raise InputError(f"{path}: reading .po needs polib: pip install 'xformer[po]'") from error
        self.path = path
        try:
            self._encoding = polib.detect_encoding(str(path), binary_mode=True)
            text = path.read_bytes().decode(self._encoding)
            self._entries = polib.pofile(str(path), encoding=self._encoding)
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: error.start].count(b"\n") + 1
            raise InputError(
                f"{path}, line {line}: expected text in {self._encoding}, as its header says; {error.reason}"
            ) from error
        except (OSError, ValueError, LookupError) as error:
            raise InputError(f"{path}: expected a gettext catalogue (.po); {error}") from error
        self._lines = [match[0] for match in _LINE.finditer(text)]
        if not any(_KEYWORD.match(line) for line in self._lines):
            raise InputError(f"{path}: expected a gettext catalogue (.po); it has no msgid")
        begins = [_begin(entry) for entry in self._entries]
        self._ends = dict(pairwise([*begins, len(self._lines)]))
        self._new: dict[int, Sequence[str]] = {}

    @property
    def language(self) -> str:
        """What the header says; empty if nothing."""
        return str(self._entries.metadata.get("Language", "")).strip()

    def plural_forms(self) -> PluralForms | None:
        """What the header says; None where it says nothing, as a template does.

        Raises:
            InputError: it says what cannot be evaluated.
        """
        header = str(self._entries.metadata.get("Plural-Forms", "")).strip()
        if not header or "INTEGER" in header:
            return None
        try:
            return PluralForms.parse(header)
        except ValueError as error:
            raise InputError(f"{self.path}: Plural-Forms: {error}") from error

    def counts(self) -> dict[str, int]:
        """Messages: `translated`, `fuzzy`, `untranslated`; obsolete ones are not counted."""
        live = [entry for entry in self._entries if not entry.obsolete]
        fuzzy = sum(entry.fuzzy for entry in live)
        empty = sum(_is_empty(entry) and not entry.fuzzy for entry in live)
        return {"translated": len(live) - fuzzy - empty, "fuzzy": fuzzy, "untranslated": empty}

    def untranslated(self) -> list[Message]:
        """Messages without a translation, in order."""
        return [
            Message(
                number,
                _begin(entry) + 1,
                entry.msgctxt,
                entry.msgid,
                entry.msgid_plural or None,
                tuple(entry.flags),
            )
            for number, entry in enumerate(self._entries)
            if entry.msgid and not entry.obsolete and not entry.fuzzy and _is_empty(entry)
        ]

    def fill(self, message: Message, forms: Sequence[str]) -> None:
        """Give a message its translation, and mark it fuzzy.

        Args:
            message: one of `untranslated`.
            forms: all its plural forms, or its only one.

        Raises:
            InputError: a character that the file's encoding lacks.
        """
        try:
            "".join(forms).encode(self._encoding)
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.path}, line {message.line}: {self._encoding} has no {error.object[error.start]!r};"
                " expected a catalogue in UTF-8"
            ) from error
        self._new[message.number] = forms

    def to_bytes(self) -> bytes:
        """The file, with what was filled."""
        lines = list(self._lines)
        for number, forms in sorted(self._new.items(), reverse=True):
            begin = _begin(self._entries[number])
            quoted = [_quoted(form) for form in forms]
            lines[begin : self._ends[begin]] = _filled(lines[begin : self._ends[begin]], quoted)
        return "".join(lines).encode(self._encoding)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        with atomic_write(path, "wb") as file:
            file.write(self.to_bytes())


def _begin(entry: polib.POEntry) -> int:
    """Lines before an entry; polib counts from one, and begins with zero where a file has no comment."""
    return max(0, int(entry.linenum) - 1)


def _is_empty(entry: polib.POEntry) -> bool:
    return not any(entry.msgstr_plural.values()) if entry.msgid_plural else not entry.msgstr


def _quoted(form: str) -> list[str]:
    """A translation in quotes: in one line, or in one for each of its own behind an empty one."""
    from polib import escape

    parts = re.findall(r"[^\n]*\n|[^\n]+", form) or [""]
    return [f'"{escape(part)}"' for part in ([""] if len(parts) > 1 else []) + parts]


def _filled(lines: list[str], forms: Sequence[Sequence[str]]) -> list[str]:
    """The lines of one message with other `msgstr`, whose forms are quoted lines, marked fuzzy."""
    first = next(i for i, line in enumerate(lines) if _KEYWORD.match(line))
    begin = next(i for i, line in enumerate(lines) if line.startswith("msgstr"))
    end = begin + 1
    while end < len(lines) and lines[end].startswith(("msgstr", '"')):
        end += 1
    close = re.search(r"[\r\n]*$", lines[begin])
    ending = close[0] if close is not None and close[0] else "\n"
    plural = any(line.startswith("msgid_plural") for line in lines)
    written: list[str] = []
    for number, quoted in enumerate(forms):
        keyword = f"msgstr[{number}]" if plural else "msgstr"
        written += [f"{keyword} {quoted[0]}", *quoted[1:]]
    if lines[end - 1] and not lines[end - 1].endswith(("\n", "\r")):  # the end of a file without a last break
        body = [line + ending for line in written[:-1]] + written[-1:]
    else:
        body = [line + ending for line in written]
    return [*_marked(lines[:first], ending), *lines[first:begin], *body, *lines[end:]]


def _marked(comments: list[str], ending: str) -> list[str]:
    """Comments with the flag `fuzzy`: in front of other flags, or in a line where gettext has one."""
    for i, line in enumerate(comments):
        if line.startswith("#,"):
            return [*comments[:i], f"#, fuzzy,{line[2:]}", *comments[i + 1 :]]
    place = next((i for i, line in enumerate(comments) if line.startswith("#|")), len(comments))
    return [*comments[:place], f"#, fuzzy{ending}", *comments[place:]]
