"""The reader of line-aligned files, one per language: the Moses format and OPUS zips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePath
from zipfile import ZipFile

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.languages import language_of, languages_of
from xformer.data.readers.lines import FilePath, decode_lines, open_zip, read_lines
from xformer.data.record import Record, content_group
from xformer.errors import InputError


def read_moses(
    paths: Sequence[FilePath],
    *,
    languages: Sequence[str] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    r"""Stream two or more line-aligned files; each line is one group.

    Lines are read as by `decode_lines`. A blank line yields no record.

    Args:
        paths: plain, `.gz`, `.bz2` or `.xz` files; or one `.zip` from OPUS. Of a zip, every
            `Corpus.de-en.de` and `Corpus.de-en.en` are read, and other files (README, LICENSE, scores) are
            not.
        languages: of the files, in their order; of a zip, of the codes in the names of its files, in the
            order in which they come (`en`, `toki`). None: the ends of the names (`train.de.gz`).
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a file is missing, damaged or not UTF-8; the numbers of lines differ; a name does not give
            the language; or a zip contains no pair of files, or half of one.
    """
    if len(paths) == 1 and str(paths[0]).endswith(".zip"):
        with open_zip(paths[0]) as archive:
            pairs = _pairs(archive, Path(paths[0]))
            tags = _tags_of_codes(pairs, Path(paths[0]), languages)
            for pair in pairs:
                yield from _read_members(archive, Path(paths[0]), pair, tags, notes)
        return
    sides = zip(paths, languages_of(paths, languages, notes=notes), strict=True)
    yield from align([Side(path, tag, enumerate(read_lines(path), 1)) for path, tag in sides], notes)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two files of a zip: `Corpus.de-en.de` and `Corpus.de-en.en`.

    Attributes:
        stem: what both names begin with: `Corpus.de-en`.
        codes: the ends of the names.
    """

    stem: str
    codes: tuple[str, str]


def _pairs(archive: ZipFile, path: Path) -> list[_Pair]:
    members = set(archive.namelist())
    found = []
    for member in sorted(members):
        stem, _, code = member.rpartition(".")
        both = stem.rpartition(".")[2].rpartition("/")[2]
        # A code may have a hyphen: both parts of en-zh-TW are known by the other one.
        if not stem.endswith(f".{both}") or not code:
            continue
        for first, second in ((code, both.removeprefix(f"{code}-")), (both.removesuffix(f"-{code}"), code)):
            if f"{first}-{second}" != both or first == second or not (first and second):
                continue
            for missing in {f"{stem}.{first}", f"{stem}.{second}"} - members:
                raise InputError(f"{path}: has {member} without {missing}")
            if code == first:
                found.append(_Pair(stem, (first, second)))
    if not found:
        raise InputError(f"{path}: expected files such as Corpus.de-en.de and Corpus.de-en.en inside")
    return found


def _tags_of_codes(pairs: Sequence[_Pair], path: Path, languages: Sequence[str] | None) -> dict[str, str]:
    """The language given for each code in the names of a zip's files; empty if none is given."""
    if languages is None:
        return {}
    codes = list(dict.fromkeys(code for pair in pairs for code in pair.codes))
    if len(languages) != len(codes):
        raise InputError(
            f"{path}: expected one language for each of {', '.join(codes)}, as the files inside are named, "
            f"got {len(languages)}"
        )
    return dict(zip(codes, languages, strict=True))


def _read_members(
    archive: ZipFile, path: Path, pair: _Pair, tags: Mapping[str, str], notes: ImportNotes | None
) -> Iterator[Record]:
    with ExitStack() as stack:
        sides = []
        for code in pair.codes:
            name = f"{path}:{pair.stem}.{code}"
            tag = language_of(name, tags.get(code), notes=notes)
            file = stack.enter_context(archive.open(f"{pair.stem}.{code}"))
            sides.append(Side(name, tag, enumerate(decode_lines(file, name), 1)))
        yield from align(sides, notes)


@dataclass(frozen=True, slots=True)
class Side:
    """One language of an aligned text.

    Attributes:
        path: the file, for error messages and for the `source` of records.
        language: normalised tag.
        lines: (line number, text), in aligned order.
    """

    path: FilePath
    language: str
    lines: Iterable[tuple[int, str]]


def align(sides: Sequence[Side], notes: ImportNotes | None = None) -> Iterator[Record]:
    """Stream the lines at the same place of every side as one group.

    A blank line yields no record, but counts as a line.

    Raises:
        InputError: the sides have different numbers of lines; this is known only at the end.
    """
    if len(sides) < 2:
        raise InputError(f"expected two files or more, one per language, got {len(sides)}")
    repeated = {side.language for side in sides if sum(side.language == each.language for each in sides) > 1}
    if repeated:
        raise InputError(f"expected files in different languages, got {', '.join(sorted(repeated))} twice")
    rows = enumerate(zip_longest(*(side.lines for side in sides)))
    for count, row in rows:
        if None in row:
            counts = [count + (line is not None) for line in row]
            for _, rest in rows:
                counts = [total + (line is not None) for total, line in zip(counts, rest, strict=True)]
            said = ", ".join(f"{side.path} has {n}" for side, n in zip(sides, counts, strict=True))
            raise InputError(f"expected files with the same number of lines: {said}")
        group = content_group(*(text for _, text in row))
        for side, (number, text) in zip(sides, row, strict=True):
            source = f"{PurePath(side.path).name}:{number}"
            if text.strip():
                yield Record(text, side.language, group, source)
            elif notes:
                notes.leave_out("no text", side.language, "", source)
