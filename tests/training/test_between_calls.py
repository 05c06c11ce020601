"""What may happen to a run between two calls: each is repaired, or refused by name."""

from __future__ import annotations

import errno
import io
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.cli.pretrain import Pretrain
from xformer.errors import InputError
from xformer.pretraining.pretrain import pretrain
from xformer.progress import Progress
from xformer.runs import checkpoint as checkpoint_module
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.lock import only_one
from xformer.storage.checksummed import read_checksummed, write_checksummed
from xformer.training.verify_resume.compare_runs import compare_runs

pytestmark = pytest.mark.usefixtures("_no_picture")

Begin = Callable[[RunConfig], RunDirectory]
Listening = Callable[..., Progress]


def _assert_same(run: RunDirectory, other: RunDirectory) -> None:
    assert [row for row in compare_runs(run, other) if row.differences] == []


def _stopped(begin: Begin, config: RunConfig, listening: Listening) -> RunDirectory:
    """A run that was stopped at step 2."""
    run = begin(config)
    stop = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 2 else None)
    assert not pretrain(run.path, config, stop)
    return run


@pytest.fixture(scope="module")
def unbroken(begin: Begin, config: RunConfig, listening: Listening, _no_picture: None) -> RunDirectory:
    """A run to which nothing happened."""
    run = begin(config)
    assert pretrain(run.path, config, listening())
    return run


def test_another_process_on_the_same_run_is_refused(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    run = begin(config)
    with (
        only_one(run.lock, "the run", print),
        pytest.raises(InputError, match=rf"{run.path.name}: process .* is using it"),
    ):
        pretrain(run.path, config, listening())
    assert newest_checkpoint(run.checkpoints) is None


def test_what_killed_processes_left_is_cleared_away_and_nothing_else(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    run = begin(config)
    halves = [
        run.path / ".corpus.ab12cd34",
        run.path / "shards" / ".train.ab12cd34",
        run.checkpoints / ".step-00000004.ab12cd34",
    ]
    for folder in halves:
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"half")
    for name in (".metrics.jsonl.x_y12345", ".config.toml.x_y12345", ".tokenizer.model.x_y12345", "lock"):
        halves.append(run.path / name)
        halves[-1].write_bytes(b"half")
    mine = run.path / ".notes.of-mine"
    mine.write_text("mine", encoding="utf-8")
    assert pretrain(run.path, config, listening())
    assert [half for half in halves if half.exists()] == []
    assert mine.is_file()
    _assert_same(run, unbroken)


def test_a_first_call_that_was_killed_at_once_is_in_nobody_s_way(
    config: RunConfig, listening: Listening, unbroken: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    for name in ("lock", ".config.toml.x_y12345"):
        (tmp_path / "run" / name).write_bytes(b"")
    assert pretrain(tmp_path / "run", config, listening())
    _assert_same(RunDirectory(tmp_path / "run"), unbroken)


@pytest.mark.parametrize("gone", ["train", "dev", "test"])
def test_a_vanished_shard_is_named(begin: Begin, config: RunConfig, listening: Listening, gone: str) -> None:
    run = _stopped(begin, config, listening)
    (run.shards(gone) / "tokens-00000.bin").unlink()
    with pytest.raises(InputError, match=rf"{gone}/tokens-00000\.bin: missing; expected a file of"):
        pretrain(run.path, config, listening())


@pytest.mark.parametrize("what", ["text", "tokenizer"])
def test_weights_of_another_vocabulary_or_text_are_refused(
    begin: Begin, config: RunConfig, listening: Listening, what: str
) -> None:
    """If shards were removed and are made from other data, the run does not resume."""
    run = _stopped(begin, config, listening)
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    contents = read_checksummed(checkpoint.path / "state.json", checkpoint_module._Contents)
    assert what in contents.state.fingerprints
    changed = contents.state.fingerprints | {what: "another"}
    other = replace(contents, state=replace(contents.state, fingerprints=changed))
    write_checksummed(checkpoint.path / "state.json", other)
    with pytest.raises(InputError, match=rf"step-00000002: was trained on another {what} \(another\)"):
        pretrain(run.path, config, listening())


def test_a_connection_that_drops_is_an_interruption(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    """It may be told several times: by the system, and by the shell."""
    run, usual = begin(config), signal.getsignal(signal.SIGHUP)

    def drop(step: int) -> None:
        if step == 2:
            for _ in range(3):
                signal.raise_signal(signal.SIGHUP)

    assert not pretrain(run.path, config, listening(drop))
    assert signal.getsignal(signal.SIGHUP) == usual
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    assert checkpoint.state.step == 2
    assert pretrain(run.path, config, listening())
    _assert_same(run, unbroken)


def test_what_is_to_outlive_its_terminal_does(begin: Begin, config: RunConfig, listening: Listening) -> None:
    run = begin(config)
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        drop = listening(lambda step: signal.raise_signal(signal.SIGHUP) if step == 2 else None)
        assert pretrain(run.path, config, drop)
    finally:
        assert signal.signal(signal.SIGHUP, usual) == signal.SIG_IGN


class _ReaderLeaves(io.StringIO):
    """A pipe whose reader goes away once step 3 is shown."""

    def write(self, text: str) -> int:
        if "step 3" in text:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        return super().write(text)


def test_where_nobody_reads_on_what_was_done_is_saved(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    run, progress = begin(config), Progress(interval=0.0)
    progress.console.file = _ReaderLeaves()
    with pytest.raises(BrokenPipeError):
        pretrain(run.path, config, progress)
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    assert checkpoint.state.step == 3
    assert pretrain(run.path, config, listening())
    _assert_same(run, unbroken)


def test_a_log_that_is_lost_is_said_and_can_be_put_back(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    run = _stopped(begin, config, listening)
    lines = run.metrics.read_bytes()
    run.metrics.unlink()
    with pytest.warns(
        UserWarning, match=r"metrics\.jsonl: lines are lost: expected 2 up to step 2, .*found 0"
    ):
        assert pretrain(run.path, config, listening())
    run.metrics.write_bytes(lines + run.metrics.read_bytes())
    _assert_same(run, unbroken)


def test_settings_that_were_emptied_are_not_the_defaults(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    run = _stopped(begin, config, listening)
    whole = run.config.read_text(encoding="utf-8")
    for left in ("", whole[: whole.index("[optimizer]")]):
        run.config.write_text(left, encoding="utf-8")
        said = r"config\.toml: expected the settings that this run began with, .* it has no .*\[optimizer\]"
        with pytest.raises(InputError, match=said):
            Pretrain(run.path).run_config()
        with pytest.raises(InputError, match=said):
            pretrain(run.path, config, listening())
    assert not run.corpus.exists()
