"""The formats of `xformer data import` and their readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.readers import Fields, ParallelFields
    from xformer.data.record import Record

Format = Literal[
    "gettext", "moses", "tatoeba", "manythings", "iwslt", "tmx", "tsv", "jsonl", "parquet", "text"
]
_DESCRIBES = {
    "gettext": "catalogues (.mo, .po) or wheels that hold them",
    "moses": "line-aligned files, one per language, or a .zip of pairs",
    "tatoeba": "sentences.csv and links.csv",
    "manythings": "one file of sentence pairs",
    "iwslt": "the same talks in two or more languages",
}


def records(
    kind: Format,
    paths: Sequence[Path],
    *,
    languages: Sequence[str],
    fields: Fields | ParallelFields,
    paragraphs: bool,
) -> Iterator[Record]:
    """Stream the records of files of one format.

    Args:
        kind: the format.
        paths: the files, in the order that the format needs.
        languages: the languages of the files, if their names do not give them; for `tatoeba` and `tmx`, the
            only ones to import.
        fields: the meaning of the fields, for `tsv`, `jsonl` and `parquet`.
        paragraphs: for `text`: each paragraph is a record, not each line.

    Raises:
        InputError: the format needs another number of files, or a file is damaged.
    """
    from xformer.data import readers

    zipped = kind == "moses" and len(paths) == 1 and paths[0].suffix == ".zip"
    needed = 2 if kind in ("moses", "iwslt", "tatoeba") and not zipped else 1
    if len(paths) < needed or (kind == "tatoeba" and len(paths) > 2):
        raise InputError(
            f"{kind}: expected {_DESCRIBES.get(kind, 'at least one file')}, got {len(paths)} file(s)"
        )
    several = list(languages) or None
    one: list[str | None] = [*languages] if languages else [None] * len(paths)
    if kind in ("manythings", "tsv", "jsonl", "parquet", "text") and len(one) != len(paths):
        raise InputError(f"--languages: expected one for each of the {len(paths)} files, got {len(one)}")
    if kind == "gettext" and len(languages) > 1:
        raise InputError(f"--languages: expected one for all catalogues, got {len(languages)}")
    read = getattr(readers, f"read_{kind}")
    match kind:
        case "gettext":
            return read(paths, language=one[0])
        case "moses" | "iwslt":
            return read(paths, languages=several)
        case "tatoeba":
            return read(*paths, languages=several)
        case "tmx":
            return chain.from_iterable(read(path, languages=several) for path in paths)
    of_format: dict[str, dict[str, Any]] = {"manythings": {}, "text": {"paragraphs": paragraphs}}
    options = of_format.get(kind, {"fields": fields})
    files = zip(paths, one, strict=True)
    return chain.from_iterable(read(path, language=language, **options) for path, language in files)
