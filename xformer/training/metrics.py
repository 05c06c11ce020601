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

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.files import atomic_write
from xformer.training.step_losses import StepSums
from xformer.training.step_plan import StepPlan
from xformer.training.trackers import Trackers

FIELDS = ("step", "elapsed", "tokens", "tokens_per_s", "stage", "loss", "languages")
"""What pictures, panel and model card cannot do without in a line of metrics.jsonl."""

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


class Tally:
    """Losses and counts since the last line, by objective and language. Shapes: L languages.

    Attributes:
        norm: of the gradient in the last step that was counted.
    """

    def __init__(self, languages: Sequence[str], state: Mapping[str, Sequence[float]] | None = None) -> None:
        """Begin at nothing, or where another tally was.

        Args:
            languages: their tags.
            state: of the other tally, for the same languages.
        """
        self._languages = languages
        kept = {name: np.array(values) for name, values in (state or {}).items()}
        zeros = np.zeros(len(languages))
        self._asked = kept.get("asked", zeros).copy()
        self._texts = kept.get("texts", zeros).astype(np.int64)
        self._tokens = kept.get("tokens", zeros).astype(np.int64)
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        for name, values in kept.items():
            part, _, objective = name.partition(".")
            if part == "sums":
                self._sums[objective] = values
            elif part == "counts":
                self._counts[objective] = values.astype(np.int64)
        self.norm = float(kept["norm"][0]) if kept else 0.0

    def state(self) -> dict[str, tuple[float, ...]]:
        """All that it remembers, exactly; empty when nothing was counted yet."""
        if not self._sums:
            return {}
        arrays = {"asked": self._asked, "texts": self._texts, "tokens": self._tokens}
        arrays |= {f"sums.{name}": sums for name, sums in self._sums.items()}
        arrays |= {f"counts.{name}": counts for name, counts in self._counts.items()}
        state = {name: tuple(map(float, array)) for name, array in arrays.items()}
        return state | {"norm": (self.norm,)}

    def add(self, losses: StepSums, plan: StepPlan, norm: float) -> None:
        """Count one step."""
        self.norm = norm
        self._asked += plan.asked_by_language
        self._texts += plan.texts_by_language
        self._tokens += plan.tokens_by_language
        for name, (sums, counts) in losses.by_language.items():
            self._sums[name] = self._sums.get(name, 0.0) + sums
            self._counts[name] = self._counts.get(name, 0) + counts

    def means(self) -> dict[str, float]:
        """Each objective's mean loss, in nats an item."""
        return {name: float(self._sums[name].sum() / max(1, self._counts[name].sum())) for name in self._sums}

    def by_language(self) -> dict[str, dict[str, float]]:
        """Per language: shares of the texts asked for, of those drawn, of all tokens read; mean losses."""
        asked = self._asked / max(self._asked.sum(), 1e-9)
        drawn = self._texts / max(1, int(self._texts.sum()))
        tokens = self._tokens / max(1, int(self._tokens.sum()))
        table: dict[str, dict[str, float]] = {}
        for number, language in enumerate(self._languages):
            row = {
                "asked": round(float(asked[number]), 6),
                "drawn": round(float(drawn[number]), 6),
                "tokens": round(float(tokens[number]), 6),
            }
            for name, sums in self._sums.items():
                if self._counts[name][number]:
                    row[name] = round(float(sums[number] / self._counts[name][number]), 5)
            table[language] = row
        return table


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
