"""The reader of Hugging Face's `datasets`: what `load_dataset` gives, also streamed, and what was saved.

Folders that `save_to_disk` wrote are read with pyarrow alone. Other files and names are opened by the library
`datasets` (extra `datasets`). A name is looked for on huggingface.co only where that was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.arrow import (
    class_names,
    is_saved_dataset,
    saved_dataset_rows,
    splits_of,
    with_class_names,
)
from xformer.data.readers.rows import (
    Fields,
    ParallelFields,
    Row,
    RowFields,
    field_value,
    records_of_rows,
    require_columns,
)
from xformer.data.record import Record, content_group
from xformer.errors import InputError

_BUILDERS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".arrow": "arrow",
}
_TEXTS = {"string", "large_string", "string_view"}
_TAG = re.compile(r"[a-z]{2,3}([-_@][A-Za-z0-9]{2,8})*")
_TEXT = Fields().text


@dataclass(frozen=True)
class DatasetOptions:
    """Which part of a dataset is read, and from where.

    Attributes:
        config: a configuration of it, such as `de-en`.
        splits: names of splits. Empty: the only one.
        streaming: read a dataset of the hub as it comes, and keep no copy.
        hub: look for a name on huggingface.co.
    """

    config: str | None = None
    splits: tuple[str, ...] = ()
    streaming: bool = False
    hub: bool = False


@dataclass(frozen=True)
class _Part:
    """A split: its place in messages, its rows, and what its columns are, as JSON; None if not known yet."""

    place: str
    dataset: Any
    features: dict[str, Any] | None


def read_datasets(
    dataset: Any,
    fields: RowFields | None = None,
    *,
    language: str | None = None,
    splits: Sequence[str] = (),
    name: str = "dataset",
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the rows of a `Dataset` or an `IterableDataset`, or of the splits of a dictionary of such.

    >>> dataset = load_dataset("json", data_files="texts.jsonl", streaming=True)  # doctest: +SKIP
    >>> records = read_datasets(dataset, Fields("text", language="lang"))  # doctest: +SKIP

    Args:
        dataset: of the library `datasets`. Only the columns that are needed are read; a format that was set
            (`with_format`) changes nothing.
        fields: the meaning of the columns. Numbers of classes become their names. None: a column `text`, or
            one with translations (`{"en": …, "de": …}`, or `Translation` and `TranslationVariableLanguages`
            of the library), whose keys are the languages. Where the field for the language is no column but a
            tag, it is that of all rows.
        language: of every row, if `fields` names no column for it.
        splits: of a dictionary, which to read. Empty: the only one.
        name: of the dataset, in messages and in records.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: it is no dataset, or damaged; a split or a column is missing, or has no text in it; the
            message names the row, counted from 1.
    """
    parts = _parts(dataset, splits, name)
    for part in parts:
        yield from _records(part, fields or Fields(), language, name, notes)


def read_dataset_at(
    path: str, fields: RowFields, options: DatasetOptions, *, language: str | None, notes: ImportNotes | None
) -> Iterator[Record]:
    """Stream the rows of a dataset on disk, or on the hub; arguments and errors are those of `read_datasets`.

    Args:
        path: a folder that `save_to_disk` wrote, a file or folder that `load_dataset` takes, or a name on the
            hub.
        fields: as in `read_datasets`.
        options: which part of it.
        language: as in `read_datasets`.
        notes: as in `read_datasets`.
    """
    if Path(path).is_dir() and (is_saved_dataset(path) or splits_of(path) is not None):
        if options.config is not None:
            raise InputError(f"--config: expected none, {path} is a saved dataset and has no configurations")
        opened: Any = _saved(Path(path))
    else:
        opened = _loaded(path, options)
    for part in _parts(opened, options.splits, path):
        yield from _records(part, fields, language, source_name(path), notes)


def source_name(path: str) -> str:
    """The name of a dataset in the manifest and in records: `org--name` for one of the hub."""
    return Path(path).name if Path(path).exists() else path.replace("/", "--")


def dataset_files(path: str) -> list[Path]:
    """The files of a dataset on disk; none for one on the hub."""
    if Path(path).is_dir():
        return sorted(file for file in Path(path).rglob("*") if file.is_file())
    return [Path(path)] if Path(path).is_file() else []


@dataclass(frozen=True)
class _SavedSplit:
    """A folder that `Dataset.save_to_disk` wrote, read by pyarrow."""

    folder: Path

    @property
    def features(self) -> dict[str, Any]:
        """What its columns are.

        Raises:
            InputError: the file that says so is missing or damaged.
        """
        path = self.folder / "dataset_info.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["features"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: expected the features of a saved dataset") from error
        if not isinstance(found, dict):
            raise InputError(f"{path}: expected the features of a saved dataset")
        return found


def _saved(path: Path) -> Any:
    splits = splits_of(path)
    return _SavedSplit(path) if splits is None else {name: _SavedSplit(path / name) for name in splits}


def _loaded(path: str, options: DatasetOptions) -> Any:
    """What `load_dataset` makes of files, of a folder, or of a name.

    Raises:
        InputError: the library is missing; there is nothing of that name, or it cannot be opened.
    """
    file, there = Path(path), Path(path).exists()
    if not there and not options.hub:
        raise InputError(f"{path}: no such file or folder; with --hub it is looked for on huggingface.co")
    if file.is_file() and file.suffix not in _BUILDERS:
        raise InputError(f"{path}: expected a file of {', '.join(_BUILDERS)}, or a folder")
    if file.is_file() and options.config is not None:
        raise InputError(f"--config: expected none, {path} is a file")
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"{path}: opening it needs datasets: pip install 'xformer[datasets]'") from error
    # What lies here is read as it lies: nothing is fetched, and no copy is made of it.
    how: dict[str, Any] = {"streaming": there or options.streaming}
    if there:
        how["download_config"] = datasets.DownloadConfig(local_files_only=True)
    try:
        if file.is_file():
            separator = {"sep": "\t"} if file.suffix == ".tsv" else {}
            return datasets.load_dataset(_BUILDERS[file.suffix], data_files=path, **separator, **how)
        return datasets.load_dataset(path, options.config, **how)
    except _errors(datasets) as error:
        where = "" if there else " on huggingface.co, or it cannot be reached"
        raise InputError(f"{path}: cannot be opened{where}: {_first_line(error)}") from error


def _errors(datasets: Any) -> tuple[type[Exception], ...]:
    """What the library raises for files and networks that are not as they should be."""
    return (datasets.exceptions.DatasetsError, ValueError, OSError, KeyError, TypeError, NotImplementedError)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _parts(dataset: Any, splits: Sequence[str], name: str) -> list[_Part]:
    """The splits that were asked for."""
    if isinstance(dataset, Mapping):
        there = ", ".join(map(str, dataset)) or "none"
        if missing := [split for split in splits if split not in dataset]:
            raise InputError(f"{name}: has no split {missing[0]}; it has {there}")
        if not splits and len(dataset) != 1:
            raise InputError(f"{name}: expected the names of splits (--split), it has {there}")
        return [_part(dataset[split], f"{name}: {split}") for split in splits or dataset]
    part = _part(dataset, name)
    if splits:
        raise InputError(f"{name}: expected no names of splits (--split), it has one part alone")
    return [part]


def _part(dataset: Any, place: str) -> _Part:
    if isinstance(dataset, _SavedSplit):
        return _Part(place, dataset, dataset.features)
    if not hasattr(dataset, "with_format") or not isinstance(dataset, Iterable):
        raise InputError(f"{place}: expected a dataset of the library datasets, got {type(dataset).__name__}")
    features = getattr(dataset, "features", None)
    return _Part(place, dataset, None if features is None else features.to_dict())


def _records(
    part: _Part, fields: RowFields, language: str | None, name: str, notes: ImportNotes | None
) -> Iterator[Record]:
    notes = notes or ImportNotes()
    features: Mapping[str, Any] | None = part.features
    rows: Iterator[Row] | None = None
    if features is None:
        # Streams of CSV, say, know their columns with the first row.
        rows = _rows(part, None)
        first = next(rows, None)
        if first is None:
            return
        features, rows = {column: _guessed(value) for column, value in first[2].items()}, chain([first], rows)
    fields, language = _settled(fields, language, features, part.place)
    if isinstance(fields, Fields) and _kind(features.get(fields.text)) == "TranslationVariableLanguages":
        yield from _several(rows or _rows(part, [fields.text]), fields.text, name, notes)
        return
    _check(fields, features, part.place)
    columns = sorted({one if one in features else one.split(".")[0] for one in fields.names})
    yield from records_of_rows(rows or _rows(part, columns), name, fields, language, (), notes)


def _settled(
    fields: RowFields, language: str | None, features: Mapping[str, Any], place: str
) -> tuple[RowFields, str | None]:
    """The fields, where none were given those that the columns suggest; and the language of all rows."""
    tag = fields.language if isinstance(fields, Fields) else None
    if isinstance(fields, Fields) and tag is not None and tag not in features and _TAG.fullmatch(tag):
        fields, language = replace(fields, language=None), tag
    if not isinstance(fields, Fields) or fields.text in features or fields.text != _TEXT:
        return fields, language
    translated = [column for column, feature in features.items() if _languages(column, feature)]
    if len(translated) != 1:
        texts = [column for column, feature in features.items() if _kind(feature) in _TEXTS]
        raise InputError(
            f"{place}: no column {_TEXT!r}; name the one with the text (--text):"
            f" {', '.join(map(repr, texts or features)) or 'there are none'}"
        )
    column = translated[0]
    if _kind(features[column]) == "TranslationVariableLanguages":
        return replace(fields, text=column), language
    texts_of = {f"{column}.{tag}": tag for tag in _languages(column, features[column])}
    return ParallelFields(texts_of, fields.group, fields.id, fields.label), language


def _languages(column: str, feature: Any) -> list[str]:
    """The languages of a column with translations; none of another."""
    if _kind(feature) in ("Translation", "TranslationVariableLanguages"):
        return list(feature.get("languages") or [])
    # Of files of JSON nobody has said that they are translations.
    named = column == "translation" and isinstance(feature, dict) and "_type" not in feature
    return list(feature) if named and len(feature) > 1 and all(map(_TAG.fullmatch, feature)) else []


def _kind(feature: Any) -> str:
    """What a column holds: `string`, `int64`, `ClassLabel`, `Translation`, `list`, `struct`, and so on."""
    if isinstance(feature, list):
        return "list"
    if not isinstance(feature, Mapping):
        return ""
    kind = str(feature.get("_type", "struct"))
    if kind == "Value":
        return str(feature.get("dtype"))
    return "list" if kind in ("Sequence", "List", "LargeList") else kind


def _guessed(value: Any) -> Any:
    """The feature of a column, from a value in it."""
    if isinstance(value, Mapping):
        return {key: _guessed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [{}]
    # Null may become text in another row.
    return {
        "_type": "Value",
        "dtype": "string" if value is None else type(value).__name__.replace("str", "string"),
    }


def _check(fields: RowFields, features: Mapping[str, Any], place: str) -> None:
    """Refuse columns that are missing, or have no text, before the first row."""
    texts = [fields.text] if isinstance(fields, Fields) else list(fields.texts)
    for name in fields.names:
        feature: Any = features
        for part in [name] if name in features else name.split("."):
            known = feature.get("languages") if _kind(feature) == "Translation" else feature
            at = place if part == name else f"{place}: {name}"
            require_columns([part], known if isinstance(known, Mapping | list) else {}, at)
            feature = feature[part] if isinstance(known, Mapping) else {"_type": "Value", "dtype": "string"}
        kind = _kind(feature)
        if name in texts and kind not in _TEXTS | {"ClassLabel", "null"}:
            join = "; join it first, by dataset.map" if kind == "list" else ""
            raise InputError(f"{place}: field {name!r}: expected text, its column has {kind}{join}")


def _rows(part: _Part, columns: Sequence[str] | None) -> Iterator[Row]:
    """The rows of a split; the columns that are needed, with the names of classes."""
    if isinstance(part.dataset, _SavedSplit):
        yield from saved_dataset_rows(part.dataset.folder, columns or [])
        return
    import datasets

    plain = part.dataset.with_format(None)
    if columns is not None and part.features is not None:
        plain = plain.select_columns(list(columns))
    described = {"info": {"features": part.features or {}}}
    names = class_names({b"huggingface": json.dumps(described).encode()})
    number, rows = 0, iter(plain)
    while True:
        try:
            row = next(rows, None)
        except _errors(datasets) as error:
            raise InputError(f"{part.place}: damaged after row {number}: {_first_line(error)}") from error
        if row is None:
            return
        number += 1
        place = f"{part.place}: row {number}"
        yield place, number, with_class_names(dict(row), names, place)


def _several(rows: Iterable[Row], column: str, name: str, notes: ImportNotes) -> Iterator[Record]:
    """The records of rows with any number of translations: a list of languages beside one of texts."""
    for place, number, row in rows:
        value = field_value(row, column, place, Mapping, "languages and translations") or {}
        tags, texts = value.get("language"), value.get("translation")
        if (
            not isinstance(tags, list | tuple)
            or not isinstance(texts, list | tuple)
            or len(tags) != len(texts)
        ):
            raise InputError(f"{place}: field {column!r}: expected as many languages as translations")
        filled = [(tag, text) for tag, text in zip(tags, texts, strict=True) if text and text.strip()]
        group = content_group(*(text for _, text in filled))
        for tag, text in filled:
            yield Record(text, notes.normalize(tag), group, f"{name}:{number}")
