"""The formats of `xformer data import` and their readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.import_notes import ImportNotes
    from xformer.data.manifest import Source
    from xformer.data.readers import Fields, ParallelFields
    from xformer.data.readers.hf_datasets import DatasetOptions
    from xformer.data.record import Record

Format = Literal[
    "gettext", "moses", "tatoeba", "manythings", "wikimatrix", "iwslt", "tmx", "dict", "tei", "cldr",
    "messages", "qm", "man", "csv", "tsv", "jsonl", "parquet", "datasets", "text",
]  # fmt: skip
_DESCRIBES = {
    "gettext": "catalogues (.mo, .po), or folders, wheels or Debian packages that hold them",
    "moses": "line-aligned files, one per language, or .zip files of pairs",
    "tatoeba": "sentences.csv and links.csv, or files of single languages and pairs",
    "wikimatrix": "files of scored pairs, such as WikiMatrix.de-en.tsv.gz",
    "manythings": "one file of sentence pairs, or the zip that it comes in",
    "cldr": "JSON files of CLDR, or folders, zips or tars that hold them",
    "messages": "JSON files of messages, one per language, or folders, zips or tars that hold them",
    "dict": "dictionaries (.dict, .dict.dz), or folders, zips, tars or Debian packages that hold them",
    "tei": "dictionaries in the XML of TEI",
    "qm": "Qt catalogues (.qm), or folders, zips, tars or Debian packages that hold them",
    "man": "manual pages, or folders such as /usr/share/man or Debian packages that hold them",
    "iwslt": "the same talks in two or more languages",
    "datasets": "one dataset: a folder that `save_to_disk` wrote, files or a folder, or a name on the hub",
}
_FORMAT_OF = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".tmx": "tmx",
    ".tei": "tei",
    ".dict": "dict",
    ".dz": "dict",
    ".index": "dict",
    ".po": "gettext",
    ".mo": "gettext",
    ".qm": "qm",
    ".whl": "gettext",
    ".deb": "gettext",
}


def records(
    kind: Format,
    paths: Sequence[Path],
    *,
    languages: Sequence[str],
    fields: Fields | ParallelFields,
    paragraphs: bool = False,
    delimiter: str | None = None,
    min_score: float | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the records of files of one format.

    Args:
        kind: the format.
        paths: the files, in the order that the format needs.
        languages: the languages of the files, if their names do not give them; for `dict` and `tei`, of words
            and translations; for `tatoeba`, `tmx`, `cldr`, `messages` and `man`, the only ones to
            import.
        fields: the meaning of the fields, for `csv`, `tsv`, `jsonl` and `parquet`.
        paragraphs: for `text`: each paragraph is a record, not each line.
        delimiter: for `csv`: the character between fields; None: the reader finds it.
        min_score: for `wikimatrix`: least score of a pair; None: 1.04.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: the format needs another number of files, or a file is damaged. If a file's name says that
            it has another format, so does the message.
    """

    def guarded(stream: Iterator[Record]) -> Iterator[Record]:
        with _naming_the_format(kind, paths):
            yield from stream

    with _naming_the_format(kind, paths):
        return guarded(_records(kind, paths, languages, fields, paragraphs, delimiter, min_score, notes))


@contextmanager
def _naming_the_format(kind: Format, paths: Sequence[Path]) -> Iterator[None]:
    """Add the format that a file's name says to the errors of the block, if it is another one."""
    try:
        yield
    except InputError as error:
        if (other := other_format(kind, paths)) is None:
            raise
        path, named = other
        raise InputError(f"{error}; is {path.name} of the format {named}, not {kind}?") from error


def other_format(kind: Format, paths: Sequence[Path]) -> tuple[Path, str] | None:
    """The first file whose name says that it has another format than `kind`, and that format."""
    from xformer.data.readers.lines import uncompressed_name

    for path in paths:
        named = _FORMAT_OF.get(Path(uncompressed_name(path)).suffix.lower())
        # The files of Tatoeba are called .csv, those of WikiMatrix .tsv; JSON has many forms.
        same = {
            "tatoeba": ("csv", "tsv"),
            "wikimatrix": ("csv", "tsv"),
            "cldr": ("jsonl",),
            "messages": ("jsonl",),
            "qm": ("gettext",),  # of these there are Debian packages
            "dict": ("gettext",),
            "man": ("gettext",),
            "datasets": ("csv", "tsv", "jsonl", "parquet"),
        }.get(kind, ())
        if named not in (None, kind, *same):
            return path, str(named)
    return None


def dataset_records(
    paths: Sequence[Path],
    options: DatasetOptions,
    fields: Fields | ParallelFields,
    languages: Sequence[str],
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the records of a dataset of the library `datasets`.

    Args:
        paths: one, or the name of a dataset on the hub.
        options: which part of it, and from where.
        fields: the meaning of the columns.
        languages: one, of all rows, or none.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: there are more paths or languages; or as `xformer.data.readers.read_datasets`.
    """
    from xformer.data.readers.hf_datasets import read_dataset_at

    if len(paths) != 1:
        raise InputError(f"datasets: expected {_DESCRIBES['datasets']}, got {len(paths)} file(s)")
    if len(languages) > 1:
        raise InputError(f"--languages: expected one for all rows, got {len(languages)}")
    language = languages[0] if languages else None
    return read_dataset_at(str(paths[0]), fields, options, language=language, notes=notes)


def source_of(kind: Format, path: Path, licence: str) -> Source:
    """Describe a file for the manifest; also a folder, by the files in it that its reader reads.

    Args:
        kind: the format.
        path: the file; of `dict` either of the two that belong together, which are described as one.
        licence: its licence; "stated", for `dict` and `tei`: the sentence in the file that states it.

    Raises:
        InputError: there is no such file, or a folder where the format has files; or the licence is "stated",
            and the file states none.
    """
    from xformer.data.manifest import Source
    from xformer.data.readers.catalogue_files import catalogue_files
    from xformer.data.readers.cldr import is_cldr_file
    from xformer.data.readers.dict import dict_files, is_dict_file
    from xformer.data.readers.man_files import is_man_file
    from xformer.data.readers.members import folder_files
    from xformer.data.readers.messages import is_messages_file
    from xformer.data.readers.qm import is_qm_file

    if kind == "datasets":
        return _dataset_source(path, licence)
    if licence == "stated":
        licence = _stated_licence(kind, path)
    wanted = {"cldr": is_cldr_file, "dict": is_dict_file, "man": is_man_file}
    wanted |= {"messages": is_messages_file, "qm": is_qm_file}
    if kind == "dict" and is_dict_file(path.name) and path.is_file():
        index, text = sorted(dict_files(path), key=lambda file: file.suffix != ".index")
        return replace(Source.of_folder(path.parent, [index, text], licence), name=text.name)
    if not path.is_dir() or kind not in ("gettext", *wanted):
        return Source.of(path, licence)
    files = folder_files(path, wanted[kind]) if kind in wanted else catalogue_files(path)
    return Source.of_folder(path, files, licence)


def _dataset_source(path: Path, licence: str) -> Source:
    """Describe a dataset: the files of one on disk; of one on the hub, its name."""
    from xformer.data.manifest import Source
    from xformer.data.readers.arrow import dataset_licence
    from xformer.data.readers.hf_datasets import dataset_files, source_name

    if licence == "stated":
        folders = [path, *sorted(inner for inner in path.glob("*") if inner.is_dir())]
        stated = next(filter(None, map(dataset_licence, folders)), None)
        if stated is None:
            raise InputError(f"{path}: states no licence; name it with --licence")
        licence = stated
    if not path.is_dir():
        return Source.of(path, licence) if path.is_file() else Source(source_name(str(path)), licence)
    return Source.of_folder(path, dataset_files(str(path)), licence)


def _stated_licence(kind: Format, path: Path) -> str:
    from xformer.data.readers.dict import dict_licence
    from xformer.data.readers.tei import tei_licence

    if kind not in ("dict", "tei"):
        raise InputError(f"--licence: expected the licence itself; files of {kind} state none")
    stated = dict_licence(path) if kind == "dict" else tei_licence(path)
    if stated is None:
        raise InputError(f"{path}: states no licence; name it with --licence")
    return stated


def _records(
    kind: Format,
    paths: Sequence[Path],
    languages: Sequence[str],
    fields: Fields | ParallelFields,
    paragraphs: bool,
    delimiter: str | None,
    min_score: float | None,
    notes: ImportNotes | None,
) -> Iterator[Record]:
    from xformer.data import readers
    from xformer.data.readers.hf_datasets import DatasetOptions
    from xformer.data.readers.tatoeba import export_files

    if kind == "datasets":
        return dataset_records(paths, DatasetOptions(), fields, languages, notes)
    zipped = kind == "moses" and all(path.suffix == ".zip" for path in paths)
    needed = 2 if kind in ("moses", "iwslt") and not zipped else 1
    if len(paths) < needed:
        raise InputError(
            f"{kind}: expected {_DESCRIBES.get(kind, 'at least one file')}, got {len(paths)} file(s)"
        )
    several = list(languages) or None
    one: list[str | None] = [*languages] if languages else [None] * len(paths)
    if kind in ("manythings", "csv", "tsv", "jsonl", "parquet", "text") and len(one) != len(paths):
        raise InputError(f"--languages: expected one for each of the {len(paths)} files, got {len(one)}")
    if kind in ("gettext", "qm") and len(languages) > 1:
        raise InputError(f"--languages: expected one for all catalogues, got {len(languages)}")
    if delimiter is not None and kind != "csv":
        raise InputError(f"--delimiter: expected with the format csv only, got {kind}")
    if min_score is not None and kind != "wikimatrix":
        raise InputError(f"--min-score: expected with the format wikimatrix only, got {kind}")
    read = getattr(readers, f"read_{kind}")
    match kind:
        case "gettext" | "qm":
            return read(paths, language=one[0], notes=notes)
        case "moses" if zipped:
            return chain.from_iterable(read([path], languages=several, notes=notes) for path in paths)
        case "moses" | "iwslt":
            return read(paths, languages=several, notes=notes)
        case "tatoeba":
            return read(*export_files(paths), languages=several, notes=notes)
        case "wikimatrix":
            scored = {} if min_score is None else {"min_score": min_score}
            read_scored = partial(read, languages=several, notes=notes, **scored)
            return chain.from_iterable(map(read_scored, paths))
        case "cldr" | "messages" | "dict" | "man":
            return read(paths, languages=several, notes=notes)
        case "tmx" | "tei":
            return chain.from_iterable(read(path, languages=several, notes=notes) for path in paths)
    of_format: dict[str, dict[str, Any]] = {
        "manythings": {},
        "text": {"paragraphs": paragraphs},
        "csv": {"fields": fields, "delimiter": delimiter},
    }
    options = of_format.get(kind, {"fields": fields}) | {"notes": notes}
    files = zip(paths, one, strict=True)
    return chain.from_iterable(read(path, language=language, **options) for path, language in files)
