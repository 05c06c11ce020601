"""`verify_resume` passes where nothing differs, and fails where one bit does.

Covers `xformer.cli.verify_resume` too.

Covers compare_runs, fault_plan and interrupted_run of xformer.training.verify_resume.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from xformer.cli.verify_resume import VerifyResume
from xformer.errors import InputError
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.synthetic_data import synthetic_config, synthetic_corpus
from xformer.progress import Progress
from xformer.runs import checkpoint as checkpoint_module
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.checksummed import FileEntry, read_checksummed, write_checksummed
from xformer.storage.toml import save_toml
from xformer.training.verify_resume.compare_runs import Comparison, compare_runs
from xformer.training.verify_resume.fault_plan import Fault, InjectedFault, plan_faults
from xformer.training.verify_resume.interrupted_run import Child
from xformer.training.verify_resume.verify import Verdict, _whole_or_absent, verify_resume

Listening = Callable[..., Progress]

STEPS = 24
FAULTS = [
    Fault("preparing", 0.6, 0.0, ""),
    Fault("checkpoint", 0.1, 0.5, "optimizer.safetensors"),
    Fault("training", 0.4, 0.3, ""),
    Fault("asked", 0.5, 0.2, ""),
    Fault("checkpoint", 0.6, 0.5, ""),
]
LIMIT = 240  # seconds
COMMAND = "from xformer.cli import main; main()"


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_no_picture")]


@pytest.fixture(scope="module")
def proof(
    tmp_path_factory: pytest.TempPathFactory, listening: Listening
) -> tuple[Verdict, RunDirectory, RunDirectory]:
    """A small but whole call of `verify_resume`: its verdict and the two runs."""
    folder = tmp_path_factory.mktemp("proof")
    config = synthetic_config(synthetic_corpus(folder / "corpus"), STEPS)
    verdict = verify_resume(folder, config, pretrain, FAULTS, listening(), threads=1)
    return verdict, RunDirectory(folder / "whole"), RunDirectory(folder / "stopped")


def test_a_run_that_was_killed_again_and_again_is_the_same(
    proof: tuple[Verdict, RunDirectory, RunDirectory],
) -> None:
    verdict, whole, stopped = proof
    assert [row for row in verdict.rows if row.differences] == []
    assert verdict.same
    assert [fault.kind for fault in verdict.injected] == [fault.kind for fault in FAULTS]
    assert verdict.injected[0].step == 0
    assert verdict.injected[2].step >= 0.4 * STEPS
    said = (stopped.path.parent / "stopped.log").read_text(encoding="utf-8")
    assert "interrupted and saved" in said
    assert "resuming from" in said
    assert whole.metrics.read_bytes().count(b"\n") == STEPS / 2
    assert {row.what for row in verdict.rows} >= {"weights", "optimizer", "data order", "learning rates"}


def _differing(one: RunDirectory, other: RunDirectory) -> set[str]:
    return {row.what for row in compare_runs(one, other) if row.differences}


def _change_tensor(run: RunDirectory, file: str, prefix: str) -> None:
    """Flip the last bit of the last number of one tensor, and write the checkpoint's hashes again."""
    (folder,) = [path for path in run.checkpoints.iterdir() if path.name == f"step-{STEPS:08d}"]
    tensors = load_file(folder / file)
    name = next(name for name in sorted(tensors) if name.startswith(prefix))
    raw = bytearray(np.ascontiguousarray(tensors[name]).tobytes())
    raw[-4] ^= 1
    kind, shape = tensors[name].dtype, tensors[name].shape
    tensors[name] = np.frombuffer(bytes(raw), dtype=kind).reshape(shape)
    save_file(tensors, folder / file)
    contents = read_checksummed(folder / "state.json", checkpoint_module._Contents)
    files = tuple(FileEntry.of(folder / entry.name) for entry in contents.files)
    write_checksummed(folder / "state.json", checkpoint_module._Contents(contents.state, files))


def _change_metrics(run: RunDirectory, change: Callable[[dict[str, Any]], None]) -> None:
    lines = [json.loads(text) for text in run.metrics.read_text(encoding="utf-8").split("\n")[:-1]]
    change(lines[3])
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


CHANGES: dict[str, Callable[[RunDirectory], None]] = {
    "weights": lambda run: _change_tensor(run, "model.safetensors", ""),
    "optimizer": lambda run: _change_tensor(run, "optimizer.safetensors", "exp_avg.encoder"),
    "random state": lambda run: _change_tensor(run, "optimizer.safetensors", "rng"),
    "prepared data": lambda run: (run.shards("dev") / "group.bin").unlink(),
    "metrics.jsonl": lambda run: _change_metrics(run, lambda line: line.update(gradient_norm=-0.0)),
    "learning rates": lambda run: _change_metrics(run, lambda line: line.update(lr_factor={"matrices": 1})),
    "": lambda run: _change_metrics(run, lambda line: line.update(elapsed=-1.0, tokens_per_s=0.0)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_difference_is_found_and_named(
    proof: tuple[Verdict, RunDirectory, RunDirectory], tmp_path: Path, what: str
) -> None:
    _, whole, stopped = proof
    copy = RunDirectory(tmp_path / "copy")
    shutil.copytree(stopped.path, copy.path)
    CHANGES[what](copy)
    also = {"learning rates": {"metrics.jsonl"}}.get(what, set())
    assert _differing(whole, copy) == {what} - {""} | also


def test_a_line_too_many_is_a_difference(
    proof: tuple[Verdict, RunDirectory, RunDirectory], tmp_path: Path
) -> None:
    _, whole, stopped = proof
    copy = RunDirectory(tmp_path / "copy")
    shutil.copytree(stopped.path, copy.path)
    lines = copy.metrics.read_bytes().split(b"\n")
    copy.metrics.write_bytes(b"\n".join([*lines[:5], *lines[4:]]))
    assert "metrics.jsonl" in _differing(whole, copy)


def test_other_data_is_a_difference(
    proof: tuple[Verdict, RunDirectory, RunDirectory], listening: Listening, tmp_path: Path
) -> None:
    """Another seed: other weights, other batches, and the same data on the disk."""
    _, whole, _ = proof
    other, config = RunDirectory(tmp_path / "other"), whole.load_config()
    shutil.copytree(whole.path, other.path, ignore=shutil.ignore_patterns("checkpoints", "metrics.jsonl"))
    config = replace(config, training=replace(config.training, seed=1, steps=2))
    assert pretrain(other.path, config, listening())
    assert _differing(whole, other) >= {"weights", "optimizer", "data order", "metrics.jsonl"}
    assert "prepared data" not in _differing(whole, other)


def test_faults_follow_from_the_seed_and_are_of_every_kind() -> None:
    faults = plan_faults(12, 3)
    assert faults == plan_faults(12, 3) != plan_faults(12, 4)
    kinds = [fault.kind for fault in faults]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "preparing": 2,
        "checkpoint": 4,
        "training": 4,
        "asked": 2,
    }
    assert kinds[:2] == ["preparing"] * 2
    assert [fault.after for fault in faults[2:]] == sorted(fault.after for fault in faults[2:])


def test_a_run_measured_in_time_is_refused(tmp_path: Path, listening: Listening) -> None:
    with pytest.raises(InputError, match=r"training\.steps: expected a number"):
        verify_resume(tmp_path, RunConfig(), pretrain, [], listening())


def test_a_run_that_ends_with_an_error_says_which(tmp_path: Path, listening: Listening) -> None:
    config = synthetic_config(tmp_path / "nowhere", 4)
    with pytest.raises(InputError, match=r"whole: training ended with 2: .*nowhere: expected the folder"):
        verify_resume(tmp_path, config, pretrain, [], listening(), threads=1)


def test_faults_for_which_a_run_is_too_short_are_injected_into_another(
    tmp_path: Path, listening: Listening
) -> None:
    """A delay longer than any run: three runs end before that fault, and the next is not injected."""
    config = synthetic_config(synthetic_corpus(tmp_path / "corpus"), 2)
    checkpoint, late = Fault("checkpoint", 0.9, 0.0, ""), Fault("training", 0.9, 1e9, "")
    verdict = verify_resume(
        tmp_path, config, pretrain, [checkpoint, late, checkpoint], listening(), threads=1
    )
    assert [fault.kind for fault in verdict.injected] == ["checkpoint"]
    assert (verdict.missed, verdict.same, verdict.proven) == (2, True, False)
    for name in ("stopped", "stopped-2", "stopped-3"):
        assert RunDirectory(tmp_path / name).model_card.is_file()


def test_a_half_written_checkpoint_under_its_last_name_is_seen_and_is_a_difference(
    tmp_path: Path, config: RunConfig
) -> None:
    run = RunDirectory(tmp_path / "run")
    torn = run.checkpoints / "step-00000004"
    torn.mkdir(parents=True)
    child = Child(run, pretrain, config, 1)
    try:
        assert child._writing("", [torn])
        assert not child._writing("model.safetensors", [torn])
        (torn / "model.safetensors").write_bytes(b"half")
        assert child._writing("model.safetensors", [torn])
        (torn / "state.json").write_bytes(b"sealed")
        assert not child._writing("", [torn])
        assert child._writing("state.json", [])  # in place by now: it was not there before
    finally:
        child.__exit__()
    row = _whole_or_absent(
        [InjectedFault("training", 2, False), InjectedFault("checkpoint", 4, True, (torn.name,))]
    )
    assert (row.what, row.differences) == ("checkpoints", ("step-00000004 after stop 2",))


@pytest.mark.parametrize(
    ("injected", "missed", "status"),
    [
        ([InjectedFault("checkpoint", 4, True)], 0, 0),
        ([InjectedFault("checkpoint", 4, True)], 2, 3),
        ([InjectedFault("checkpoint", 4, False)], 0, 3),
        ([InjectedFault("training", 4, False)], 0, 0),
    ],
)
def test_less_than_was_asked_for_is_no_proof(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    injected: list[InjectedFault],
    missed: int,
    status: int,
) -> None:
    verdict = Verdict(9, tuple(injected), missed, (Comparison("weights", "3 tensors", ()),), 2.0)
    monkeypatch.setattr("xformer.training.verify_resume.verify.verify_resume", lambda *_, **__: verdict)
    assert VerifyResume(steps=9).run_command() == status
    half = sum(fault.half_written for fault in injected)
    said = f"not proven: 1 of {1 + missed} stops happened, {half} in a checkpoint"
    out = capsys.readouterr().out
    assert (said in out, "the same in every bit" in out) == (status == 3, status == 0)
    assert VerifyResume(steps=9, json=True).run_command() == status
    printed = json.loads(capsys.readouterr().out)
    assert (printed["same"], printed["proven"]) == (True, status == 0)
    assert (printed["missed"], printed["half_written"]) == (missed, half)


@pytest.mark.parametrize("same", [True, False])
def test_the_command_tells_and_exits_accordingly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], same: bool
) -> None:
    rows = (Comparison("weights", "3 tensors", () if same else ("a", "b", "c", "d")),)
    seen: list[Any] = []

    def prove(*arguments: Any, threads: int) -> Verdict:
        seen.append((*arguments, threads))
        return Verdict(9, (InjectedFault("checkpoint", 4, True),), 0, rows, 2.0)

    monkeypatch.setattr("xformer.training.verify_resume.verify.verify_resume", prove)
    assert VerifyResume(steps=9, kills=5, seed=2, out=tmp_path / "out").run_command() == (0 if same else 1)
    out = capsys.readouterr().out
    assert ("the same in every bit" in out, "NOT the same" in out) == (same, not same)
    assert same or "a, b, c …" in out
    assert "stopped 1 times: 1 while a checkpoint was due; 1 left a half-written checkpoint" in out
    _, config, train, faults, _, threads = seen[0]
    assert (config.training.steps, train, faults, threads) == (9, pretrain, plan_faults(5, 2), 1)
    assert VerifyResume(steps=9, json=True).run_command() == (0 if same else 1)
    printed = json.loads(capsys.readouterr().out)
    assert printed["same"] is same
    assert printed["struck"] == [{"kind": "checkpoint", "step": 4, "half_written": True, "torn": []}]


def test_the_command_takes_settings_of_one_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: RunConfig
) -> None:
    seen: list[RunConfig] = []

    def prove(folder: Path, config: RunConfig, *arguments: Any) -> Verdict:
        seen.append(config)
        return Verdict(1, (), 0, (), 0.0)

    monkeypatch.setattr("xformer.training.verify_resume.verify.verify_resume", prove)
    save_toml(tmp_path / "mine.toml", config)
    assert VerifyResume(config=tmp_path / "mine.toml").run_command() == 0
    assert seen == [config]
    save_toml(tmp_path / "timed.toml", RunConfig())
    assert VerifyResume(config=tmp_path / "timed.toml").run_command() == 0
    assert (seen[1].training.budget, seen[1].training.steps) == (None, 60)


def test_the_command_proves_it_for_settings_of_one_s_own(
    tmp_path: Path, config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    save_toml(tmp_path / "mine.toml", config)
    out = tmp_path / "deep" / "new"
    command = VerifyResume(config=tmp_path / "mine.toml", steps=4, kills=1, out=out, json=True)
    assert command.run_command() == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 4
    assert {path.name for path in out.iterdir()} >= {"whole", "whole.log", "stopped", "stopped.log"}
    assert RunDirectory(out / "stopped").load_config().model == config.model


def test_ctrl_c_in_a_terminal_ends_it_without_a_traceback() -> None:
    """It reaches every process of the group; the one that imports for the others has just begun."""
    if not Path("/proc/self/maps").is_file():
        pytest.skip("needs /proc to see that it has begun")
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "verify-resume"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + LIMIT
        while not _server_of(process.pid):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        # Everything that may print has ended once nobody holds the pipe any more.
        out, err = process.communicate(timeout=LIMIT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.endswith("xformer: interrupted\n")


def _server_of(parent: int) -> bool:
    """Whether the process that forks the others has begun to import what they need."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):
            if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                return "libtorch" in Path(f"/proc/{child}/maps").read_text()
    return False


def test_the_command_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    for wrong in (VerifyResume(kills=0), VerifyResume(steps=0)):
        with pytest.raises(InputError, match="expected whole numbers from 1"):
            wrong.run_command()
    (tmp_path / "mine.toml").write_text("[model]\nt5_buckets = 16\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.toml: model\.t5_buckets=16 would do nothing"):
        VerifyResume(config=tmp_path / "mine.toml").run_command()
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        VerifyResume(out=tmp_path).run_command()
    for file in (tmp_path / "mine", tmp_path / "mine" / "deeper"):
        with pytest.raises(InputError, match=rf"{file}: .*file"):
            VerifyResume(out=file).run_command()
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"
