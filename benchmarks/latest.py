"""Which of many records count: of each measurement those of the newest run that made it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xformer.errors import InputError

from .record import Record, read


def read_all(folder: Path) -> list[Record]:
    """The records of every device in a folder, in the order of the files' names; none where it is missing.

    Raises:
        InputError: a line is not a record; the message names file and line.
    """
    return [record for path in record_files(folder) for record in read_file(path)]


def record_files(folder: Path) -> list[Path]:
    """The files of records in a folder, sorted by name; none where it is missing.

    Earlier versions also wrote `-tiles.jsonl` files, which hold tile sizes and no records.
    """
    return sorted(path for path in folder.glob("*.jsonl") if not path.name.endswith("-tiles.jsonl"))


def read_file(path: Path) -> list[Record]:
    """The records of one file.

    Raises:
        InputError: there is no such file, or a line is not a record; the message says which.
    """
    try:
        return read(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file of records") from error
    except ValueError as error:
        raise InputError(str(error)) from error


def latest(records: Iterable[Record]) -> list[Record]:
    """The records of the newest run, for each case and direction on each device.

    So implementations stand beside those of the same run only, and a run of a few cases hides nothing else.

    Returns:
        What is left, in its order. Of one measurement that a run made twice, the second.
    """
    kept: dict[tuple[str, ...], Record] = {}
    newest: dict[tuple[str, ...], str] = {}
    several = list(records)
    for record in several:
        place = _place(record)
        newest[place] = max(newest.get(place, ""), record.environment.time)
    for record in several:
        if record.environment.time == newest[_place(record)]:
            kept[(*_place(record), record.implementation)] = record
    return list(kept.values())


def _place(record: Record) -> tuple[str, ...]:
    where = record.environment.device
    return (where, record.operation, record.sweep, record.case, record.dtype, record.direction)
