"""Which reader reads what the command line names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.readers import Fields, ParallelFields
    from xformer.data.record import Record

Format = Literal[
    "gettext", "moses", "tatoeba", "manythings", "iwslt", "tmx", "tsv", "jsonl", "parquet", "text"
]
_DESCRIBES = {
    "gettext": "catalogues (.mo, .po) or wheels that hold them",
    "moses": "line-aligned files, one a language, or a .zip of pairs",
    "tatoeba": "sentences.csv and links.csv",
    "manythings": "one file of sentence pairs",
    "iwslt": "the same talks in two languages or more",
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
        paths: the files, in the order the format wants.
        languages: the files' languages, where their names do not say; for `tatoeba` and `tmx`, the only ones
            to take.
        fields: what the columns are, for `tsv`, `jsonl` and `parquet`.
        paragraphs: for `text`, a record a paragraph rather than a line.

    Raises:
        InputError: the number of files is not what the format needs, or a file is not what it should be.
    """
    from xformer.data import readers

    zipped = kind == "moses" and len(paths) == 1 and paths[0].suffix == ".zip"
    needed = 1 if zipped else {"moses": 2, "iwslt": 2, "tatoeba": 2}.get(kind, 1)
    if len(paths) < needed or (kind == "tatoeba" and len(paths) > 2):
        raise InputError(
            f"{kind}: expected {_DESCRIBES.get(kind, 'at least one file')}, got {len(paths)} file(s)"
        )
    several = list(languages) or None
    one: list[str | None] = [*languages] if languages else [None] * len(paths)
    if kind in ("manythings", "tsv", "jsonl", "parquet", "text") and len(one) != len(paths):
        raise InputError(f"--languages: expected one for each of the {len(paths)} files, got {len(one)}")
    if kind == "gettext" and len(languages) > 1:
        raise InputError(f"--languages: expected one, of all catalogues, got {len(languages)}")
    files = list(zip(paths, one, strict=False))
    match kind:
        case "gettext":
            return readers.read_gettext(paths, language=one[0])
        case "moses":
            return readers.read_moses(paths, languages=several)
        case "tatoeba":
            return readers.read_tatoeba(*paths, languages=several)
        case "manythings":
            return _chain(readers.read_manythings(path, language=language) for path, language in files)
        case "iwslt":
            return readers.read_iwslt(paths, languages=several)
        case "tmx":
            return _chain(readers.read_tmx(path, languages=several) for path in paths)
        case "tsv":
            return _chain(readers.read_tsv(path, fields, language=language) for path, language in files)
        case "jsonl":
            return _chain(readers.read_jsonl(path, fields, language=language) for path, language in files)
        case "parquet":
            return _chain(readers.read_parquet(path, fields, language=language) for path, language in files)
        case "text":
            return _chain(
                readers.read_text(path, language=language, paragraphs=paragraphs) for path, language in files
            )


_chain = chain.from_iterable
