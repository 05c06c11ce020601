r"""Parsers of gettext catalogues, compiled (`.mo`) and source (`.po`), into messages.

These parsers give the same messages for both forms, and name the file and line of damage. The standard
library's `gettext.GNUTranslations` does not keep the plural source text.

Format: GNU gettext manual, "The Format of GNU MO Files" and "The Format of PO Files".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from xformer.errors import InputError

_MO_MAGIC = 0x950412DE
_CHARSET = re.compile(rb"content-type:[^\n]*?charset=([^\s;\\\"]+)", re.IGNORECASE)
_ENTRY = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s*(".*")\s*')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
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
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    line: int = 0
    fuzzy: bool = False


def parse_mo(data: bytes, name: str) -> Iterator[Message]:
    """Stream the messages of a compiled catalogue of either byte order.

    Args:
        data: the file's bytes.
        name: its name in error messages.

    Raises:
        InputError: not a `.mo` file, truncated, or not in the character set of its header.
    """
    for order in "<>":
        if len(data) >= 20 and struct.unpack(f"{order}I", data[:4])[0] == _MO_MAGIC:
            break
    else:
        raise InputError(f"{name}: expected a gettext .mo file, this begins with {data[:4].hex(' ')}")
    revision, count, ids_at, texts_at = struct.unpack(f"{order}4I", data[4:20])
    if revision >> 16 > 1:
        raise InputError(f"{name}: expected .mo format 0 or 1, got {revision >> 16}")
    if max(ids_at, texts_at) + 8 * count > len(data):
        raise InputError(f"{name}: truncated: {len(data)} bytes do not hold the tables of {count} messages")
    id_table = struct.unpack_from(f"{order}{2 * count}I", data, ids_at)
    text_table = struct.unpack_from(f"{order}{2 * count}I", data, texts_at)

    def string(table: tuple[int, ...], index: int) -> bytes:
        length, start = table[2 * index : 2 * index + 2]
        if start + length > len(data):
            raise InputError(f"{name}: truncated: message {index + 1} of {count} ends after the file")
        return data[start : start + length]

    charset = "utf-8"
    for index in range(count):
        raw_id, raw_text = string(id_table, index), string(text_table, index)
        if not raw_id:  # the table is sorted, so the header comes first
            charset = _charset(raw_text, name)
        try:
            # A context may stand before \x04 in the source text; the translation has none.
            source = raw_id.decode(charset).rpartition("\x04")[2]
            text = raw_text.decode(charset)
        except UnicodeError as error:
            raise InputError(f"{name}: message {index + 1} of {count} is not {charset}: {error}") from error
        if source or not raw_id:
            yield Message(tuple(source.split("\0")), tuple(text.split("\0")))


def parse_po(data: bytes, name: str) -> Iterator[Message]:
    """Stream the messages of a source catalogue, without obsolete ones.

    Args:
        data: the file's bytes.
        name: its name in error messages.

    Raises:
        InputError: a line is not `.po` syntax, or not in the header's character set; the message names it.
    """
    charset = _charset(data[:65536], name)
    fields: dict[str, str] = {}
    field = ""  # the field that a bare "string" line continues
    fuzzy = False
    began = 0
    number = 0

    def finish() -> Iterator[Message]:
        if not fields:
            return
        forms = [key for key in fields if key.startswith("msgstr")]
        if "msgid" not in fields or not forms:
            missing = "msgstr" if "msgid" in fields else "msgid"
            raise InputError(f"{name}:{began}: this entry has no {missing}")
        ids = tuple(fields[key] for key in ("msgid", "msgid_plural") if key in fields)
        if not ids[0] and "msgctxt" in fields:
            return
        # The header is needed even if it is marked fuzzy, as in templates.
        yield Message(ids, tuple(fields[key] for key in forms), began, fuzzy and bool(ids[0]))

    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.decode(charset).strip()
        except UnicodeError as error:
            raise InputError(f"{name}:{number}: expected {charset}: {error}") from error
        if not line:
            continue
        if line.startswith("#"):
            if field.startswith("msgstr"):
                yield from finish()
                fields, field, fuzzy = {}, "", False
            if line.startswith("#~"):  # an obsolete entry, to which the flags before it belong
                fuzzy = False
            fuzzy |= line.startswith("#,") and "fuzzy" in re.split(r"[,\s]+", line)
            continue
        if match := _ENTRY.fullmatch(line):
            keyword, quoted = match.groups()
            if keyword in ("msgctxt", "msgid") and field.startswith("msgstr"):
                yield from finish()
                fields, fuzzy = {}, False
            if keyword in fields:
                raise InputError(f"{name}:{number}: a second {keyword} in the entry of line {began}")
            began = began if fields else number
            fields[keyword] = ""
            field = keyword
        else:
            quoted = line
        text = _QUOTED.fullmatch(quoted)
        if text is None or not field:
            raise InputError(f'{name}:{number}: expected msgid, msgstr or a "string", got {line[:60]!r}')
        fields[field] += _unescape(text[1], f"{name}:{number}")
    yield from finish()


def parse_header(text: str) -> dict[str, str]:
    """The fields of a catalogue's header, by lower-case name."""
    fields = (line.partition(":") for line in text.split("\n"))
    return {key.strip().lower(): value.strip() for key, colon, value in fields if colon}


def _charset(header: bytes, name: str) -> str:
    """The character set that a header names; UTF-8 if it names none or has the placeholder of templates."""
    match = _CHARSET.search(header)
    charset = match[1].decode("ascii", "replace").lower() if match else "utf-8"
    if charset == "charset":
        return "utf-8"
    try:
        "".encode(charset)
    except (LookupError, ValueError) as error:
        raise InputError(f"{name}: the header names an unknown character set: {charset!r}") from error
    return charset


def _unescape(text: str, place: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPED:
            return _ESCAPED[code]
        if code[0] in "01234567":
            return chr(int(code, 8))
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        raise InputError(f"{place}: unknown escape {match[0]!r}")

    return _ESCAPE.sub(replace, text) if "\\" in text else text
