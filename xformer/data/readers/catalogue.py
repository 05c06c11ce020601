r"""Parsers of gettext catalogues, compiled (`.mo`) and source (`.po`), into messages.

These parsers give the same messages for both forms, and name the file and line of damage. The standard
library's `gettext.GNUTranslations` does not keep the plural source text.

Format: GNU gettext manual, "The Format of GNU MO Files" and "The Format of PO Files".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from xformer.data.readers.mo_file import mo_strings
from xformer.errors import InputError

_CHARSET = re.compile(rb"charset=([^\s;\\\"]+)", re.IGNORECASE)
_TYPE = re.compile(rb"^content-type:.*(?:\n[ \t]+.*)*", re.IGNORECASE | re.MULTILINE)
_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\s*\[\s*[0-9]+\s*\])?)\s*(?=\"|$)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*')
_STRINGS = re.compile(rf"(?:{_STRING.pattern})*")
# As in C, \x takes all the hexadecimal digits that follow; the last two count.
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]+|[0-7]{1,3}|.)")
_ESCAPED = {
    "n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a catalogue.

    Attributes:
        ids: the source text, or its singular and plural. The header has an empty first one.
        texts: the translation, one string per plural form of the language.
        line: where it begins in a `.po`; 0 for a `.mo`, which has no lines.
        fuzzy: whether a `.po` marks the translation as unsure.
        context: what tells it from messages with the same source text; None if it has none.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    line: int = 0
    fuzzy: bool = False
    context: str | None = None


def parse_mo(
    data: bytes, name: str, wanted: Callable[[bytes], bool] = lambda source: True
) -> Iterator[Message]:
    """Stream the messages of a compiled catalogue of either byte order.

    Args:
        data: the file's bytes.
        name: its name in error messages.
        wanted: whether to make a message of a source text, which may have a context and a plural; of what is
            not wanted, only the character set is checked.

    Raises:
        InputError: not a `.mo` file, truncated, or not in the character set of its header.
    """
    strings = list(mo_strings(data, name))
    charset = _charset(next((text for source, text in strings if not source), b""), name)
    for number, (raw_id, raw_text) in enumerate(strings, 1):
        try:
            joined, text = raw_id.decode(charset), raw_text.decode(charset)
        except UnicodeError as error:
            raise InputError(
                f"{name}: message {number} of {len(strings)} is not {charset}: {error}"
            ) from error
        if not wanted(raw_id):
            continue
        # A context may stand before \x04 in the source text; the translation has none.
        first, *plurals = joined.split("\0")
        context, separator, source = first.partition("\x04")
        ids = (source if separator else first, *plurals)
        if ids[0] or not raw_id:
            yield Message(ids, tuple(text.split("\0")), context=context if separator else None)


def parse_po(data: bytes, name: str) -> Iterator[Message]:
    """Stream the messages of a source catalogue, without obsolete ones.

    Args:
        data: the file's bytes.
        name: its name in error messages.

    Raises:
        InputError: a line is not `.po` syntax, or not in the header's character set, or the plural forms of a
            message are not numbered from 0; the message names the line.
    """
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    charset = _charset(_raw_header(lines), name)
    entry = _Entry()
    for number, raw in enumerate(lines, 1):
        stripped = raw.strip()
        if not stripped:
            continue
        if stripped.startswith(b"#"):  # may be in any character set
            if entry.is_translated:
                yield from entry.message(name, charset)
                entry = _Entry()
            if stripped.startswith(b"#~"):  # an obsolete entry, to which the flags before it belong
                entry.fuzzy = False
            entry.fuzzy |= stripped.startswith(b"#,") and b"fuzzy" in re.split(rb"[,\s]+", stripped)
            continue
        try:
            line = raw.decode(charset).strip()
        except UnicodeError as error:
            raise InputError(f"{name}:{number}: expected {charset}: {error}") from error
        if match := _KEYWORD.match(line):
            keyword = "".join(match[1].split())
            if keyword in ("msgctxt", "msgid") and entry.is_translated:
                yield from entry.message(name, charset)
                entry = _Entry()
            entry.begin(keyword, name, number)
            line = line[match.end() :]
        if not entry.field or not _STRINGS.fullmatch(line):
            shown = raw.decode(charset).strip()[:60]
            raise InputError(f'{name}:{number}: expected msgid, msgstr or a "string", got {shown!r}')
        for text in _STRING.finditer(line):
            entry.fields[entry.field] += _unescape(text[1], f"{name}:{number}")
    yield from entry.message(name, charset)


@dataclass(slots=True)
class _Entry:
    """The entry of a `.po` that is being read.

    Attributes:
        fields: for each keyword, the pieces of its text. Escaped bytes are a piece of their own.
        field: the keyword that a bare "string" line continues.
        began: its first line.
        fuzzy: whether it is marked so.
    """

    fields: dict[str, list[str | bytes]] = field(default_factory=dict)
    field: str = ""
    began: int = 0
    fuzzy: bool = False

    @property
    def is_translated(self) -> bool:
        """Whether its last part, the translation, has begun."""
        return self.field.startswith("msgstr")

    def begin(self, keyword: str, name: str, number: int) -> None:
        """Begin a part of the entry in line `number`."""
        if keyword in self.fields:
            raise InputError(f"{name}:{number}: a second {keyword} in the entry of line {self.began}")
        self.began = self.began if self.fields else number
        self.fields[keyword] = []
        self.field = keyword

    def message(self, name: str, charset: str) -> Iterator[Message]:
        """Yield its message, if there is one."""
        if not self.fields:
            return
        forms = [key for key in self.fields if key.startswith("msgstr")]
        if "msgid" not in self.fields or not forms:
            missing = "msgstr" if "msgid" in self.fields else "msgid"
            raise InputError(f"{name}:{self.began}: this entry has no {missing}")
        forms.sort(key=lambda key: (len(key), key))  # msgstr[10] comes after msgstr[9]
        if forms not in (["msgstr"], [f"msgstr[{number}]" for number in range(len(forms))]):
            expected = ", ".join(f"msgstr[{number}]" for number in range(len(forms)))
            raise InputError(f"{name}:{self.began}: expected {expected}, got {', '.join(forms)}")
        ids = tuple(self._text(key, name, charset) for key in ("msgid", "msgid_plural") if key in self.fields)
        context = self._text("msgctxt", name, charset) if "msgctxt" in self.fields else None
        if not ids[0] and context is not None:
            return
        texts = tuple(self._text(key, name, charset) for key in forms)
        # The header is needed even if it is marked fuzzy, as in templates.
        yield Message(ids, texts, self.began, self.fuzzy and bool(ids[0]), context)

    def _text(self, key: str, name: str, charset: str) -> str:
        """The text of a part. Escaped bytes are of the file's character set: each may be half a character."""
        parts = self.fields[key]
        try:
            if all(isinstance(part, str) for part in parts):
                return "".join(cast(list[str], parts))
            return b"".join(p.encode(charset) if isinstance(p, str) else p for p in parts).decode(charset)
        except UnicodeError as error:
            raise InputError(f"{name}:{self.began}: {key}: expected {charset}: {error}") from error


def _raw_header(lines: Iterable[bytes]) -> bytes:
    """The header of a `.po`, the translation of the empty msgid, before its character set is known."""
    fields: dict[bytes, bytes] = {}
    keyword = b""

    def is_header() -> bool:
        return fields.get(b"msgid") == b"" and b"msgctxt" not in fields

    for line in lines:
        line = line.strip()
        if line.startswith(b"#"):
            continue
        before, _, string = line.partition(b'"')
        if began := before.strip():
            if keyword == b"msgstr" and is_header():
                break
            if began in (b"msgctxt", b"msgid") and keyword.startswith(b"msgstr"):
                fields = {}
            keyword = began
        fields[keyword] = fields.get(keyword, b"") + string.rpartition(b'"')[0]
    return fields.get(b"msgstr", b"").replace(b"\\n", b"\n") if is_header() else b""


def parse_header(text: str) -> dict[str, str]:
    """The fields of a catalogue's header, by lower-case name."""
    fields = (line.partition(":") for line in text.split("\n"))
    return {key.strip().lower(): value.strip() for key, colon, value in fields if colon}


def _charset(header: bytes, name: str) -> str:
    """The character set that a header names; UTF-8 if it names none or has the placeholder of templates."""
    kind = _TYPE.search(header)
    match = (_CHARSET.search(kind[0]) if kind else None) or _CHARSET.search(header)
    charset = match[1].decode("ascii", "replace").lower() if match else "utf-8"
    if charset == "charset":
        return "utf-8"
    try:
        "".encode(charset)
    except (LookupError, ValueError) as error:
        raise InputError(f"{name}: the header names an unknown character set: {charset!r}") from error
    return charset


def _unescape(text: str, place: str) -> list[str | bytes]:
    """The pieces of a string of a `.po`; bytes that are escaped by their numbers are pieces of their own."""
    if "\\" not in text:
        return [text]
    pieces: list[str | bytes] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        pieces.append(text[end : match.start()])
        end, code = match.end(), match[1]
        if code in _ESCAPED:
            pieces.append(_ESCAPED[code])
        elif code[0] in "01234567":
            pieces.append(bytes([int(code, 8) & 0xFF]))
        elif code[0] == "x" and len(code) > 1:
            pieces.append(bytes([int(code[1:], 16) & 0xFF]))
        else:
            raise InputError(f"{place}: unknown escape {match[0]!r}")
    return [*pieces, text[end:]]
