"""The cross-lingual panel: how languages come to share one space, while it happens.

Every so many seconds a small sample of the dev split is measured: retrieval and bits per byte by language,
alignment by layer, centroid gap, anisotropy, hubness; beside them stand the shares of the training texts that
each language was to have, and had. It is shown below the bars in a terminal, as a plain line elsewhere, and
each time adds a line to `panel.jsonl`. The clock decides when, so these lines are in a file of their own: the
run's metrics stay the same however often it was stopped. What it takes is not training time, and it draws on
no random state.

Shapes: none here; batches carry their own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xformer.errors import InputError
from xformer.evaluation.bits_per_byte import HiddenTokens, bits_per_byte, model_surprisal
from xformer.evaluation.retrieval import mean
from xformer.evaluation.shares import Shares
from xformer.evaluation.space import ParallelTexts, layer_vectors, measure_space
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.forecast.dry_run import Look
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from rich.console import RenderableType

SAMPLE = 40
"""Messages that a look compares, at most."""


@dataclass(frozen=True)
class Reading:
    """What one look at the sample gave.

    Attributes:
        step: steps done.
        elapsed: seconds of training.
        centroid_gap: of sentence vectors.
        anisotropy: of sentence vectors.
        hubness: of the pivot's sentence vectors, mean over languages.
        alignment_by_layer: mean over languages, after the embedding and after each block that is run.
        mean_top1: over languages, mean of both directions.
        mean_bits_per_byte: over languages.
        top1: by language tag.
        bits_per_byte: by language tag.
        asked: share of the training texts that each language was to have so far, by tag.
        seen: the share that it had.
        seconds: what the look took.
    """

    step: int
    elapsed: float
    centroid_gap: float
    anisotropy: float
    hubness: float
    alignment_by_layer: Sequence[float]
    mean_top1: float
    mean_bits_per_byte: float
    top1: Mapping[str, float]
    bits_per_byte: Mapping[str, float]
    asked: Mapping[str, float]
    seen: Mapping[str, float]
    seconds: float

    def to_json(self) -> str:
        """One line."""
        table = {name: _rounded(value) for name, value in vars(self).items()}
        return json.dumps(table, ensure_ascii=False)

    def headlines(self) -> tuple[str, ...]:
        """For people, in three lines."""
        bits = f"{self.mean_bits_per_byte:.3f} bits per byte"
        return (
            f"step {self.step:,}, dev: top-1 {self.mean_top1:.3f}, {bits}",
            f"centroid gap {self.centroid_gap:.2f}, anisotropy {self.anisotropy:.2f},"
            f" hubness {self.hubness:.2f}",
            "alignment by layer " + " → ".join(f"{value:.2f}" for value in self.alignment_by_layer),
        )

    def table(self) -> RenderableType:
        """For a terminal: the headlines, and each language, the best first."""
        from xformer.evaluation.panel_table import PanelTable

        return PanelTable(self)


class Panel:
    """Looks at a sample of the dev split now and then."""

    def __init__(self, run: RunDirectory, config: RunConfig, progress: Progress) -> None:
        """Choose the sample; keep of `panel.jsonl` what came before the newest checkpoint.

        Args:
            run: prepared.
            config: its settings.
            progress: where to show what is found.

        Raises:
            InputError: the dev split has no texts to compare.
        """
        self._every, self._progress = config.training.panel_every, progress
        self._path = run.panel
        tokenizer = Tokenizer.load(run.tokenizer)
        dev = open_shards(run, "dev", tokenizer)
        chosen = ParallelTexts.of(dev, config.data.pivot, most=SAMPLE)
        self._texts = ParallelTexts.of(dev.subset(chosen.examples), config.data.pivot)
        self._question = HiddenTokens(self._texts.shards)
        self._byte_lengths = tokenizer.byte_lengths()
        self._last: float | None = None
        self._log, self._log_read = run.metrics, 0
        self._shares = Shares()

    def look(self, model: MultilingualModel, state: TrainingState) -> Reading:
        """Measure the model as it is now."""
        began, texts = time.monotonic(), self._texts
        depth, device = None if state.joined else 0, next(model.parameters()).device
        space = measure_space(texts, layer_vectors(model, texts, n_layers=depth, device=device))
        surprisal = model_surprisal(model, n_layers=depth, device=device)
        bits = bits_per_byte(surprisal, self._question, self._byte_lengths).by_language
        by_tag = {
            texts.tag(number): float(bits[number])
            for number in (texts.pivot, *texts.languages)
            if math.isfinite(bits[number])
        }
        self._read_log()
        return Reading(
            step=state.step,
            elapsed=state.elapsed,
            centroid_gap=space.centroid_gap_by_layer[-1],
            anisotropy=space.anisotropy_by_layer[-1],
            hubness=mean(space.hubness.values()),
            alignment_by_layer=space.alignment_by_layer,
            mean_top1=mean(space.top1.values()),
            mean_bits_per_byte=mean(by_tag.values()),
            top1=space.top1,
            bits_per_byte=by_tag,
            asked=self._shares.of("asked"),
            seen=self._shares.of("drawn"),
            seconds=time.monotonic() - began,
        )

    def __call__(self, model: MultilingualModel, state: TrainingState) -> None:
        """Look if it is time, show what is found, and write it down."""
        now = time.monotonic()
        if self._last is None:
            self._forget_after(state.step)
        elif now - self._last < self._every:
            return
        reading = self.look(model, state)
        self._last = time.monotonic()
        self._progress.show(reading.table(), f"panel: {', '.join(reading.headlines())}")
        try:
            with open(self._path, "a", encoding="utf-8", newline="\n") as file:
                file.write(reading.to_json() + "\n")
        except OSError as error:
            self._unwritable(error)

    def _read_log(self) -> None:
        """Count the lines that the run's log has gained."""
        with suppress(FileNotFoundError), open(self._log, "rb") as file:
            file.seek(self._log_read)
            for line in file.read().split(b"\n")[:-1]:
                self._shares.add(json.loads(line))
                self._log_read += len(line) + 1

    def _forget_after(self, step: int) -> None:
        """Of a run that goes on from a checkpoint, the later lines are of steps that never were."""
        try:
            kept = [line for line in read_metrics(self._path) if line.get("step", step) < step]
            with atomic_write(self._path) as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
        except InputError as error:
            self._progress.say(f"{error}; earlier looks are left as they are")
        except OSError as error:
            self._unwritable(error)

    def _unwritable(self, error: OSError) -> None:
        self._progress.say(f"{self._path}: cannot be written ({error.strerror}); training goes on")


def watch(run: RunDirectory, config: RunConfig, progress: Progress) -> Panel | None:
    """The panel that the settings ask for; None if they ask for none, or there is nothing to compare."""
    if not config.training.panel_every:
        return None
    try:
        return Panel(run, config, progress)
    except InputError as error:
        progress.say(f"no cross-lingual panel: {error}")
        return None


def looking(run: RunDirectory, config: RunConfig, progress: Progress) -> Look | None:
    """What `watch` would do each time, for a forecast: it shows nothing and writes nothing."""
    panel = watch(run, config, progress)
    return panel.look if panel else None


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
