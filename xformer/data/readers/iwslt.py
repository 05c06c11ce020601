"""The reader of IWSLT: transcripts of talks, as line-aligned training files and as XML-like test sets."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.languages import languages_of
from xformer.data.readers.lines import FilePath, read_lines, uncompressed_name
from xformer.data.readers.moses import Side, align
from xformer.data.record import Record, content_group
from xformer.errors import InputError

_DROP = re.compile(r"\s*</?(url|talkid|keywords|speaker|reviewer|translator|doc)\b")
_UNWRAP = re.compile(r"\s*<(title|description)>(.*)</\1>\s*")
_DOCUMENT = re.compile(r"<doc\b[^>]*\bdocid=[\"']?([^\"'\s>]*)", re.IGNORECASE)
_SEGMENT = re.compile(r"<seg\b[^>]*\bid=[\"']?([^\"'\s>]*)[^>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_END = re.compile(r"</seg>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A <seg>: `document:id`, the line it begins in, and its text."""

    key: str
    line: int
    text: str


def read_iwslt(
    paths: Sequence[FilePath],
    *,
    languages: Sequence[str] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the same talks in two or more languages; translations of one another are one group.

    Training files (`train.tags.de-en.de`) are aligned by line, without the lines about the talk (url, talk
    id, keywords, speaker, reviewer, translator, doc). Title and description are text, without their tags.
    Test sets (`IWSLT14.TED.tst2010.de-en.de.xml`) are aligned by document and segment. They are not parsed
    as XML, because they contain bare `&`.

    Args:
        paths: one file per language, all `.xml` or none; plain, `.gz`, `.bz2` or `.xz`.
        languages: of the files, in their order. None: the ends of their names before `.xml`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a file is missing or damaged, the languages have different numbers of lines or different
            segments, or a segment has no end.
    """
    tags = languages_of(paths, languages, (".xml",), notes)
    xml = {uncompressed_name(path).endswith(".xml") for path in paths}
    if len(xml) > 1:
        raise InputError(f"expected .xml files only or none, got {', '.join(str(path) for path in paths)}")
    if xml == {True}:
        yield from _align_segments(paths, tags, notes)
    else:
        sides = zip(paths, tags, strict=True)
        yield from align([Side(path, tag, _tagged_lines(path)) for path, tag in sides], notes)


def _tagged_lines(path: FilePath) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_lines(path), 1):
        if _DROP.match(line):
            continue
        unwrapped = _UNWRAP.fullmatch(line)
        yield number, (unwrapped[2] if unwrapped else line).strip()


def _align_segments(
    paths: Sequence[FilePath], tags: Sequence[str], notes: ImportNotes | None
) -> Iterator[Record]:
    for row in zip_longest(*map(_segments, paths)):
        if len({segment and segment.key for segment in row}) > 1:
            found = ", ".join(
                f"{os.fspath(path)} has "
                + (f"{segment.key} in line {segment.line}" if segment else "no more")
                for path, segment in zip(paths, row, strict=True)
            )
            raise InputError(f"expected the same segments in the same order: {found}")
        group = content_group(*(segment.text for segment in row))
        for path, tag, segment in zip(paths, tags, row, strict=True):
            source = f"{Path(path).name}:{segment.line}"
            if not segment.text and notes:
                notes.leave_out("no text", tag, "", source)
            elif segment.text:
                yield Record(segment.text, tag, group, source, id=segment.key)


def _segments(path: FilePath) -> Iterator[_Segment]:
    """The segments of a file. A segment may have several lines, and a line several segments."""
    document = segment = ""
    parts: list[str] | None = None  # the open segment's text so far
    began = count = 0

    def unended() -> InputError:
        return InputError(f"{os.fspath(path)}:{began}: segment {segment!r} has no </seg>")

    for number, line in enumerate(read_lines(path), 1):
        rest = line
        while rest:
            if parts is not None:
                end = _END.search(rest)
                parts.append(rest[: end.start()] if end else rest)
                if _SEGMENT.search(parts[-1]):
                    raise unended()
                rest = rest[end.end() :] if end else ""
                if end:
                    joined = " ".join(" ".join(parts).split())
                    text = _ENTITY.sub(lambda match: html.unescape(match[0]), joined)
                    yield _Segment(f"{document}:{segment}", began, text)
                    parts, count = None, count + 1
                continue
            start = _SEGMENT.search(rest)
            for match in _DOCUMENT.finditer(rest, 0, start.start() if start else len(rest)):
                document = match[1]
            if start is None:
                break
            segment, began, parts = start[1], number, []
            rest = rest[start.end() :]
    if parts is not None:
        raise unended()
    if not count:
        raise InputError(f'{os.fspath(path)}: expected segments, <seg id="1">…</seg>, found none')
