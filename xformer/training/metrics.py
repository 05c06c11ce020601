"""What a run writes down while it trains: metrics.jsonl, and TensorBoard's events where that is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.files import atomic_write
from xformer.objectives import Loss
from xformer.training.batches import StepBatch


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

    def add(self, losses: dict[str, Loss], batch: StepBatch, norm: float) -> None:
        """Count one step."""
        self.norm = norm
        self._asked += batch.asked_by_language
        self._texts += batch.texts_by_language
        self._tokens += batch.tokens_by_language
        size = len(self._languages)
        for name, loss in losses.items():
            items = loss.items.double().cpu().numpy()
            sums = np.bincount(loss.language, weights=items, minlength=size)
            counts = np.bincount(loss.language, minlength=size)
            self._sums[name] = self._sums.get(name, np.zeros(size)) + sums
            self._counts[name] = self._counts.get(name, np.zeros(size, dtype=np.int64)) + counts

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
    """Appends to metrics.jsonl and, if the `plot` extra is installed, to TensorBoard."""

    def __init__(self, path: Path, events: Path, step: int, say: Callable[[str], None]) -> None:
        """Open the log of a run that is at `step`; lines of later steps are dropped.

        Args:
            path: metrics.jsonl.
            events: TensorBoard's folder.
            step: of the checkpoint that the run goes on from.
            say: told when TensorBoard fails, which stops no run.

        Raises:
            InputError: metrics.jsonl cannot be written.
        """
        self._path, self._events, self._say = path, events, say
        try:
            kept = [line for line in read_metrics(path) if line["step"] <= step]
            with atomic_write(path) as file:
                file.writelines(json.dumps(line) + "\n" for line in kept)
            self._file = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._unwritable(error) from error
        self._board: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            try:
                if not step and events.exists():
                    shutil.rmtree(events)
                self._board = SummaryWriter(str(events), purge_step=step + 1)
            except Exception as error:
                self._go_on_without_board(error)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What a full disk did not take was reported when it was written.
        with suppress(OSError):
            self._file.close()
        if self._board is not None:
            try:
                self._board.close()
            except Exception as failure:
                self._go_on_without_board(failure)

    def write(self, line: dict[str, Any]) -> None:
        """Write one line; it has `step`. Its numbers, and those one table down, go to TensorBoard too.

        Raises:
            InputError: metrics.jsonl cannot be written: the disk is full, say.
        """
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        if self._board is not None:
            try:
                # Someone may have cleared it away: what comes now is worth a new one.
                self._events.mkdir(parents=True, exist_ok=True)
                for name, value in _numbers(line):
                    self._board.add_scalar(name, value, line["step"])
            except Exception as error:
                self._go_on_without_board(error)

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

    def _go_on_without_board(self, error: Exception) -> None:
        # TensorBoard's writer has a thread, and raises whatever went wrong in it at some later call.
        self._board = None
        self._say(f"{self._events}: TensorBoard's events cannot be written ({error}); going on without them")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines of metrics.jsonl; a last one that was cut short by a crash is left out.

    Raises:
        InputError: another line is no JSON object; it is named.
    """
    if not path.is_file():
        return []
    lines = []
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            lines.append(dict(json.loads(text)))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: expected a JSON object, {error}") from error
    return lines


def _numbers(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in line.items():
        if isinstance(value, int | float) and key != "step":
            yield key, value
        if isinstance(value, dict):
            yield from ((f"{key}/{name}", x) for name, x in value.items() if isinstance(x, int | float))
