"""The forecast of a run: its arithmetic, and the texts that it measures.

Covers `dry_run` and `measure_steps`, and `xformer.pretraining.synthetic_data`.

Covers xformer.pretraining.forecast.measure_steps, too.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.forecast.dry_run import StageForecast, count_checkpoints, forecast
from xformer.pretraining.forecast.estimate import parameter_counts
from xformer.pretraining.prepare import prepare
from xformer.pretraining.synthetic_data import synthetic_shards
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory


def test_a_run_that_is_prepared(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig, listening: type[Progress]
) -> None:
    run = begin(config)
    before = sorted(run.path.rglob("*"))
    found = forecast(run, config, listening(), seconds=0.2)
    assert sorted(run.path.rglob("*")) == before
    assert str(run.path) in found.data
    assert found.parameters == parameter_counts(config.model, config.objectives.pooling)
    bag, full = found.stages
    assert (bag.name, full.name) == ("embedding_warmup", "full")
    assert (bag.steps, full.steps, found.steps) == (2, 6, 8)
    assert min(bag.measured_steps, full.measured_steps) >= 5
    assert full.flops_per_step > bag.flops_per_step
    assert full.activation_bytes > bag.activation_bytes
    assert found.activation_bytes == full.activation_bytes
    assert found.tokens == bag.tokens + full.tokens
    assert full.tokens == round(6 * full.tokens_per_step)
    asked = config.objectives
    # Texts are whole, so the size of a step is about what was asked for.
    assert bag.tokens_per_step == pytest.approx(asked.embedding_warmup_tokens, rel=0.3)
    assert found.seconds == pytest.approx(2 * bag.seconds_per_step + 6 * full.seconds_per_step)
    assert found.checkpoints == 1
    assert found.wall_seconds == pytest.approx(found.seconds + found.checkpoint_seconds)
    kept = found.weight_bytes["weights"] + found.weight_bytes["optimizer"]
    assert kept >= 4 * sum(found.parameters.values())
    assert kept <= found.checkpoint_bytes <= kept + 100_000
    assert found.processor_share is not None
    assert 0 < found.processor_share < 50  # one thread a processor, and helpers beside it
    assert json.loads(found.to_json())["stages"][1]["steps"] == 6


def test_a_budget_is_divided_between_the_stages(
    tmp_path: Path, config: RunConfig, listening: type[Progress]
) -> None:
    training = replace(config.training, steps=None, budget="100s", checkpoint_every=30.0)
    found = forecast(
        RunDirectory(tmp_path / "none"), replace(config, training=training), listening(), seconds=0.2
    )
    assert not (tmp_path / "none").exists()
    assert found.data.startswith(f"a sample of {config.data.corpus}, ")
    bag, full = found.stages
    assert bag.seconds == pytest.approx(25, abs=bag.seconds_per_step)
    assert full.seconds == pytest.approx(75, abs=full.seconds_per_step)
    assert found.checkpoints == 4
    assert found.flops_per_second == pytest.approx(found.flops / found.seconds)


@pytest.mark.parametrize("every", [1e-3, 0.5, 1.0, 1.5, 2.0, 4.0, 7.0, 12.0, 1e6])
@pytest.mark.parametrize("steps", [(8,), (1,), (3, 6), (2, 1)])
def test_checkpoints_are_counted_as_the_loop_writes_them(every: float, steps: tuple[int, ...]) -> None:
    """Steps of one second, then of a half: one is written at most once a step, and one at the end."""
    stage = StageForecast("embedding_warmup", 5, 1.0, 1.0, 1.0, 1, 0, 0.0, 0, 0.0)
    stages = [
        replace(stage, steps=count, seconds_per_step=seconds)
        for count, seconds in zip(steps, (1.0, 0.5), strict=False)
    ]
    written, since, done = 0, 0.0, 0
    for seconds in (stage.seconds_per_step for stage in stages for _ in range(stage.steps)):
        since, done = since + seconds, done + 1
        if since >= every or done == sum(steps):
            written, since = written + 1, 0.0
    assert count_checkpoints(stages, every) == written


def test_there_are_no_more_checkpoints_than_steps(
    tmp_path: Path, config: RunConfig, listening: type[Progress]
) -> None:
    often = replace(config, training=replace(config.training, checkpoint_every=1e-6))
    found = forecast(RunDirectory(tmp_path / "none"), often, listening(), seconds=0.1)
    assert found.checkpoints == found.steps == 8
    assert found.wall_seconds == pytest.approx(found.seconds + 8 * found.checkpoint_seconds)


@pytest.mark.slow
def test_evaluations_of_the_panel_are_counted(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig, listening: type[Progress], tmp_path: Path
) -> None:
    evaluated: list[str] = []

    class Slow:
        def evaluate(self, model: MultilingualModel, state: TrainingState) -> None:
            evaluated.append(state.stage)
            time.sleep(0.05)

    training = replace(config.training, steps=None, budget="100s", checkpoint_every=1e4, panel_every=10.0)
    config = replace(config, training=training)
    found = forecast(begin(config), config, listening(), seconds=0.1, make_panel=lambda *_: Slow())
    assert evaluated == ["full"]
    assert found.panel_seconds is not None
    assert found.panel_seconds >= 0.05
    before = found.seconds + found.checkpoint_seconds
    assert found.panel_evaluations == 1 + before // 10
    assert found.wall_seconds == pytest.approx(before + found.panel_evaluations * found.panel_seconds)
    # Without a dev split the panel cannot be timed: the number of evaluations is known, their time is not.
    none = RunDirectory(tmp_path / "none")
    found = forecast(none, config, listening(), seconds=0.1, make_panel=lambda *_: Slow())
    assert (len(evaluated), found.panel_seconds) == (1, None)
    assert found.panel_evaluations > 1
    assert found.wall_seconds == pytest.approx(found.seconds + found.checkpoint_seconds)
    off = replace(config, training=replace(training, panel_every=0.0))
    found = forecast(none, off, listening(), seconds=0.1, make_panel=lambda *_: Slow())
    assert (len(evaluated), found.panel_evaluations) == (1, 0)


def test_without_alignment_there_is_no_bag_stage(
    tmp_path: Path, config: RunConfig, listening: type[Progress]
) -> None:
    objectives = replace(config.objectives, alignment_tokens=0)
    found = forecast(RunDirectory(tmp_path), replace(config, objectives=objectives), listening(), seconds=0.1)
    assert [(stage.name, stage.steps) for stage in found.stages] == [("full", 8)]


def test_synthetic_texts_have_the_lengths_of_the_default_corpus() -> None:
    shards = synthetic_shards(RunConfig())
    lengths = np.asarray(shards.n_tokens)
    assert np.median(lengths) == 7
    assert lengths.mean() == pytest.approx(10.8, rel=0.05)
    assert np.percentile(lengths, 99) == pytest.approx(61, rel=0.1)
    assert lengths.max() <= RunConfig().data.max_length
    assert [len(shards[number]) for number in (0, 7, len(shards) - 1)] == lengths[[0, 7, -1]].tolist()


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 texts of 100 to 300 words each, no two in one group."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeioklmnrst"), size)) for size in rng.integers(2, 9, size=300)]
    records = [
        Record(
            " ".join(rng.choice(words, rng.integers(100, 300))), ("de", "en")[number % 2], f"{number}", "s"
        )
        for number in range(150)
    ]
    folder = tmp_path_factory.mktemp("documents") / "corpus"
    options = ImportOptions(SplitSizes(dev=8, test=8))
    import_corpus(records, folder, options, [Source("synthetic", "CC0-1.0")])
    return folder


def _of_documents(config: RunConfig, corpus: Path) -> RunConfig:
    """Settings for long documents without translations."""
    objectives = replace(
        config.objectives, masked_lm_tokens=2000, translation_lm_tokens=0, alignment_tokens=0
    )
    model = replace(config.model, max_length=512)
    data = replace(config.data, corpus=str(corpus), max_length=500)
    return replace(config, model=model, data=data, objectives=objectives)


@pytest.mark.slow
def test_a_fresh_run_is_measured_on_texts_like_its_own(
    documents: Path, config: RunConfig, listening: type[Progress], tmp_path: Path
) -> None:
    config = _of_documents(config, documents)
    fresh, run = (RunDirectory(tmp_path / name) for name in ("fresh", "run"))
    before = forecast(fresh, config, listening(), seconds=0.1)
    assert not fresh.path.exists()
    run.path.mkdir()
    prepare(run, config, listening())
    after = forecast(run, config, listening(), seconds=0.1)
    # With the lengths of the default corpus's texts, attention would have a thirtieth of the operations.
    assert before.stages[0].tokens_per_step == pytest.approx(after.stages[0].tokens_per_step, rel=0.15)
    assert before.stages[0].flops_per_step == pytest.approx(after.stages[0].flops_per_step, rel=0.15)
    assert before.activation_bytes == pytest.approx(after.activation_bytes, rel=0.15)


def test_what_the_run_would_refuse_is_refused(
    documents: Path, corpus: Path, config: RunConfig, listening: type[Progress], tmp_path: Path
) -> None:
    long = _of_documents(config, documents)
    config_run = RunDirectory(tmp_path / "began")
    config_run.path.mkdir()
    prepare(config_run, config, listening())
    cases = {
        "none: expected the folder of a corpus": replace(
            config, data=replace(config.data, corpus=str(tmp_path / "none"))
        ),
        "objectives.translation_lm_tokens=96, found none in the training split": replace(
            long, objectives=config.objectives
        ),
        "none.model: ": replace(config, data=replace(config.data, tokenizer=str(tmp_path / "none.model"))),
        "train: missing; expected what `xformer data shard": replace(
            config,
            data=replace(config.data, tokenizer=str(config_run.tokenizer), shards=str(tmp_path / "none")),
        ),
    }
    for said, refused in cases.items():
        with pytest.raises(InputError, match=re.escape(said)):
            forecast(RunDirectory(tmp_path / "new"), refused, listening(), seconds=0.1)
    shutil.rmtree(config_run.shards("train"))
    with pytest.raises(InputError, match="expected the corpus that this run began with"):
        forecast(config_run, long, listening(), seconds=0.1)


@pytest.mark.slow
def test_shards_and_tokenizer_that_are_given_are_used(
    config: RunConfig, listening: type[Progress], tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "began")
    run.path.mkdir()
    prepare(run, config, listening())
    data = replace(config.data, tokenizer=str(run.tokenizer))
    found = forecast(RunDirectory(tmp_path / "new"), replace(config, data=data), listening(), seconds=0.1)
    assert found.data.startswith(f"a sample of {config.data.corpus}, ")
    data = replace(data, shards=str(run.path / "shards"))
    found = forecast(RunDirectory(tmp_path / "new"), replace(config, data=data), listening(), seconds=0.1)
    assert found.data == f"the shards of {run.path / 'shards' / 'train'}"


@pytest.mark.parametrize("name", ["gettext", "broad"])
def test_before_an_embedded_corpus_is_there_it_says_whose_lengths_these_are(
    name: str, config: RunConfig, listening: type[Progress], tmp_path: Path
) -> None:
    config = replace(config, data=replace(config.data, corpus=name))
    found = forecast(RunDirectory(tmp_path / "none"), config, listening(), seconds=0.1)
    assert found.data == f"synthetic texts as long as those of gettext; {name} is not imported yet"
