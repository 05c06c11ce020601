"""The reader of Arrow files, and of folders that Hugging Face's `datasets` saved, with pyarrow alone.

`Dataset.save_to_disk` writes a folder of Arrow files with `state.json`, which lists them in order;
`DatasetDict.save_to_disk` writes a folder with such a folder for each split, and `dataset_dict.json`. A
column of class numbers has the names of its classes beside it (`ClassLabel`); rows get the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xformer.data.readers.lines import FilePath, input_errors
from xformer.data.readers.rows import Row, require_columns
from xformer.errors import InputError

_STATE, _SPLITS, _INFO = "state.json", "dataset_dict.json", "dataset_info.json"
_FILE_MAGIC = b"ARROW1"
_FEATURES_KEY = b"huggingface"


def arrow_rows(path: FilePath, needed: Sequence[str]) -> Iterator[Row]:
    """Stream the rows of an Arrow file, a stream of batches or a file with a footer; it is mapped, not read.

    Args:
        path: the file.
        needed: the columns that rows have; a dotted name is a field of a struct.

    Raises:
        InputError: pyarrow is not installed, the file is missing or damaged, or a column is missing; the
            message names the row, counted from 1.
    """
    for number, row in enumerate(_rows(Path(path), needed), 1):
        yield f"{path}: row {number}", number, row


def is_saved_dataset(path: FilePath) -> bool:
    """Whether a folder was written by `Dataset.save_to_disk`."""
    return (Path(path) / _STATE).is_file()


def saved_dataset_rows(folder: FilePath, needed: Sequence[str]) -> Iterator[Row]:
    """Stream the rows of a folder that `Dataset.save_to_disk` wrote, in the dataset's order.

    Raises:
        InputError: as `arrow_rows`, or the folder is not complete.
    """
    state, number = _json(Path(folder) / _STATE), 0
    files = state.get("_data_files")
    listed = [one for one in files if isinstance(one, dict)] if isinstance(files, list) else []
    names = [str(one.get("filename")) for one in listed]
    if not names or not all(Path(name).name == name for name in names):
        raise InputError(f"{Path(folder) / _STATE}: expected the names of the dataset's files, `_data_files`")
    if state.get("_indices_data_files"):
        raise InputError(
            f"{folder}: saved by an old version of `datasets`, which kept the order of rows apart;"
            " save it again"
        )
    for name in names:
        for row in _rows(Path(folder) / name, needed):
            number += 1
            yield f"{folder}: row {number}", number, row


def splits_of(path: FilePath) -> tuple[str, ...] | None:
    """The splits of a folder that `DatasetDict.save_to_disk` wrote; None of any other path.

    Raises:
        InputError: the list of splits is damaged.
    """
    listed = Path(path) / _SPLITS
    if not listed.is_file():
        return None
    found = _json(listed).get("splits")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise InputError(f"{listed}: expected a list of splits")
    return tuple(found)


def one_split(path: Path, wanted: Sequence[str]) -> Path:
    """The folder of a split where the path is that of several; any other path as it is.

    Args:
        path: a file or a folder.
        wanted: names of splits; the first that is there is taken.

    Raises:
        InputError: none of them is there.
    """
    splits = splits_of(path)
    if splits is None:
        return path
    for name in wanted:
        if name in splits:
            return path / name
    there = ", ".join(str(path / name) for name in splits)
    raise InputError(f"{path}: has no split {' or '.join(wanted)}; name one of its splits: {there or 'none'}")


def dataset_name(path: FilePath) -> str:
    """The name that says the language of a path: of a split, that of the folder with all splits."""
    path = Path(path)
    return path.parent.name if (path.parent / _SPLITS).is_file() else path.name


def dataset_licence(path: FilePath) -> str | None:
    """The licence that a saved dataset says it is under; None where it says none."""
    try:
        found = json.loads((Path(path) / _INFO).read_text(encoding="utf-8")).get("license")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and found.strip() else None


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of the classes of each column that has such, from the metadata of an Arrow schema."""
    try:
        features = json.loads((metadata or {}).get(_FEATURES_KEY, b"{}"))["info"]["features"]
        found = {name: _names(feature) for name, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # someone else's metadata
    return {name: names for name, names in found.items() if names}


def with_class_names(row: dict[str, Any], names: Mapping[str, list[str]], place: str) -> dict[str, Any]:
    """A row with the names of classes where it has their numbers.

    Raises:
        InputError: a number is that of no class; `datasets` writes -1 where a label is kept secret.
    """
    for column, known in names.items():
        if column in row:
            row[column] = _named(row[column], known, f"{place}: field {column!r}")
    return row


def _rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
    except ImportError as error:
        raise InputError(f"{path}: reading Arrow needs pyarrow: pip install 'xformer[parquet]'") from error
    number = 0
    try:
        with input_errors(path), pyarrow.memory_map(str(path)) as file:
            if not file.size():
                raise InputError(f"{path}: expected an Arrow file, it is empty")
            whole = file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
            file.seek(0)
            with (pyarrow.ipc.open_file if whole else pyarrow.ipc.open_stream)(file) as opened:
                there = opened.schema.names
                columns = sorted({name if name in there else name.split(".")[0] for name in needed})
                require_columns(columns, there, str(path))
                names = class_names(opened.schema.metadata)
                count = opened.num_record_batches if whole else None
                batches = map(opened.get_batch, range(count)) if count is not None else iter(opened)
                for batch in batches:
                    for row in batch.select(columns).to_pylist():
                        number += 1
                        yield with_class_names(row, names, f"{path}: row {number}")
    except (pyarrow.ArrowException, UnicodeError) as error:
        raise InputError(f"{path}: not a valid Arrow file, after row {number}: {error}") from error


def _names(feature: Any) -> list[str]:
    """The names of a `ClassLabel`, or of a list of such; none of another feature."""
    if isinstance(feature, list) and len(feature) == 1:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or ()]
    return _names(feature["feature"]) if "feature" in feature else []


def _named(value: Any, names: Sequence[str], place: str) -> Any:
    if isinstance(value, list):
        return [_named(one, names, place) for one in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 0 <= value < len(names):
        hidden = "; -1 stands for a label that is kept secret" if value == -1 else ""
        raise InputError(f"{place}: expected a class from 0 to {len(names) - 1}, got {value}{hidden}")
    return names[value]


def _json(path: Path) -> dict[str, Any]:
    with input_errors(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: expected a JSON object: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, got {text[:60]!r}")
    return found
