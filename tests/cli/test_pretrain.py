"""`xformer pretrain`: its settings, and Ctrl-C. `xformer demo`: it trains, then evaluates.

Covers `pretrain` and `demo` of `xformer.cli`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xformer.cli import main
from xformer.cli.pretrain import Pretrain
from xformer.errors import InputError
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.storage.toml import load_toml, save_toml

Run = Callable[..., tuple[int, str, str]]


def test_left_alone_it_takes_the_defaults(tmp_path: Path) -> None:
    assert Pretrain(tmp_path / "new").run_config() == RunConfig()


def test_what_is_wrong_with_an_option_is_said_of_the_option(xformer: Run, tmp_path: Path) -> None:
    for options, message in (
        (("--budget", "never"), "--budget: expected something like 90s, 10m or 1.5h, got 'never'"),
        (("--steps", 0), "--steps: expected a whole number from 1, got 0"),
        (("--budget", "1m", "--steps", 5), "--budget, --steps: expected one of the two, got both"),
    ):
        status, _, err = xformer("pretrain", tmp_path / "run", *options)
        assert status == 2
        assert message in err
        assert "--set" not in err


@pytest.mark.parametrize("budget", ["90s", "10m", "1.5h", "600"])
def test_a_budget_is_a_duration(tmp_path: Path, budget: str) -> None:
    training = Pretrain(tmp_path / "new", budget=budget).run_config().training
    assert (training.budget, training.steps) == (budget, None)


def test_steps_stand_in_for_the_budget(tmp_path: Path) -> None:
    training = Pretrain(tmp_path / "new", steps=7).run_config().training
    assert (training.budget, training.steps) == (None, 7)


def test_single_settings_go_over_the_file_and_the_file_over_the_defaults(
    tmp_path: Path, settings: str
) -> None:
    (tmp_path / "mine.toml").write_text(settings)
    command = Pretrain(
        tmp_path / "new",
        config=tmp_path / "mine.toml",
        set=("model.d_model=32", "training.seed=5", "data.corpus=mine"),
        steps=3,
    )
    config = command.run_config()
    assert (config.model.d_model, config.model.n_layers, config.model.n_heads) == (32, 1, 2)
    assert (config.training.seed, config.training.steps, config.training.log_every) == (5, 3, 0.0)
    assert config.data.corpus == "mine"


def test_a_run_that_exists_keeps_its_settings_and_may_get_another_length(
    tmp_path: Path, settings: str
) -> None:
    (tmp_path / "mine.toml").write_text(settings)
    config = load_toml(tmp_path / "mine.toml", RunConfig)
    save_toml(tmp_path / "run" / "config.toml", config)
    assert Pretrain(tmp_path / "run").run_config() == config
    longer = Pretrain(tmp_path / "run", steps=50).run_config()
    assert (longer.training.budget, longer.training.steps) == (None, 50)
    assert longer.model == config.model
    with pytest.raises(InputError, match="--budget, --steps: expected one of the two"):
        Pretrain(tmp_path / "run", budget="1m", steps=50).run_config()


def test_the_command_line_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Pretrain] = []

    def note(command: Pretrain) -> int:
        seen.append(command)
        return 130

    monkeypatch.setattr(Pretrain, "run_command", note)
    with pytest.raises(SystemExit) as exit:
        main(["pretrain", "runs/x", "--budget", "600", "--set", "model.d_model=8", "data.corpus=a b"])
    assert exit.value.code == 130
    assert seen == [Pretrain(Path("runs/x"), budget="600", set=("model.d_model=8", "data.corpus=a b"))]


@pytest.fixture
def started(
    xformer: Run, moses: dict[str, Path], tmp_path: Path, settings: str
) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A run in a process of its own, some steps in."""
    corpus, run, config = tmp_path / "corpus", tmp_path / "run", tmp_path / "mine.toml"
    options = ("--out", corpus, "--licence", "CC0-1.0", "--dev", 10, "--test", 10)
    assert xformer("data", "import", "moses", moses["de"], moses["en"], *options)[0] == 0
    config.write_text(settings + f'[data]\ncorpus = "{corpus}"\n')
    command = [sys.executable, "-c", "from xformer.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "pretrain", str(run), "--config", str(config), "--budget", "10m"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    metrics = run / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.stat().st_size > 2000):
        time.sleep(0.05)
    yield run, process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(
    xformer: Run, started: tuple[Path, subprocess.Popen[str]]
) -> None:
    run, process = started
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted and saved at step" in err
    assert "Traceback" not in err
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.state.step >= 1

    steps = checkpoint.state.step + 2
    status, out, err = xformer("pretrain", run, "--steps", steps)
    assert (status, out) == (0, "")
    assert f"resuming from {checkpoint.path}" in err
    assert f"done at step {steps}" in err
    status, _, err = xformer("pretrain", run)
    assert status == 0
    assert f"complete at step {steps}, reusing" in err


def test_ctrl_c_while_preparing_has_the_same_status(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("xformer.pretraining.pretrain.prepare", interrupt)
    status, _, err = xformer("pretrain", tmp_path / "run")
    assert (status, err) == (130, "xformer: interrupted\n")


def test_a_setting_that_would_do_nothing_is_refused_before_anything_is_made(
    xformer: Run, tmp_path: Path, settings: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"{settings}[data]\ncorpus = 'mine'\nmin_language_texts = 5\n", encoding="utf-8")
    status, _, err = xformer(
        "pretrain", tmp_path / "run", "--config", file, "--set", "optimizer.bigram_lr=0.5"
    )
    assert status == 2
    assert f"{file}: data.min_language_texts=5 would do nothing" in err
    assert "--set: optimizer.bigram_lr=0.5 would do nothing" in err  # the run has no embedding warm-up
    assert not (tmp_path / "run").exists()
