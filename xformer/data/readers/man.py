"""The reader of manual pages, in folders as `man` searches them, in archives and in Debian packages.

Pages of one name and section are translations of each other: `man1/ls.1.gz` and `de/man1/ls.1.gz`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack

from xformer.data.import_notes import ImportNotes
from xformer.data.languages import likely_script
from xformer.data.readers.lines import FilePath
from xformer.data.readers.man_files import ManFile, is_man_file, link_of, man_file
from xformer.data.readers.man_pairs import is_prose, pair_pages, sections
from xformer.data.readers.members import check_any_read, open_members
from xformer.data.readers.roff.blocks import Block
from xformer.data.readers.roff.page import read_page
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_KIND = "manual pages (man1/ls.1.gz)"
_SYNOPSIS = "SYNOPSIS"


def read_man(
    paths: Iterable[FilePath],
    *,
    languages: Collection[str] | None = None,
    source_language: str = "en",
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the headings, paragraphs and list items of manual pages, page by page, the original first.

    A paragraph of a translation is in the group of the original's where both pages have the same macros
    around them in the whole section, see `pair_pages`; that group depends only on the original's text. All
    other paragraphs have groups of their own. Without a page of the source language, the first one by its tag
    is taken for the original.

    Left out are synopses, examples, tables, what stands before a list's items (options, mostly), what is no
    prose, paragraphs that are not translated, and the last section, in which translators name themselves. A
    text of the source language is yielded once.

    Memory holds the pages of one name, and about 100 bytes for each different text of the source language.

    Args:
        paths: folders such as `/usr/share/man`, zips, tars, Debian packages, or pages.
        languages: keep only these besides the source language; None: all.
        source_language: the language of pages that lie in no folder of a language.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or holds no page; or a page that is named in `paths`, or all
            pages, cannot be read.
    """
    paths, notes = list(paths), notes or ImportNotes()
    source = normalize_language(source_language)
    wanted = None if languages is None else {source, *map(normalize_language, languages)}
    with ExitStack() as stack:
        library = _Library(source, notes)
        for path in paths:
            for member in stack.enter_context(open_members(path, is_man_file, _KIND)):
                library.add(man_file(member, notes))
        seen: set[str] = set()
        for name in library.names():
            for record in library.page(name, wanted):
                if record.language == source:
                    if record.group in seen:
                        continue
                    seen.add(record.group)
                yield record
    check_any_read(notes, library.n_read, "manual pages")


class _Library:
    """All pages.

    Attributes:
        n_read: number of pages that could be read.
    """

    def __init__(self, source: str, notes: ImportNotes) -> None:
        self.n_read = 0
        self._source, self._notes = source, notes
        self._files: dict[str, dict[str, ManFile]] = {}

    def add(self, file: ManFile | None) -> None:
        if file is not None:
            language = file.language or self._source
            self._files.setdefault(file.name, {}).setdefault(language, file)

    def names(self) -> list[str]:
        """The names of pages, without those that are links to others in all languages."""
        places = {file.member.name for files in self._files.values() for file in files.values()}

        def is_link(file: ManFile) -> bool:
            place = file.member.name
            return os.path.islink(place) and os.path.realpath(place) in places - {place}

        return [name for name, files in sorted(self._files.items()) if not all(map(is_link, files.values()))]

    def page(self, name: str, wanted: Collection[str] | None) -> Iterator[Record]:
        """The records of all pages of a name."""
        files = {
            language: file
            for language, file in self._files[name].items()
            if wanted is None or language in wanted
        }
        pages = {language: blocks for language, file in files.items() if (blocks := self._blocks(file))}
        if not pages:
            return
        first = self._source if self._source in files else min(pages)
        file = files.pop(first)
        original = pages.pop(first, None)
        if original is None and (found := self._linked(file)) is not None:
            file, original = found
        original = original or []
        spoken = _spoken(original) if first == self._source else original
        for block in spoken:
            if is_prose(block):
                yield Record(block.text, first, content_group(block.text), file.member.label)
        silent = {id(block) for block in original} - {id(block) for block in spoken}
        for language in sorted(pages):
            yield from self._translation(files[language], language, original, pages[language], silent)

    def _translation(
        self,
        file: ManFile,
        language: str,
        original: Sequence[Block],
        blocks: Sequence[Block],
        silent: Collection[int],
    ) -> Iterator[Record]:
        """The records of a translation; `silent` has the ids of blocks of the original that are no text."""
        pairs, alone, added = pair_pages(original, blocks)
        known, label = {block.text for block in original}, file.member.label
        texts = [(content_group(one.text), one, other) for one, other in pairs if id(one) not in silent]
        texts += [(content_group(block.text), block, block) for block in alone]
        in_latin = likely_script(language) in ("Latn", None)
        for group, one, other in texts:
            if not is_prose(one) or not is_prose(other):
                continue
            if other.text in known:
                self._notes.leave_out("same as the original", language, other.text, label)
            elif not in_latin and other.text.isascii():
                self._notes.leave_out("not translated", language, other.text, label)
            else:
                yield Record(other.text, language, group, label)
        for block in filter(is_prose, added):
            self._notes.leave_out("names of translators", language, block.text, label)

    def _blocks(self, file: ManFile) -> list[Block] | None:
        """The blocks of a page; None of one that cannot be read, or is another name of a page."""
        try:
            text = file.text()
            if link_of(text) is not None:
                return None
            blocks = read_page(text, file.member.name)
        except InputError as error:
            file.member.refuse(error, self._notes)
            return None
        self.n_read += 1
        return blocks

    def _linked(self, file: ManFile) -> tuple[ManFile, list[Block]] | None:
        """The page that a page is another name of."""
        try:
            target = link_of(file.text())
        except InputError:
            return None
        found = self._files.get(target or "", {}).get(file.language or self._source)
        blocks = self._blocks(found) if found is not None else None
        return (found, blocks) if found is not None and blocks else None


def _spoken(blocks: Sequence[Block]) -> list[Block]:
    """The blocks outside of the synopsis, and its heading."""
    parts = sections(blocks)
    return [block for part in parts for block in (part[:1] if part and part[0].text == _SYNOPSIS else part)]
