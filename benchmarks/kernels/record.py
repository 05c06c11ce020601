"""The record of a measurement: one line of JSON with all that is needed to judge and to repeat it.

Lines are only ever added to a file of records, one at a time, and written to disk at once. A run that is cut
off keeps what it measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from xformer.errors import InputError

from ..environment import Environment
from ..lines import append_lines

Direction = Literal["forward", "backward", "forward+backward"]
Status = Literal["ok", "wrong", "unsupported", "failed", "absent"]


@dataclass(frozen=True)
class Record:
    """One implementation on one case in one direction.

    Times are quantiles of the time of one call, in seconds, by name: p20, p50, p80. On a GPU they are the
    device's own, without what the host needs to launch it.

    Attributes:
        operation: what was measured: `attention`, `layer_norm`, `copy` and so on.
        sweep: the cases it is drawn with, such as `ragged d64`; along a sweep one number in `shape` grows.
        case: the case's name within the operation. Empty where `status` is `absent`.
        shape: the case's numbers and options, by name.
        dtype: of the inputs: `bfloat16`, `float16`, `float32`.
        environment: where, with what, and when. Records of one run have the same `time` in it.
        direction: `forward` is without gradients, `backward` the gradients alone, or both together.
        implementation: `xformer triton`, `sdpa flash`, `liger` and so on.
        status: `ok`; or without times: `wrong`, its error is too large; `unsupported`, it says that it cannot
            do this; `failed`, it raised an error; `absent`, it is not installed (one record per operation).
        note: why it is not ok.
        error: largest absolute difference from fp64, of the result where it is worst; none if not finite.
        error_multiple: the same as a multiple of plain PyTorch's error in this dtype, or of the rounding
            error where PyTorch has less. At most 2 is right, and slightly more where rounding explains it.
        seconds: with the caches as the call before left them.
        cold_seconds: with other data in the caches.
        launch_seconds: what the host needs to start one call: on a GPU, its own time until the call returns;
            on a CPU, the time of a call with next to no work.
        peak_bytes: largest memory of one call beside its inputs; none where it is not known.
        flops: useful floating-point operations of one call: those that the case needs.
        bytes: useful memory traffic: every input read once and every result written once.
        flops_per_second: at the median of `cold_seconds`, or of `seconds` where there are none.
        bytes_per_second: the same.
        roofline_share: the least time that `flops` and `bytes` take at the rates of this device's own large
            matrix product in this dtype and large copy, both measured in the same run, as a share of the
            median time, cold where known.
        rounds: times it was measured.
    """

    operation: str
    sweep: str
    case: str
    shape: dict[str, int | float | str | bool]
    dtype: str
    environment: Environment
    direction: Direction = "forward"
    implementation: str = ""
    status: Status = "ok"
    note: str = ""
    error: float | None = None
    error_multiple: float | None = None
    seconds: dict[str, float] | None = None
    cold_seconds: dict[str, float] | None = None
    launch_seconds: float | None = None
    peak_bytes: int | None = None
    flops: float | None = None
    bytes: float | None = None
    flops_per_second: float | None = None
    bytes_per_second: float | None = None
    roofline_share: float | None = None
    rounds: int = 0

    @property
    def best_median(self) -> float | None:
        """Seconds of one call at the median that the rates are of: cold where known; none if not timed."""
        times = self.cold_seconds or self.seconds
        return times["p50"] if times else None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record that `to_json` wrote.

        Raises:
            ValueError: the line is not such a record; the message says what is missing or unknown.
        """
        values = _exactly(json.loads(line), cls, "benchmark record")
        where = _exactly(values["environment"], Environment, "benchmark record's environment")
        return cls(**{**values, "environment": Environment(**where)})


def append(path: Path, records: Iterable[Record]) -> None:
    """Add records at the end of a file (`xformer.benchmarks.lines`)."""
    append_lines(path, (record.to_json() for record in records))


def read(path: Path) -> list[Record]:
    """All records of a file; a last line without its end, as a cut-off run leaves it, is not one.

    Raises:
        InputError: there is no such file, or a line is not a record; the message names file and line.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of records")
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            records.append(Record.from_json(line.decode()))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: {error}") from error
    return records


def read_folder(folder: Path) -> list[tuple[Record, str]]:
    """The records of every device in a folder, each with file and line; none where the folder is missing.

    Earlier versions also wrote `-tiles.jsonl` files, which hold tile sizes and no records.

    Raises:
        InputError: a line is not a record; the message names file and line.
    """
    files = sorted(path for path in folder.glob("*.jsonl") if not path.name.endswith("-tiles.jsonl"))
    return [(record, f"{path}:{number}") for path in files for number, record in enumerate(read(path), 1)]


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


def _exactly(values: Any, kind: type, what: str) -> dict[str, Any]:
    """`values`, which must be an object with the fields of `kind`."""
    known = {field.name for field in fields(kind)}
    given = set(values) if isinstance(values, dict) else set()
    if not isinstance(values, dict) or given != known:
        raise ValueError(f"{what}: missing {sorted(known - given)}, unknown {sorted(given - known)}")
    return values
