"""The help of GNOME's desktop and programs, in pages of Mallard, an XML of their own.

Translated pages are made from the English ones block by block, so the blocks of a page have one order in all
languages. What nobody has translated is there in English.

Format: http://projectmallard.org/1.0/
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import Member, open_members
from xformer.data.readers.xml_stream import XmlStream
from xformer.data.record import Record, content_group
from xformer.errors import InputError

_PAGE = re.compile(r"(?:^|.*/)help/(?P<language>[^/]+)/(?P<page>.+\.page)")
_SOURCE = "C"  # the folder of the English pages
_BLOCKS = frozenset({"p", "title", "subtitle", "desc", "td", "th", "item", "cite"})
# What is no text for people: who wrote a page, what a computer reads or prints; and pictures.
_ASIDE = frozenset({"comment", "credit", "listing", "media", "revision", "screen", "tt"})

Block = tuple[str, str]


def read_help_pages(paths: Iterable[FilePath], notes: ImportNotes | None = None) -> Iterator[Record]:
    """Stream the blocks of help pages: titles, paragraphs, steps, cells; the English text is the group.

    A page whose blocks are not those of the English page is left out as a whole.

    Args:
        paths: Debian packages such as `gnome-user-docs`, other archives, or folders, with
            `help/LANGUAGE/GUIDE/NAME.page`; the language of the English pages is C.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or has no English pages.
    """
    notes = notes or ImportNotes()
    seen: set[str] = set()
    for path in paths:
        with open_members(path, lambda name: _PAGE.fullmatch(name) is not None, "help pages") as members:
            pages: dict[str, dict[str, Member]] = {}
            for member in members:
                if match := _PAGE.fullmatch(member.path):
                    pages.setdefault(match["page"], {})[match["language"]] = member
            if not any(_SOURCE in files for files in pages.values()):
                raise InputError(
                    f"{path}: expected help pages in English (help/{_SOURCE}/…/*.page), found none"
                )
            for files in pages.values():
                if _SOURCE in files:
                    yield from _page(files, seen, notes)


def _page(files: Mapping[str, Member], seen: set[str], notes: ImportNotes) -> Iterator[Record]:
    """One page in all languages."""
    source = files[_SOURCE]
    try:
        english = _blocks(source)
    except InputError as error:
        source.refuse(error, notes)
        return
    for folder, member in files.items():
        if folder == _SOURCE:
            continue
        try:
            language, blocks = notes.normalize(folder), _blocks(member)
            if [name for name, _ in blocks] != [name for name, _ in english]:
                raise InputError("its blocks are not those of the English page")
        except InputError as error:
            member.refuse(error, notes)
            continue
        for (_, text), (_, translation) in zip(english, blocks, strict=True):
            if not text:
                continue
            if not translation or translation == text:
                reason = "same as the original" if translation else "no text"
                notes.leave_out(reason, language, translation, member.label)
                continue
            group = content_group(text)
            if group not in seen:
                seen.add(group)
                yield Record(text, "en", group, source.label)
            yield Record(translation, language, group, member.label)


def _blocks(member: Member) -> list[Block]:
    return list(_Blocks(member.name).read(io.BytesIO(member.read())))


class _Blocks(XmlStream[Block]):
    """The blocks of a page as they end, each by the name of its element; text of blocks inside is their own.

    A block has no text where people see in it what its text does not have: the title of another page for an
    empty link, a picture.
    """

    def __init__(self, path: FilePath) -> None:
        super().__init__(path)
        self._open: list[tuple[str, list[str]]] = []
        self._aside = 0
        self._link: int | None = None  # pieces of the block where the open link begins
        self._lacking: set[int] = set()  # the open blocks, by number, that have no text

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        if self._aside or name in _ASIDE:
            self._lack_text()
            self._aside += 1
        elif name in _BLOCKS:
            self._open.append((name, []))
        elif name == "link" and self._open:
            self._link = len(self._open[-1][1])

    def characters(self, text: str) -> None:
        if self._open and not self._aside:
            self._open[-1][1].append(text)

    def end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if self._aside:
            self._aside -= 1
        elif name in _BLOCKS:
            lacks = len(self._open) in self._lacking
            self._lacking.discard(len(self._open))
            name, pieces = self._open.pop()
            self.done.append((name, "" if lacks else " ".join("".join(pieces).split())))
        elif name == "link" and self._open and self._link is not None:
            if not "".join(self._open[-1][1][self._link :]).strip():
                self._lack_text()
            self._link = None

    def _lack_text(self) -> None:
        if self._open:
            self._lacking.add(len(self._open))
