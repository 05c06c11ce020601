"""The files of a report: JSON, which is read again, and a table and pictures, which people look at."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from xformer.errors import InputError
from xformer.plotting.charts import Figure
from xformer.plotting.png import can_write_png, png
from xformer.progress import Progress
from xformer.storage.files import atomic_write, try_to_write, write_files
from xformer.storage.structure import structure


@dataclass(frozen=True)
class Report:
    """A report that is kept as one JSON object. The fields of a subclass, a dataclass, are its keys.

    Attributes:
        what: what it is, in messages.
        command: what makes one.
        layout: version of the fields, the key `format`.
    """

    what: ClassVar[str]
    command: ClassVar[str]
    layout: ClassVar[int]

    def to_record(self) -> dict[str, Any]:
        """The JSON object."""
        return asdict(self) | {"format": self.layout}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The report that `to_record` made a record of, without its `format`.

        Raises:
            ValueError: a key is missing, unknown or of another type.
        """
        return structure(record, cls)

    def to_json(self) -> str:
        """The JSON object as text, indented."""
        return json.dumps(self.to_record(), indent=2, ensure_ascii=False, allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON, whole or not at all."""
        with atomic_write(path) as file:
            file.write(self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, is not such a report, or is of another version.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(record, dict) or record.get("format") != cls.layout:
                found = f"format {record.get('format')}" if isinstance(record, dict) else "no object"
                raise ValueError(f"expected format {cls.layout}, got {found}; `{cls.command}` makes one")
            del record["format"]
            return cls.from_record(record)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected {cls.what}: {error}") from error

    @classmethod
    def load_if_there(cls, path: str | os.PathLike[str]) -> Self | None:
        """Read what `save` wrote; None where this version cannot."""
        try:
            return cls.load(path)
        except InputError:
            return None


class UnsavedError(InputError):
    """A report is complete, but could not be written into the run.

    Attributes:
        report: the scores.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def write_report(
    report: Report,
    path: Path,
    pictures: Mapping[Path, Figure | None],
    progress: Progress,
    *,
    table: str | None = None,
    write_card: Callable[[], object] | None = None,
) -> None:
    """Write the files of a report, each whole or not at all.

    The JSON comes last: where it is, an evaluation is not repeated, so it must not be there without the rest.

    Args:
        report: the scores.
        path: the JSON file.
        pictures: what each PNG file shows; None removes an earlier picture, which is of other scores.
        progress: where to say that there are no pictures.
        table: Markdown for the file beside the JSON, with the ending `.md`.
        write_card: writes the model card, which shows the table and the pictures.

    Raises:
        UnsavedError: a file cannot be written.
    """
    try:
        if table is not None:
            with atomic_write(path.with_suffix(".md")) as file:
                file.write(table)
        for place, figure in pictures.items():
            place.unlink(missing_ok=True)
            write_files([(place, None if figure is None else png(figure))])
        if write_card is not None:
            write_card()
        report.save(path)
    except OSError as error:
        raise UnsavedError(f"{_reason(error)}: the scores are shown, but not saved", report) from error
    if any(pictures.values()) and not can_write_png():
        progress.say("no pictures: matplotlib is not installed (extra `plot`)")


def say_if_unwritable(path: Path, progress: Progress) -> None:
    """Say it where a report cannot be written, before the work for it begins."""
    if problem := write_problem(lambda: try_to_write(path)):
        progress.say(f"{problem}: the scores will be shown, but not saved")


def write_problem(write: Callable[[], object]) -> str | None:
    """Call `write`; return the reason of the system if it fails."""
    try:
        write()
    except OSError as error:
        return _reason(error)
    return None


def _reason(error: OSError) -> str:
    return f"{error.filename}: cannot be written ({error.strerror})"
