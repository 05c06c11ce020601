"""What a run writes down while it trains: metrics.jsonl, whose numbers go to the trackers too."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from xformer.errors import InputError
from xformer.runs.trackers import Trackers
from xformer.storage.files import atomic_write

FIELDS = ("step", "elapsed", "tokens", "tokens_per_s", "stage", "loss")
"""What each line of metrics.jsonl has, whatever is trained."""

PRETRAINING_FIELDS = (*FIELDS, "languages")
"""What it has in pretraining, which pictures, panel and model card need."""

_NUMBER, _NUMBERS, _FOUND = "a number", "numbers by name", "a number or null"
_KINDS = {
    "step": "a whole number",
    "elapsed": _NUMBER,
    "tokens": _NUMBER,
    "tokens_per_s": _NUMBER,
    "stage": "a text",
    "loss": _NUMBERS,
    "languages": "numbers by name, by language",
    "lr_factor": _NUMBERS,
    "gradient_norm": _NUMBER,
    "mean_top1": _FOUND,
    "mean_bits_per_byte": _FOUND,
    "centroid_gap": _FOUND,
    "anisotropy": _FOUND,
    "hubness": _FOUND,
    "alignment_by_layer": "a list of numbers or null",
    "top1": _NUMBERS,
    "bits_per_byte": _NUMBERS,
}
"""What readers take a field for, where a line of metrics.jsonl or panel.jsonl has it."""


class MetricsLog:
    """Appends to metrics.jsonl, and tells the trackers.

    Attributes:
        lines: how many the run has written up to now.
    """

    lines: int

    def __init__(
        self,
        path: Path,
        step: int,
        trackers: Trackers | None = None,
        expected: int | None = None,
    ) -> None:
        """Open the log of a run that is at `step`; lines of later steps are dropped.

        Where lines up to that step are missing, a warning says so: they cannot be made again.

        Args:
            path: metrics.jsonl.
            step: of the checkpoint that the run goes on from.
            trackers: what else gets each line's numbers; closed with the log.
            expected: how many lines there were up to that step; None if that is not known.

        Raises:
            InputError: metrics.jsonl cannot be written, or a line has not what a line has; it is named.
        """
        self._path, self._trackers = path, trackers
        try:
            kept = [line for line in read_metrics(path, FIELDS) if line["step"] <= step]
            if expected is not None and len(kept) != expected:
                self._miss(kept, step, expected)
            self.lines = len(kept) if expected is None else expected
            with atomic_write(path) as file:
                file.writelines(json.dumps(line) + "\n" for line in kept)
            self._file = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._unwritable(error) from error

    def _miss(self, kept: list[dict[str, Any]], step: int, expected: int) -> None:
        """Warn of lines that were lost. They count as written, so that this is said until they are back."""
        those = f", of steps {kept[0]['step']:,} to {kept[-1]['step']:,}" if kept else ""
        warnings.warn(
            f"{self._path}: lines are lost: expected {expected:,} up to step {step:,}, where the run goes on,"
            f" found {len(kept):,}{those}. Training does not need them, and goes on; but curves lack them,"
            " unless they are put back before the next call",
            stacklevel=3,
        )

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What a full disk did not take was reported when it was written.
        with suppress(OSError):
            self._file.close()
        if self._trackers is not None:
            self._trackers.close()

    def write(self, line: dict[str, Any]) -> None:
        """Write one line; it has `step`.

        Raises:
            InputError: metrics.jsonl cannot be written: the disk is full, say.
        """
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        self.lines += 1
        if self._trackers is not None:
            self._trackers.write(line)

    def flush_to_disk(self) -> None:
        """Return once every line is safe from a power cut: before a checkpoint that counts on them.

        Raises:
            InputError: the disk does not take them.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path}: cannot be written ({error.strerror}). Checkpoints are as they were: once this is"
            " mended, the same command goes on from the newest"
        )


def read_metrics(path: Path, fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    """All whole lines of metrics.jsonl; a last one that was cut short by a crash is left out.

    Args:
        path: metrics.jsonl, or another log that is made likewise.
        fields: what each line must have.

    Raises:
        InputError: another line is no JSON object, or lacks a field, or has something else than
            what belongs in it; it is named.
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
    """Whether a value from JSON is of a kind of `_KINDS`."""
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
    """The lines of a log, but for a last one whose means say little beside the others'.

    A run's last line covers what was left: often a step or two, where others cover hundreds.

    Args:
        lines: of metrics.jsonl.

    Returns:
        All, or all but the last, if that covers less than a quarter of the steps of the one before.
    """
    if len(lines) < 3 or lines[-1]["stage"] != lines[-2]["stage"]:
        return lines
    earlier, before, last = (line["step"] for line in lines[-3:])
    return lines[:-1] if 4 * (last - before) < before - earlier else lines
