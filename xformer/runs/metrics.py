"""The training log, metrics.jsonl, whose numbers also go to the trackers."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from xformer.errors import InputError
from xformer.runs.trackers import Trackers
from xformer.storage.files import atomic_write

FIELDS = ("step", "elapsed", "tokens", "tokens_per_s", "stage", "loss")
"""Fields of each line of metrics.jsonl, for all tasks."""

PRETRAINING_FIELDS = (*FIELDS, "languages")
"""Fields in pretraining; plots, panel and model card need them."""

_NUMBER, _NUMBERS, _FOUND = "a number", "numbers by name", "a number or null"
_KINDS = {
    "step": "a whole number",
    "stage": "a text",
    "languages": "numbers by name, by language",
    "sources": "numbers by name, by source",
    "alignment_by_layer": "a list of numbers or null",
    **dict.fromkeys(("elapsed", "tokens", "tokens_per_s", "gradient_norm"), _NUMBER),
    **dict.fromkeys(("loss", "lr_factor", "top1", "bits_per_byte"), _NUMBERS),
    **dict.fromkeys(("mean_top1", "mean_bits_per_byte", "centroid_gap", "anisotropy", "hubness"), _FOUND),
}
"""The types of fields of metrics.jsonl and panel.jsonl."""


class MetricsLog:
    """Appends lines to metrics.jsonl, and sends them to the trackers.

    Attributes:
        lines: number of lines that the run has written.
    """

    lines: int

    def __init__(
        self, path: Path, step: int, trackers: Trackers | None = None, expected: int | None = None
    ) -> None:
        """Open the log, and remove the lines of steps after `step`.

        If lines up to that step are missing, a warning says so: they cannot be computed again.

        Args:
            path: metrics.jsonl.
            step: step of the checkpoint that the run resumes from.
            trackers: also get each line; closed with the log.
            expected: number of lines up to that step; None if it is not known.

        Raises:
            InputError: metrics.jsonl cannot be written, or a line is invalid; its number is given.
        """
        self._path, self._trackers = path, trackers
        try:
            kept = [line for line in read_metrics(path, FIELDS) if line["step"] <= step]
            if expected is not None and len(kept) != expected:
                self._warn_of_missing(kept, step, expected)
            self.lines = len(kept) if expected is None else expected
            with atomic_write(path) as file:
                file.writelines(json.dumps(line) + "\n" for line in kept)
            self._file = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._unwritable(error) from error

    def _warn_of_missing(self, kept: list[dict[str, Any]], step: int, expected: int) -> None:
        """Warn of missing lines. They count as written, so that each call warns until they are put back."""
        those = f", of steps {kept[0]['step']:,} to {kept[-1]['step']:,}" if kept else ""
        warnings.warn(
            f"{self._path}: lines are lost: expected {expected:,} up to step {step:,}, where the run resumes,"
            f" found {len(kept):,}{those}. Training goes on without them, but they are missing in the plots"
            " unless they are put back before the next call",
            stacklevel=3,
        )

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        # A full disk was reported by `write`.
        with suppress(OSError):
            self._file.close()
        if self._trackers is not None:
            self._trackers.close()

    def write(self, line: dict[str, Any]) -> None:
        """Write one line; it has `step`.

        Raises:
            InputError: metrics.jsonl cannot be written, for example because the disk is full.
        """
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        self.lines += 1
        if self._trackers is not None:
            self._trackers.write(line)

    def track(self, numbers: Mapping[str, float], step: int) -> None:
        """Send numbers that are not of the log to the trackers."""
        if self._trackers is not None:
            self._trackers.add(numbers, step)

    def flush_to_disk(self) -> None:
        """Return once all lines are on the disk, so that a checkpoint can count them.

        Raises:
            InputError: they cannot be written to the disk.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path}: cannot be written ({error.strerror}). Checkpoints are unchanged: once the cause"
            " is removed, the same command resumes from the newest checkpoint"
        )


def read_metrics(path: Path, fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without a last line that was cut short by a crash.

    Args:
        path: metrics.jsonl, or another log of JSON lines.
        fields: fields that each line must have.

    Raises:
        InputError: another line is no JSON object, or a field is missing or has another type; the line's
            number is given.
    """
    if not path.is_file():
        return []
    lines = []
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            lines.append(dict(json.loads(text)))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: expected a JSON object, {error}") from error
        if missing := [name for name in fields if name not in lines[-1]]:
            raise InputError(f"{path}:{number}: expected the field(s) {', '.join(missing)}")
        for name, kind in _KINDS.items():
            if name in lines[-1] and not _is(kind, found := lines[-1][name]):
                raise InputError(f"{path}:{number}: {name}: expected {kind}, found {found!r:.80}")
    return lines


def _is(kind: str, value: object) -> bool:
    """Whether a value from JSON has a type of `_KINDS`."""
    match kind:
        case "a text":
            return isinstance(value, str)
        case "a whole number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "a number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "a number or null":
            return value is None or _is(_NUMBER, value)
        case "a list of numbers or null":
            return isinstance(value, list) and all(_is(_FOUND, one) for one in value)
    of_each = _NUMBER if kind == _NUMBERS else _NUMBERS
    return isinstance(value, dict) and all(_is(of_each, one) for one in value.values())


def without_remnant(lines: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The lines of a log, without a last line that covers few steps.

    The last line of a run covers the remaining steps: often one or two, where others cover hundreds.

    Args:
        lines: of metrics.jsonl.

    Returns:
        All lines; without the last one if it covers less than a quarter of the steps of the line before.
    """
    if len(lines) < 3 or lines[-1]["stage"] != lines[-2]["stage"]:
        return lines
    earlier, before, last = (line["step"] for line in lines[-3:])
    return lines[:-1] if 4 * (last - before) < before - earlier else lines
