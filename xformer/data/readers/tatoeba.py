"""The readers of Tatoeba (sentences, and links between translations) and of the pairs of ManyThings.

Sentences that are connected by links, directly or through others, are one group. This takes about 20 bytes of
memory per sentence: 300 MB for the 13 million sentences of Tatoeba.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, decode_lines, input_errors, open_zip, read_lines
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_LINKS_AT_A_TIME = 2**18
_NULL = r"\N"
_NUMBER = re.compile(r"[0-9]{1,18}")
_LINK = re.compile(r"([0-9]{1,18})\t([0-9]{1,18})")
# MySQL's INTO OUTFILE has a backslash before a backslash and before what would end a field or a line.
_FIELD = re.compile(r"(?:[^\t\\]|\\.|\\$)*", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\\t\n])")
_OPEN_END = re.compile(r"(?:^|[^\\])(?:\\\\)*\\$", re.DOTALL)


def read_tatoeba(
    sentences: FilePath | Sequence[FilePath],
    links: FilePath | Sequence[FilePath],
    *,
    languages: Collection[str] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    r"""Stream the sentences of Tatoeba, grouped by its links.

    Both files are tab-separated, without header and quoting, although their names end in `.csv`. Tabs, line
    ends and backslashes in a sentence have a backslash before them, as MySQL writes them. Sentences without a
    known language (`\N`) or without text are left out, and so are links to missing sentences, which every
    export has. A sentence without links is a group of its own.

    Args:
        sentences: `sentences.csv` (id, ISO 639-3 code, text), `sentences_detailed.csv` or
            `sentences_CC0.csv`, plain or compressed (`.gz`, `.bz2`, `.xz`, `.tar.bz2`), or one file for each
            language (`deu_sentences.tsv.bz2`). They are read twice.
        links: `links.csv` (id, id), plain or compressed, or one file for each pair of languages
            (`deu-eng_links.tsv.bz2`).
        languages: keep only these (`de` or `deu`). Links through other languages still count.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a file is missing or damaged, a line has too few fields, or an id is not a number or
            occurs twice; the message names the line.
    """
    notes = notes or ImportNotes()
    wanted = None if languages is None else {normalize_language(language) for language in languages}
    files = _several(sentences)
    ids = np.fromiter((number for file in files for number, *_ in _sentences(file)), np.int64)
    ids.sort()
    if (twice := ids[:-1][ids[1:] == ids[:-1]]).size:
        named = ", ".join(os.fspath(file) for file in files)
        raise InputError(f"{named}: sentence {twice[0]} occurs twice")
    root = _components(ids, _several(links))
    rows = ((file, Path(file).name, row) for file in files for row in _sentences(file))
    for file, name, (number, code, text, line) in rows:
        if code in (_NULL, ""):
            notes.leave_out("no language", "und", text, f"{name}:{line}")
            continue
        try:
            language = notes.normalize(code)
        except InputError as error:
            raise InputError(f"{os.fspath(file)}:{line}: {error}") from error
        if text == _NULL or not text.strip():
            notes.leave_out("no text", language, "", f"{name}:{line}")
        elif wanted is None or language in wanted:
            first = ids[root[np.searchsorted(ids, number)]]
            yield Record(text, language, f"tatoeba:{first}", f"{name}:{line}", id=str(number))


def read_manythings(
    path: FilePath,
    *,
    language: str | None = None,
    pivot: str = "en",
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream a ManyThings file: lines of a sentence, its translation and, in newer files, an attribution.

    Lines in a row with the same first sentence are one group, and that sentence is yielded once.

    Args:
        path: a file such as `deu.txt`, plain or compressed, or the zip (`deu-eng.zip`) that it comes in.
        language: of the translations. None: the file's name, an ISO 639-3 code.
        pivot: the language of the first column.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: the file is missing or damaged, a line has fewer than two fields or more than three, or a
            zip has not one such file.
    """
    if Path(path).suffix != ".zip":
        tag = language_of(path, language, (".txt",), notes)
        yield from _manythings(path, read_lines(path), tag, pivot, notes)
        return
    with open_zip(path) as archive:
        files = [
            name
            for name in archive.namelist()
            if name.endswith(".txt") and not PurePosixPath(name).name.startswith(("_", "."))
        ]
        if len(files) != 1:
            found = ", ".join(files) or "none"
            raise InputError(f"{os.fspath(path)}: expected one file such as deu.txt inside, found {found}")
        name = f"{os.fspath(path)}:{files[0]}"
        tag = language_of(files[0], language, (".txt",), notes)
        with input_errors(name), archive.open(files[0]) as file:
            yield from _manythings(name, decode_lines(file, name), tag, pivot, notes)


def _manythings(
    path: FilePath, lines: Iterator[str], tag: str, pivot: str, notes: ImportNotes | None
) -> Iterator[Record]:
    first_tag = normalize_language(pivot)
    before = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            raise InputError(
                f"{os.fspath(path)}:{number}: expected sentence, translation and attribution between tabs, "
                f"got {len(fields)} fields"
            )
        first, text = fields[:2]
        group, source = content_group(first), f"{Path(path).name}:{number}"
        if first != before and first.strip():
            yield Record(first, first_tag, group, source)
        if text.strip():
            yield Record(text, tag, group, source)
        elif notes:
            notes.leave_out("no text", tag, "", source)
        before = first


def export_files(paths: Sequence[FilePath]) -> tuple[list[FilePath], list[FilePath]]:
    """Divide the files of an export into sentences and links, by their names.

    Of two files that do not say it, the second one has the links. Sentences of single languages
    (`deu_sentences.tsv.bz2`) may come without links.

    Raises:
        InputError: there are no sentences, or no links where there ought to be some.
    """
    links = [path for path in paths if "links" in Path(path).name]
    sentences = [path for path in paths if path not in links]
    if not links and len(paths) == 2 and "sentences" not in Path(paths[1]).name:
        sentences, links = [paths[0]], [paths[1]]
    if not sentences or (not links and not all("_sentences" in Path(path).name for path in sentences)):
        raise InputError(f"tatoeba: expected sentences.csv and links.csv, got {len(paths)} file(s)")
    return sentences, links


def _several(paths: FilePath | Sequence[FilePath]) -> list[FilePath]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _components(ids: npt.NDArray[np.int64], links: Sequence[FilePath]) -> npt.NDArray[np.int32]:
    """For each of the sorted ids, the index of the smallest id that it is connected with.

    Union-find over blocks of links: look up the roots of both ends and make the smaller root the parent of
    the larger, until all ends of the block agree. A parent is never larger than its child, so there are no
    cycles.
    """
    parent = np.arange(len(ids), dtype=np.int32)
    pairs = chain.from_iterable(map(_links, links))
    while len(block := np.array(list(islice(pairs, _LINKS_AT_A_TIME)), np.int64).reshape(-1, 2)):
        where = np.searchsorted(ids, block)
        where[where == len(ids)] = -1  # larger than every id: compares as unequal to any
        ends = where[(ids[where] == block).all(axis=1)] if len(ids) else where[:0]
        while True:
            roots = _roots(parent, ends)
            low, high = roots.min(axis=1), roots.max(axis=1)
            apart = low != high
            if not apart.any():
                break
            np.minimum.at(parent, high[apart], low[apart])
    while (parent != (above := parent[parent])).any():
        parent = above
    return parent


def _roots(parent: npt.NDArray[np.int32], nodes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The roots of `nodes`. Each step halves the paths, so a chain of n takes log n steps."""
    roots = parent[nodes]
    while (roots != (above := parent[roots])).any():
        parent[nodes] = roots = above
    return roots


def _links(path: FilePath) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(_lines(path), 1):
        match = _LINK.fullmatch(line)
        if match is None:
            place = f"{os.fspath(path)}:{number}"
            raise InputError(f"{place}: expected two sentence numbers between a tab, got {line[:60]!r}")
        yield int(match[1]), int(match[2])


def _sentences(path: FilePath) -> Iterator[tuple[int, str, str, int]]:
    """Number, language code, text and line of each sentence."""
    for number, line in _rows(path):
        fields = line.split("\t") if "\\" not in line else _divided(line)
        if len(fields) not in (3, 4, 6) or not _NUMBER.fullmatch(fields[0]):
            place = f"{os.fspath(path)}:{number}"
            raise InputError(f"{place}: expected number, language and text between tabs, got {line[:60]!r}")
        yield int(fields[0]), fields[1], fields[2], number


def _rows(path: FilePath) -> Iterator[tuple[int, str]]:
    """The rows, each with the line that it begins in; a backslash may stand before a line's end."""
    began, row = 0, ""
    for number, line in enumerate(_lines(path), 1):
        row = f"{row}\n{line}" if began else line
        began = began or number
        if line.endswith("\\") and _OPEN_END.search(line):
            continue
        yield began, row
        began = 0
    if began:
        yield began, row


def _divided(row: str) -> list[str]:
    """The fields of a row with backslashes, which are removed where they protect what follows."""
    fields, at = [], 0
    while at <= len(row):
        match = _FIELD.match(row, at)
        assert match is not None
        fields.append(_ESCAPED.sub(r"\1", match[0]))
        at = match.end() + 1
    return fields


def _lines(path: FilePath) -> Iterator[str]:
    """The lines of a file, or of the first file in a tar archive."""
    if ".tar" not in Path(path).suffixes:
        yield from read_lines(path)
        return
    with input_errors(path), tarfile.open(path, "r|*") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield from decode_lines(file, path)
                return
        raise InputError(f"{os.fspath(path)}: expected a file inside, found none")
