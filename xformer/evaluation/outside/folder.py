"""Folders of line-aligned files: the test sets of Tatoeba as LASER and XTREME have them, and Moses files.

`tatoeba.deu-eng.deu` and `tatoeba.deu-eng.eng` are a pair, a set of sentences of its own. `test.de`,
`test.en` and `test.fr` are one set in three languages. Files may be compressed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xformer.data.languages import find_language
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import read_lines, uncompressed_name
from xformer.data.readers.moses import Side, align
from xformer.data.record import Record, normalize_language
from xformer.errors import InputError
from xformer.evaluation.outside.tags import match_language

_TEST, _NO_TEST = re.compile(r"test|heldout", re.I), re.compile(r"train|dev|val", re.I)


@dataclass(frozen=True)
class AlignedFiles:
    """Files whose lines are translations of one another.

    Attributes:
        name: what their names begin with: `tatoeba`, `test_2016_flickr`.
        files: by the code in their names.
        pivot: the code that the others are compared with.
    """

    name: str
    files: dict[str, Path]
    pivot: str

    @property
    def label(self) -> str:
        """The name, for a pair with its codes: `tatoeba.deu-eng`."""
        others = sorted(code for code in self.files if code != self.pivot)
        return f"{self.name} {'-'.join([*others, self.pivot])}"

    def records(self) -> Iterator[Record]:
        """The lines; those of one number are a group. A blank line is left out.

        Raises:
            InputError: a file is damaged or not UTF-8, or the numbers of lines differ.
        """
        sides = [
            Side(path, normalize_language(code), enumerate(read_lines(path), 1))
            for code, path in self.files.items()
        ]
        for record in align(sides):
            number = record.source.rpartition(":")[2]
            yield Record(record.text, record.language, f"{self.label}:{number}", record.source)


def find_aligned(
    folder: Path, pivot: str, asked: str | None = None, split: str | None = None
) -> tuple[list[AlignedFiles], list[str]]:
    """The aligned files of a folder.

    Args:
        folder: the folder; folders in it are not read.
        pivot: tag of the run's pivot, which is that of a set that has it.
        asked: tag of another pivot that the user asks for; sets without it are left out.
        split: the name of a set: `test` of `test.de`. None: those whose names speak of a test, where others
            speak of training; otherwise all.

    Returns:
        The sets, sorted by name and codes; and sentences about what is left out.

    Raises:
        InputError: there are none, half of a pair is missing, or none has the pivot or the name.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pairs, rest = _pairs(folder, paths)
    together, unread = _together(rest)
    names = sorted({name for name, _ in pairs} | set(together))
    if not names:
        raise InputError(
            f"{folder}: expected a corpus ('xformer data import' makes one), or line-aligned files such as"
            " tatoeba.deu-eng.deu and tatoeba.deu-eng.eng, or test.de and test.en; found neither"
        )
    notes = [f"not read, as no name of aligned files: {_listed(unread)}"] if unread else []
    kept = _chosen(folder, names, split)
    if len(kept) < len(names) and split is None:
        notes.append(f"of {_listed(names)}, {_listed(kept)} is read; --split takes another")
    often = Counter(code for name, files in pairs if name in kept for code in files)
    sets, without = [], []
    for name, files in [*pairs, *together.items()]:
        if name not in kept:
            continue
        chosen = _pivot_of(files, pivot, asked, often)
        if chosen is None:
            without.append(AlignedFiles(name, files, next(iter(files))).label)
        else:
            sets.append(AlignedFiles(name, files, chosen))
    if not sets:
        codes = sorted({code for _, files in [*pairs, *together.items()] for code in files})
        raise InputError(
            f"--pivot: expected one of {', '.join(codes)}, the languages of {folder}; got {asked!r}"
        )
    if without:
        notes.append(f"left out, without {asked}: {_listed(without)}")
    return sorted(sets, key=lambda one: one.label), notes


def _pairs(folder: Path, paths: Iterable[Path]) -> tuple[list[tuple[str, dict[str, Path]]], list[Path]]:
    """`NAME.a-b.a` beside `NAME.a-b.b`, as name and files by code; and the files that are no half of one."""
    halves: dict[str, dict[str, Path]] = {}
    rest = []
    for path in paths:
        stem, _, code = uncompressed_name(path).rpartition(".")
        both = stem.rpartition(".")[2]
        if code and (both.startswith(f"{code}-") or both.endswith(f"-{code}")):
            halves.setdefault(stem, {})[code] = path
        else:
            rest.append(path)
    found = []
    for stem, files in halves.items():
        name, _, both = stem.rpartition(".")
        if len(files) != 2:
            code = next(iter(files))
            other = (
                both.removeprefix(f"{code}-")
                if both.startswith(f"{code}-")
                else both.removesuffix(f"-{code}")
            )
            raise InputError(f"{folder}: has {files[code].name} without {stem}.{other}")
        # In the order of the name: the second is the pivot where nothing else decides.
        ordered = sorted(files, key=lambda code: not both.startswith(f"{code}-"))
        found.append((name or folder.name, {code: files[code] for code in ordered}))
    return found, rest


def _together(paths: Iterable[Path]) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """`NAME.de`, `NAME.en` … as files by code, by name; and the names of other files."""
    sets: dict[str, dict[str, Path]] = {}
    unread = []
    for path in paths:
        name = uncompressed_name(path)
        stem, _, code = name.rpartition(".")
        try:
            language_of(name, None)
        except InputError:
            unread.append(path.name)
            continue
        sets.setdefault(stem, {})[code] = path
    unread += [path.name for files in sets.values() if len(files) == 1 for path in files.values()]
    return {name: files for name, files in sets.items() if len(files) > 1}, unread


def _chosen(folder: Path, names: list[str], split: str | None) -> list[str]:
    if split is None:
        tests = [name for name in names if _TEST.search(name)]
        return tests if tests and any(_NO_TEST.search(name) for name in names) else names
    if split == "all":
        return names
    kept = [name for name in names if name == split]
    if not kept:
        raise InputError(
            f"--split: expected one of {', '.join([*names, 'all'])}, the sets of {folder}; got {split!r}"
        )
    return kept


def _pivot_of(files: dict[str, Path], pivot: str, asked: str | None, often: Counter[str]) -> str | None:
    """The code of the pivot; None where the one that was asked for is missing."""
    tags = {normalize_language(code): code for code in files}
    if asked is not None:
        found = find_language(list(tags), asked) or match_language(asked, list(tags))
        return None if found is None else tags[found]
    found = find_language(list(tags), pivot)
    if found is not None:
        return tags[found]
    return max(reversed(files), key=lambda code: often[code])


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
