"""The reader of the Moses format and of OPUS zips: one plain file per language, aligned by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

from xformer.data.readers.aligned import Side, align
from xformer.data.readers.languages import language_of, languages_of
from xformer.data.readers.lines import FilePath, decode_lines, open_zip, read_lines
from xformer.data.record import Record
from xformer.errors import InputError

_PAIR = re.compile(r"(.*\.([A-Za-z0-9_]+)-([A-Za-z0-9_]+))\.([A-Za-z0-9_]+)")


def read_moses(paths: Sequence[FilePath], *, languages: Sequence[str] | None = None) -> Iterator[Record]:
    r"""Stream two or more line-aligned files; each line is one group.

    Lines are read as by `decode_lines`. A blank line yields no record.

    Args:
        paths: plain, `.gz`, `.bz2` or `.xz` files; or one `.zip` from OPUS. Of a zip, every
            `Corpus.de-en.de` and `Corpus.de-en.en` are read, and other files (README, LICENSE, scores) are
            not.
        languages: of the files, in their order. None: the ends of their names (`train.de.gz`).

    Raises:
        InputError: a file is missing, damaged or not UTF-8; the numbers of lines differ; or a zip contains no
            pair of files, or half of one.
    """
    if len(paths) == 1 and str(paths[0]).endswith(".zip"):
        if languages is not None:
            raise InputError(f"{paths[0]}: the names of a zip's files give the languages; expected none")
        with open_zip(paths[0]) as archive:
            for pair in _pairs(archive, Path(paths[0])):
                yield from _read_members(archive, Path(paths[0]), pair)
        return
    sides = zip(paths, languages_of(paths, languages), strict=True)
    yield from align([Side(path, tag, enumerate(read_lines(path), 1)) for path, tag in sides])


def _pairs(archive: ZipFile, path: Path) -> list[tuple[str, str]]:
    """The names of the two files of each pair."""
    members = set(archive.namelist())
    found = []
    for member in sorted(members):
        match = _PAIR.fullmatch(member)
        if match is None or match[4] not in (match[2], match[3]):
            continue
        pair = (f"{match[1]}.{match[2]}", f"{match[1]}.{match[3]}")
        if missing := set(pair) - members:
            raise InputError(f"{path}: has {member} without {missing.pop()}")
        if member == pair[0]:
            found.append(pair)
    if not found:
        raise InputError(f"{path}: expected files such as Corpus.de-en.de and Corpus.de-en.en inside")
    return found


def _read_members(archive: ZipFile, path: Path, pair: tuple[str, str]) -> Iterator[Record]:
    with ExitStack() as stack:
        sides = []
        for member in pair:
            file = stack.enter_context(archive.open(member))
            name = f"{path}:{member}"
            sides.append(Side(name, language_of(member, None), enumerate(decode_lines(file, name), 1)))
        yield from align(sides)
