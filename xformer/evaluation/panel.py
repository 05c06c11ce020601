"""The cross-lingual panel: retrieval and bits per byte of a small dev sample, measured while a run trains.

Every `training.panel_every` seconds, and at the end of the run, the callback measures the model on the
sample: retrieval and bits per byte by language, alignment by layer, centroid gap, anisotropy and hubness.
Beside these stand the shares of the training texts that each language was given. The result is shown below
the progress bars in a terminal, or as one line elsewhere, is appended to `panel.jsonl`, and goes to the
trackers.

The panel does not change the run. It draws no random numbers, its time does not count as training time, and
its lines are not in `metrics.jsonl`: when an evaluation happens depends on the clock, and `metrics.jsonl`
must be the same however often the run was stopped.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress

from xformer.data.languages import find_language
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.evaluation.bits_per_byte import HiddenTokens, bits_per_byte, model_surprisal
from xformer.evaluation.panel_result import PanelResult
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.evaluation.retrieval import mean
from xformer.evaluation.shares import Shares
from xformer.evaluation.space import layer_vectors, measure_space
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.prepare import open_shards
from xformer.pretraining.stages import depth_of
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer
from xformer.training.schedule import Span

SAMPLE = 40
"""The largest number of messages in the sample."""


class Panel:
    """A training callback that evaluates the model on a sample of the dev split now and then."""

    def __init__(self, run: RunDirectory, config: RunConfig, progress: Progress) -> None:
        """Choose the sample.

        Args:
            run: a run with a tokenizer and shards.
            config: its settings.
            progress: shows the results.

        Raises:
            InputError: the dev split has no translations to compare.
        """
        self._every, self._progress = config.training.panel_every, progress
        self._path = run.panel
        tokenizer = Tokenizer.load(run.tokenizer)
        dev = open_shards(run, "dev", tokenizer)
        self._texts = panel_texts(dev, config)
        self._hidden = HiddenTokens(self._texts.shards)
        self._byte_lengths = tokenizer.byte_lengths()
        self._last: float | None = None
        self._span = Span.of(config.training)
        self._log, self._log_read = run.metrics, 0
        self._shares = Shares()

    def evaluate(self, model: MultilingualModel, state: TrainingState) -> PanelResult:
        """Measure the model as it is now; show and write nothing."""
        began, texts = time.monotonic(), self._texts
        depth, device = depth_of(state.stage), next(model.parameters()).device
        space = measure_space(texts, layer_vectors(model, texts, n_layers=depth, device=device))
        surprisal = model_surprisal(model, n_layers=depth, device=device)
        bits = bits_per_byte(surprisal, self._hidden, self._byte_lengths).by_language
        by_tag = {
            texts.tag(number): float(bits[number])
            for number in (texts.pivot, *texts.languages)
            if math.isfinite(bits[number])
        }
        self._read_log()
        return PanelResult(
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

    def __call__(self, model: MultilingualModel, state: TrainingState) -> dict[str, float] | None:
        """Evaluate the model if it is time to, or the run is complete; show the result and log it.

        Returns:
            The numbers for trackers; None where nothing was measured.
        """
        now, done = time.monotonic(), self._span.progress(state.step, state.elapsed) >= 1.0
        if self._last is None:
            self._drop_lines_from(state.step)
        elif now - self._last < self._every and not done:
            return None
        result = self.evaluate(model, state)
        self._last = time.monotonic()
        self._progress.show(result, f"panel: {', '.join(result.summary())}")
        try:
            with open(self._path, "a", encoding="utf-8", newline="\n") as file:
                file.write(result.to_json() + "\n")
        except OSError as error:
            self._unwritable(error)
        return result.tracked()

    def _read_log(self) -> None:
        """Add the lines that `metrics.jsonl` has gained since the last call to the shares."""
        with suppress(FileNotFoundError), open(self._log, "rb") as file:
            file.seek(self._log_read)
            for line in file.read().split(b"\n")[:-1]:
                self._shares.add(json.loads(line))
                self._log_read += len(line) + 1

    def _drop_lines_from(self, step: int) -> None:
        """Remove the lines of this step and later: the run went back to a checkpoint before them."""
        try:
            kept = [line for line in read_metrics(self._path) if line.get("step", step) < step]
            with atomic_write(self._path) as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
        except InputError as error:
            self._progress.say(f"{error}; its earlier lines are left as they are")
        except OSError as error:
            self._unwritable(error)

    def _unwritable(self, error: OSError) -> None:
        self._progress.say(f"{self._path}: cannot be written ({error.strerror}); training goes on")


def panel_texts(dev: TokenShards, config: RunConfig) -> ParallelTexts:
    """The sample of the dev split.

    Raises:
        InputError: the split has no translations to compare.
    """
    pivot = find_language(dev.languages, config.data.pivot) or config.data.pivot
    chosen = ParallelTexts.of(dev, pivot, most=SAMPLE)
    return ParallelTexts.of(dev.subset(chosen.examples), pivot)


def make_panel(run: RunDirectory, config: RunConfig, progress: Progress) -> Panel | None:
    """The panel of a run; None if it is off in the settings, or the dev split has nothing to compare."""
    if not config.training.panel_every:
        return None
    try:
        return Panel(run, config, progress)
    except InputError as error:
        progress.say(f"no cross-lingual panel: {error}")
        return None
