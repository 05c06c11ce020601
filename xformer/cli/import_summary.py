"""What `xformer data import` says: what came in, what was left out and why, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.formats import Format, other_format

if TYPE_CHECKING:
    from xformer.data.import_notes import ImportNotes
    from xformer.data.manifest import Manifest
    from xformer.data.record import Record

_SHOWN = 4  # languages, tags
_EXAMPLE = 60  # characters
_FILES = 10
_ROWS = "--group-field or --parallel says which rows are translations"
_TRANSLATED_BY: dict[Format, str] = {
    **dict.fromkeys(("csv", "tsv", "jsonl", "parquet", "datasets"), _ROWS),
    "text": "aligned files of two languages are read as moses",
    "man": "pages have translations in folders of other languages, such as man/de, or manpages-de_*.deb",
    "gettext": "originals have their translations in catalogues of other languages (.mo, .po)",
    "messages": "give the files of several languages, such as locales/de.json beside locales/en.json",
    "cldr": "give files of several languages",
    "qm": "give files of several languages",
}
"""How the files of a format come to have translations."""


def doubts(kind: Format, paths: Sequence[Path]) -> list[str]:
    """Lines about files that are read without an error, but not as their names say."""
    found = other_format(kind, paths) if kind in ("text", "moses") else None
    if found is None:
        return []
    path, named = found
    return [f"{path}: each line is read as a text; 'xformer data import {named}' reads its fields"]


def checked(records: Iterable[Record], say: Callable[[str], None]) -> Iterator[Record]:
    """Yield the records; at their end, say which files or languages look swapped."""
    from xformer.data.language_check import LanguageCheck

    check = LanguageCheck()
    yield from check.watch(records)
    for line in check.hints():
        say(line)


def summary(folder: Path, manifest: Manifest, notes: ImportNotes, kind: Format) -> list[str]:
    """The lines for the terminal after an import.

    Args:
        folder: the corpus.
        manifest: its manifest.
        notes: of its import.
        kind: format of the files.
    """
    from xformer.data.manifest_lines import joined_languages, kept_apart

    return [
        *_amounts(folder, manifest),
        *_tags(manifest, notes),
        *joined_languages(manifest),
        *kept_apart(manifest),
        *_left_out(notes),
        *_not_read(notes),
        *_held_out(manifest, kind),
        _next(folder, manifest),
    ]


def _amounts(folder: Path, manifest: Manifest) -> list[str]:
    from xformer.data.languages import counted, named

    texts = sum(entry.total.records for entry in manifest.splits.values())
    languages = [named(tag) for tag in manifest.languages]
    lines = [f"{folder}: {_texts(texts)} in {counted(len(languages))}: {_first(languages)}"]
    for name, entry in manifest.splits.items():
        translated = f", {entry.translated:,} with translations" if len(manifest.languages) > 1 else ""
        groups = "1 group" if entry.groups == 1 else f"{entry.groups:,} groups"
        lines.append(f"  {name}: {_texts(entry.total.records)} in {groups}{translated}")
    return lines


def _tags(manifest: Manifest, notes: ImportNotes) -> list[str]:
    from xformer.data.languages import language_name, language_named

    renamed = [f"{given} → {tag}" for given, tag in notes.renamed.items()]
    lines = [f"language tags: {_first(renamed)}"] if renamed else []
    unknown = []
    for tag in manifest.languages:
        if language_name(tag) == tag:
            meant = language_named(tag)
            unknown.append(f"{tag} ({language_name(meant)} is {meant})" if meant else tag)
    if unknown:
        lines.append(f"no name is known for: {_first(unknown)}; if a tag is wrong, --languages gives others")
    return lines


def _left_out(notes: ImportNotes) -> list[str]:
    total = sum(counts.total() for counts in notes.left_out.values())
    lines = [f"left out: {_texts(total)}" if total else "left out: nothing"]
    for reason, counts in sorted(notes.left_out.items(), key=lambda item: -item[1].total()):
        lines.append(f"  {reason}: {_counted(counts)}{_example(notes, reason)}")
    if notes.unpaired:
        lines.append(
            f"without their translations, which were left out: {_counted(notes.unpaired)}"
            f"{_example(notes, 'unpaired')}"
        )
    return lines


def _not_read(notes: ImportNotes) -> list[str]:
    if not notes.not_read:
        return []
    files = sorted(notes.not_read.items())
    lines = [f"not read: {'1 file' if len(files) == 1 else f'{len(files):,} files'}"]
    lines += [f"  {name}: {reason}" for name, reason in files[:_FILES]]
    if len(files) > _FILES:
        lines.append(f"  and {len(files) - _FILES:,} more, which manifest.json names")
    return lines


def _held_out(manifest: Manifest, kind: Format) -> list[str]:
    """Whether enough is held out for evaluation, and which options hold out more."""
    from xformer.data.held_out import ENOUGH, options_for_more, uncertainty

    entries = {name: entry for name, entry in manifest.splits.items() if name != "train"}
    in_all = sum(entry.translated or 0 for entry in manifest.splits.values())
    if not in_all:
        return [
            "no text has a translation: retrieval cannot be measured, and pretraining can only learn masked "
            f"words; {_TRANSLATED_BY.get(kind, 'the files lack the other language of each text')}"
        ]
    few = {name: entry for name, entry in entries.items() if (entry.translated or 0) < ENOUGH}
    if not few:
        return []
    said = ", ".join(f"{name} has {entry.translated:,}" for name, entry in few.items())
    some = [entry.translated for entry in few.values() if entry.translated]
    more = options_for_more({name: entry.translated or 0 for name, entry in manifest.splits.items()})
    option = f"; {more} hold out more" if more else ""
    if not some:
        return [f"no group with translations to evaluate with: {said}{option}"]
    return [
        f"few groups with translations to evaluate with: {said}; an accuracy of 50% is then uncertain by "
        f"{uncertainty(min(some))} points{option}"
    ]


def _next(folder: Path, manifest: Manifest) -> str:
    """The command that trains with this corpus."""
    settings = [f"data.corpus={folder}"]
    if not manifest.splits["train"].translated:
        settings.append("objectives.alignment_tokens=0")
    words = ["pretrain", f"runs/{folder.absolute().name}", "--budget", "10m", "--set", *settings]
    return f"next: xformer {shlex.join(words)}"


def _texts(count: int) -> str:
    return "1 text" if count == 1 else f"{count:,} texts"


def _first(items: Sequence[str]) -> str:
    """`de (German), en (English)`; of many, the first few."""
    return ", ".join(items[:_SHOWN]) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def _counted(counts: Mapping[str, int]) -> str:
    """`120 (de 70, en 50)`, the largest first; of many languages, the first few."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{tag} {count:,}" for tag, count in largest[:_SHOWN])
    return f"{sum(counts.values()):,} ({shown}{' …' if len(largest) > _SHOWN else ''})"


def _example(notes: ImportNotes, reason: str) -> str:
    text, source = notes.examples[reason]
    source = source if len(source) <= _EXAMPLE else f"…{source[1 - _EXAMPLE :]}"
    short = " ".join(text.split())
    short = short if len(short) <= _EXAMPLE else f"{short[: _EXAMPLE - 1]}…"
    return f", such as {source}: {short}" if short else f", such as {source}"
