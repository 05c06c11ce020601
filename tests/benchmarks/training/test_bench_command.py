"""The command: its settings, its text, and what is refused before anyone trains.

Covers bench, clock, command, memory and worker of xformer.benchmarks.training.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.benchmarks.training.curves import curve, quiet
from xformer.benchmarks.training import bench
from xformer.benchmarks.training.command import TrainingBench
from xformer.benchmarks.training.prepared import prepared
from xformer.benchmarks.training.result import Trained
from xformer.benchmarks.training.worker import Job
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.pretraining.forecast.estimate import parameter_counts
from xformer.pretraining.prepare import open_shards
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import from_table, read_toml, save_toml
from xformer.tokenizer import Tokenizer


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device: expected cpu or auto, since torch sees no GPU"):
        TrainingBench(device="cuda").run_command()


def test_where_nothing_can_be_written_nobody_trains(
    ready: tuple[RunDirectory, RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, config = ready
    save_toml(run.config, config)
    monkeypatch.setattr(bench, "run_all", lambda *given: pytest.fail("trained"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        TrainingBench(run=run.path, out=tmp_path / "file" / "out").run_command()


def test_what_was_measured_is_kept_when_it_is_broken_off(
    ready: tuple[RunDirectory, RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, config = ready
    save_toml(run.config, config)

    def trained(job: Job, folder: Path) -> Trained:
        if job.trainer == "blocks":
            raise KeyboardInterrupt
        return curve(job.trainer, (0, 3.0, 0.0), (1, 2.0, 0.5))

    monkeypatch.setattr(bench, "_in_its_own_process", trained)
    monkeypatch.setattr(bench, "version", lambda name: "1")
    with pytest.raises(KeyboardInterrupt):
        TrainingBench(run=run.path, out=tmp_path, trainer=("xformer", "blocks")).run_command()
    kept = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert list(kept["trainers"]) == ["xformer"]


def test_the_settings_for_a_gpu(repository: Path) -> None:
    table = read_toml(repository / "benchmarks" / "training" / "100m.toml")
    config = from_table(
        table | {"model": table["model"] | {"vocab_size": 32_768}},
        RunConfig,
        source="100m.toml",
    )
    parameters = sum(parameter_counts(config.model, config.objectives.pooling).values())
    assert parameters == pytest.approx(100e6, rel=0.05)


def test_documents_keep_their_splits(ready: tuple[RunDirectory, RunConfig], shards: TokenShards) -> None:
    run, config = ready
    train = open_shards(run, "train", Tokenizer.load(run.tokenizer))
    assert config.data.max_length == config.model.max_length
    assert (len(train), len(shards), train.languages) == (208, 16, ("de", "en"))
    assert not set(train.group.tolist()) & set(shards.group.tolist())


def test_a_folder_that_is_no_corpus(ready: tuple[RunDirectory, RunConfig], tmp_path: Path) -> None:
    (tmp_path / "train.en.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"or dev\.LANG\.jsonl\.gz"):
        prepared(ready[1], str(tmp_path), None, quiet())


def test_the_text_of_a_run(ready: tuple[RunDirectory, RunConfig], tmp_path: Path) -> None:
    """A run's text goes with today's settings for everything else."""
    run, config = ready
    save_toml(run.config, config)
    today = replace(config, model=replace(config.model, n_layers=2))
    place, found = prepared(today, None, run.path, quiet())
    assert place.path == run.path
    assert found.model.n_layers == 2
    bench = TrainingBench(run=run.path, set=("model.n_layers=2", "data.alpha=0.25"))
    settings = bench._settings()
    assert (settings.tokenizer, settings.model.n_layers, settings.data.alpha) == (config.tokenizer, 2, 0.25)
    assert replace(settings.data, alpha=config.data.alpha) == config.data
    with pytest.raises(InputError, match=r"data\.max_length: expected .* was prepared; got 12"):
        prepared(replace(today, data=replace(today.data, max_length=12)), None, run.path, quiet())
    with pytest.raises(InputError, match="expected a run made by"):
        prepared(today, None, tmp_path, quiet())


def test_settings_that_would_do_nothing_are_refused(
    ready: tuple[RunDirectory, RunConfig], tmp_path: Path
) -> None:
    """As `xformer pretrain` refuses them; what a run began with is not."""
    (tmp_path / "mine.toml").write_text("[objectives.masking]\nspan_max = 4\n", encoding="utf-8")
    for wrong, message in (
        (TrainingBench(set=("model.t5_buckets=16",)), "--set: model.t5_buckets=16 would do nothing"),
        (TrainingBench(config=tmp_path / "mine.toml"), "mine.toml: objectives.masking.span_max=4 would"),
        (TrainingBench(set=("data.dev_groups=9",), corpus="mine"), "--set: data.dev_groups=9 would do"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            wrong._settings()
    assert TrainingBench(set=("data.dev_groups=9",))._settings().data.dev_groups == 9
    run, config = ready
    save_toml(run.config, replace(config, data=replace(config.data, dev_groups=9)))
    same = TrainingBench(set=("data.dev_groups=9",), run=run.path)._settings()
    assert same.data.dev_groups == 9
    save_toml(run.config, config)


@pytest.mark.slow
def test_from_the_root_of_a_checkout(repository: Path) -> None:
    """Where the current folder has a `kernels` of its own, transformers must not find it in a worker."""
    code = """
import importlib.util, json, sys
sys.path.insert(0, "")
from xformer.benchmarks.training import worker
before = importlib.util.find_spec("kernels")
worker._leave_checkout()
after = importlib.util.find_spec("kernels")
print(json.dumps([str(found and found.origin) for found in (before, after)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    before, after = json.loads(done.stdout)
    assert before == str(repository / "kernels" / "__init__.py")
    assert after != before
    command = [sys.executable, "-m", "benchmarks.training", "--help"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
