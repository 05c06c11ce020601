"""The reader of bilingual dictionaries in TEI, the XML of the Text Encoding Initiative, as FreeDict's are.

TEI leaves much open. What dictionaries of FreeDict do is read: words in `<form><orth>`, translations in
`<cit type="trans"><quote>`, `<cit><quote type="trans">` or, in a sense without these, in `<def>`; examples in
`<cit type="example">`. Chapter 9, "Dictionaries", of the TEI P5 guidelines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.dictionary import (
    Sense,
    is_sentence,
    languages_of_dictionary,
    licence_in,
    split_list,
    without_notes,
)
from xformer.data.readers.lines import FilePath, input_errors, open_bytes, uncompressed_name
from xformer.data.readers.xml_stream import XmlStream
from xformer.data.record import Record
from xformer.errors import InputError

# A longer entry is an attack or a mistake: stop before it fills the memory.
_LONGEST_ENTRY = 2**24  # bytes
_DEEPEST = 100  # elements in one another
_ENTRIES = frozenset({"entry", "entryFree"})
_SENSES = frozenset({"sense", "hom"})
# What stands in a text and is not of it.
_ASIDE = frozenset(
    {"cit", "def", "gen", "gramGrp", "lbl", "note", "number", "pos", "pron", "ref", "usg", "xr"}
)
# Types of forms that are not the word itself.
_OTHER_FORMS = frozenset({"abbrev", "dual", "infl", "inflected", "pastp", "pl", "plur", "pp", "sg"})


def read_tei(
    path: FilePath, *, languages: Sequence[str] | None = None, notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the senses of a dictionary, plain, `.gz`, `.bz2` or `.xz`; the texts of a sense are one group.

    A group has the word in all its spellings, and its translations. Each example with a translation is a
    group of its own. Notes, also those in brackets, are removed. Examples without a translation are left out.
    Memory holds one entry.

    Args:
        path: the file; parts that it includes (`xi:include`) must be read themselves.
        languages: of the words and of the translations. None: `xml:lang` in the entry, the title or the
            file's name (`deu-eng.tei`) gives each, in that order.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: the file is missing, damaged, not well-formed or unsafe, has no entries, or nothing gives
            the language of a text; the message names the line.
    """
    notes = notes or ImportNotes()
    found = False
    title = ""
    for line, element in _elements(path):
        if element.tag == "teiHeader":
            title = title or next((_text(item) for item in element.iter("title")), "")
            continue
        if not found:
            defaults = languages_of_dictionary(_stem(path), title, languages, notes)
            entries = _Entries(path, defaults, languages is not None, notes)
            found = True
        for sense in entries.senses(element, line):
            yield from sense.records(f"{Path(path).name}:{line}", notes)
    if not found:
        raise InputError(
            f"{path}: expected a dictionary in TEI with <entry> elements, found none; name the files "
            "that it includes (xi:include), if it does"
        )


def tei_licence(path: FilePath) -> str | None:
    """The sentence of a file's header that states its licence; None if none does.

    Raises:
        InputError: as of `read_tei`.
    """
    for _, element in _elements(path):
        if element.tag != "teiHeader":
            return None
        paragraphs = [
            "".join(part.itertext()) for item in element.iter("availability") for part in [*item] or [item]
        ]
        return licence_in("\n\n".join(paragraphs))
    return None


def _stem(path: FilePath) -> str:
    return re.sub(r"\.(tei|xml)$", "", uncompressed_name(path))


def _elements(path: FilePath) -> Iterator[tuple[int, Element]]:
    with input_errors(path), open_bytes(path) as file:
        yield from _Trees(path).read(file)


class _Trees(XmlStream[tuple[int, Element]]):
    """The header and the entries of a file, as they end, each with its first line; names without prefixes."""

    def __init__(self, path: FilePath) -> None:
        super().__init__(path)
        self._tree: TreeBuilder | None = None
        self._depth = 0
        self._line, self._byte = 0, 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        if self._tree is None and (name in _ENTRIES or name == "teiHeader"):
            self._tree, self._depth = TreeBuilder(), 0
            self._line, self._byte = self.line, self.byte
        if self._tree is not None:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise InputError(f"{self.place}: expected at most {_DEEPEST} elements in one another")
            self._check_size()
            self._tree.start(name, dict(attributes))

    def characters(self, text: str) -> None:
        if self._tree is not None:
            self._check_size()
            self._tree.data(text)

    def end(self, name: str) -> None:
        if self._tree is not None:
            self._tree.end(name.rpartition(":")[2])
            self._depth -= 1
            if not self._depth:
                self.done.append((self._line, self._tree.close()))
                self._tree = None

    def _check_size(self) -> None:
        if self.byte - self._byte > _LONGEST_ENTRY:
            raise InputError(f"{self.place}: expected entries of at most {_LONGEST_ENTRY:,} bytes")


class _Entries:
    """The senses of entries.

    Args:
        path: the file, for error messages.
        defaults: languages of words and translations that do not state one; None if nothing gives them.
        fixed: whether `defaults` hold for those that state one, too.
        notes: remembers how tags were read.
    """

    def __init__(
        self, path: FilePath, defaults: tuple[str, str] | None, fixed: bool, notes: ImportNotes
    ) -> None:
        self._path, self._defaults, self._fixed, self._notes = path, defaults, fixed, notes
        self._line = 0

    def senses(self, entry: Element, line: int) -> Iterator[Sense]:
        """The senses and examples of an entry, and of those related to it (`<re>`) inside."""
        self._line = line
        words = [
            (self._language(0, orth, form, entry), text)
            for form in entry.findall("form")
            for orth in _spellings(form)
            if (text := _text(orth))
        ]
        yield from self._of(entry, words)
        for related in entry.findall(".//re"):
            yield from self.senses(related, line)

    def _of(self, sense: Element, words: list[tuple[str, str]]) -> Iterator[Sense]:
        """What stands in an entry or a sense, and in the senses in it."""
        translations: list[tuple[str, str]] = []
        for cit in sense.findall("cit"):
            if _is_translation(cit):
                translations += self._quotes(1, cit, sense)
            else:
                yield from self._example(cit, sense)
            for example in cit.iterfind(".//cit[@type='example']"):
                yield from self._example(example, sense)
        inner = [child for child in sense if child.tag in _SENSES]
        if not translations:
            translations = self._definitions(sense, words)
        if translations:
            yield Sense((*words, *translations), len(words))
        elif not inner and sense.tag in _SENSES and words:
            yield Sense(tuple(words), len(words))
        for child in inner:
            yield from self._of(child, words)

    def _example(self, cit: Element, sense: Element) -> Iterator[Sense]:
        texts = self._quotes(0, cit, sense)
        translations = [
            pair
            for inner in cit.iterfind(".//cit")
            if _is_translation(inner)
            for pair in self._quotes(1, inner, sense)
        ]
        if texts or translations:
            yield Sense((*texts, *translations), len(texts))

    def _definitions(self, sense: Element, words: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Translations that a sense has as its definition; a whole sentence explains the word."""
        sentences = any(is_sentence(word) for _, word in words)
        return [
            (self._language(1, definition, sense), part)
            for definition in sense.findall("def")
            if (text := _text(definition)) and sentences == is_sentence(text)
            for part in split_list(text, sentences=sentences)
        ]

    def _quotes(self, side: int, cit: Element, sense: Element) -> list[tuple[str, str]]:
        return [
            (self._language(side, quote, cit, sense), text)
            for quote in cit.findall("quote")
            if (text := _text(quote))
        ]

    def _language(self, side: int, *elements: Element) -> str:
        """The tag of a word (side 0) or a translation (1): the first that an element states, or the default.

        A sense states that of its translations only.
        """
        if not self._fixed:
            for element in elements:
                tag = element.get("xml:lang")
                if tag and (side or element.tag not in _SENSES):
                    try:
                        return self._notes.normalize(tag)
                    except InputError as error:
                        raise InputError(f"{self._path}:{self._line}: {error}") from error
        if self._defaults is None:
            raise InputError(
                f"{self._path}:{self._line}: nothing gives the languages: expected xml:lang, a name such as "
                "deu-eng.tei, or --languages with those of words and of translations"
            )
        return self._defaults[side]


def _spellings(form: Element) -> Iterator[Element]:
    """The spellings of a word, without its other forms; a form may be divided into forms itself."""
    if form.get("type") in _OTHER_FORMS:
        return
    for child in form:
        if child.tag == "orth" and child.get("type") not in _OTHER_FORMS:
            yield child
        elif child.tag == "form" and child.get("type") is None:
            yield from _spellings(child)


def _is_translation(cit: Element) -> bool:
    return any(
        element.get("type") in ("trans", "translation", "translationEquivalent")
        for element in (cit, *cit.findall("quote"))
    )


def _text(element: Element) -> str:
    """The text of an element without notes."""
    return without_notes("".join(_pieces(element)))


def _pieces(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag not in _ASIDE:
            yield from _pieces(child)
        yield child.tail or ""
