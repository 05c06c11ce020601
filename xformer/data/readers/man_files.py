"""Where manual pages lie, and what their places say: name, section, language and character set."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from xformer.data.import_notes import ImportNotes
from xformer.data.languages import language_name
from xformer.data.readers.lines import input_errors
from xformer.data.readers.members import Member
from xformer.errors import InputError

_FOLDER = re.compile(r"man[0-9a-z]+")
_NAME = re.compile(r"(?P<name>[^/]+\.[0-9nl][0-9a-zA-Z]{0,7})(?:\.(?:gz|bz2|xz|lzma|zst))?")
_LOCALE = re.compile(r"(?P<language>[a-z]{2,3}(?:_[A-Z]{2})?)(?:\.(?P<charset>[^@]+))?(?P<modifier>@\w+)?")
_CODING = re.compile(rb"-\*-.*?\bcoding:\s*([\w.-]+).*?-\*-")
_SO = re.compile(r"[.']\s*so\s+(\S+)")
# What pages of a language were written in before UTF-8, as man-db knows it; of others it was ISO-8859-1.
_CHARSETS = {
    "be": "cp1251",
    "bg": "cp1251",
    "cs": "iso8859-2",
    "el": "iso8859-7",
    "he": "iso8859-8",
    "hr": "iso8859-2",
    "hu": "iso8859-2",
    "ja": "euc-jp",
    "ko": "euc-kr",
    "lt": "iso8859-13",
    "lv": "iso8859-13",
    "mk": "iso8859-5",
    "pl": "iso8859-2",
    "ro": "iso8859-2",
    "ru": "koi8-r",
    "sk": "iso8859-2",
    "sl": "iso8859-2",
    "sr": "iso8859-5",
    "th": "tis-620",
    "tr": "iso8859-9",
    "uk": "koi8-u",
    "zh": "gbk",
    "zh_CN": "gbk",
    "zh_HK": "big5hkscs",
    "zh_SG": "gbk",
    "zh_TW": "big5",
}
_LARGEST = 8 * 2**20  # a page; the largest of all are below one


@dataclass(frozen=True, slots=True)
class ManFile:
    """A manual page.

    Attributes:
        name: with its section: `ls.1`, the same in all languages.
        language: its tag; None for a page of the source language, which lies in no folder of its own.
        charset: of what is not UTF-8.
        member: its bytes.
    """

    name: str
    language: str | None
    charset: str
    member: Member

    def text(self) -> str:
        """The page in roff.

        Raises:
            InputError: it is damaged, or in no known character set.
        """
        data = _unpacked(self.member.read(), self.member.name)
        coding = _CODING.search(b"\n".join(data.split(b"\n", 2)[:2]))
        for charset in ("utf-8-sig", *((coding[1].decode(),) if coding else ()), self.charset):
            try:
                return data.decode(charset)
            except (LookupError, ValueError):
                continue
        raise InputError(f"{self.member.name}: expected UTF-8 or {self.charset}")


def is_man_file(path: str) -> bool:
    """Whether a file is a manual page, by its path: `de/man1/ls.1.gz`, or `ls.1` alone."""
    *folders, name = path.split("/")
    is_place = not folders or _FOLDER.fullmatch(folders[-1]) is not None
    return is_place and _NAME.fullmatch(name) is not None


def link_of(text: str) -> str | None:
    """The name of the page that a page is only another name of: `ls.1` of one that says `.so man1/ls.1`."""
    lines = (line for line in text.split("\n") if line.strip() and not re.match(r"[.']\s*(\\\"|$)", line))
    found = _SO.fullmatch(next(lines, "").strip())
    return Path(found[1]).name.removesuffix(".gz") if found else None


def man_file(member: Member, notes: ImportNotes) -> ManFile | None:
    """What the place of a page says, None if it is no place of a page.

    `man/de/man1/ls.1.gz` is German, `man/man1/ls.1.gz` of the source language, and so is a page that lies in
    no folder of this kind. The folder above `man1` is a language if it has its two letters or lies in `man`:
    `man` and `doc` are three-letter codes, too.
    """
    path = Path(member.name).absolute().as_posix() if _is_on_disk(member) else member.path
    *folders, last = path.split("/")
    found = _NAME.fullmatch(last)
    if found is None:
        return None
    *above, folder = folders[:-1] if folders and _FOLDER.fullmatch(folders[-1]) else [""]
    locale = _LOCALE.fullmatch(folder)
    language, charset = None, "iso8859-1"
    if locale and (len(locale["language"].partition("_")[0]) == 2 or above[-1:] == ["man"]):
        try:
            tag = notes.normalize(locale["language"] + (locale["modifier"] or ""))
        except InputError:
            tag = ""
        if tag and language_name(tag) != tag:
            language = tag
            code = locale["language"]
            charset = locale["charset"] or _CHARSETS.get(code) or _CHARSETS.get(code[:2]) or charset
    return ManFile(found["name"], language, charset, member)


def _is_on_disk(member: Member) -> bool:
    return member.is_given or os.path.exists(member.name)


def _unpacked(data: bytes, name: str) -> bytes:
    """The bytes of a page, whatever compressed them: in archives, pages are compressed once more."""
    openers: dict[bytes, Callable[[IO[bytes]], Any]] = {
        b"\x1f\x8b": _open_gzip,
        b"BZh": bz2.BZ2File,
        b"\xfd7zXZ\0": lzma.LZMAFile,
    }
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        raise InputError(f"{name}: is compressed by zstd, which is not read; unpack it with unzstd")
    for magic, opener in openers.items():
        if data.startswith(magic):
            with input_errors(name), opener(io.BytesIO(data)) as file:
                data = file.read(_LARGEST + 1)
            break
    if len(data) > _LARGEST:
        raise InputError(f"{name}: expected a manual page, this is larger than {_LARGEST // 2**20} MiB")
    return data


def _open_gzip(file: IO[bytes]) -> Any:
    return gzip.GzipFile(fileobj=file)
