"""Trackers: what TensorBoard and trackio are told, and that nothing in them stops a run."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from xformer.runs.config import TrackerName, TrainingConfig
from xformer.runs.metrics import MetricsLog, read_metrics
from xformer.runs.trackers import Trackers
from xformer.storage.toml import load_toml, save_toml

# The thread of a writer whose folder has vanished may fail in a later test.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
needs_trackio = pytest.mark.skipif(
    importlib.util.find_spec("trackio") is None,
    reason="trackio is not installed: pip install 'xformer[trackio]'",
)


def _line(step: int, **more: Any) -> dict[str, Any]:
    line = {"step": step, "elapsed": step / 2, "tokens": 9 * step, "tokens_per_s": 18.0, "stage": "full"}
    return line | {"loss": {"alignment": 2.0 / step}, "languages": {}, **more}


def _log(folder: Path, step: int, *names: TrackerName, said: list[str] | None = None) -> MetricsLog:
    say = said.append if said is not None else print
    return MetricsLog(folder / "metrics.jsonl", step, Trackers(names, folder / "events", "first", step, say))


@needs_tensorboard
def test_tensorboard_has_the_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with _log(tmp_path, 0, "tensorboard") as log:
        for step in (1, 2):
            log.write(_line(step, lr_factor={"matrices": 0.5}))
    # TensorBoard reads its files by name: the second they were opened in, then a count without zeros
    # in front, so that of two files of one second number 10 is read before number 9.
    time.sleep(1.1)
    with _log(tmp_path, 1, "tensorboard") as log:  # step 2 is done again
        log.write(_line(2, lr_factor={"matrices": 0.25}))
    board = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("loss/alignment")] == [(1, 2.0), (2, 1.0)]
    assert [event.value for event in board.Scalars("lr_factor/matrices")] == [0.5, 0.25]
    with _log(tmp_path, 0, "tensorboard") as log:  # a run that begins again
        log.write(_line(1))
    board = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [event.step for event in board.Scalars("loss/alignment")] == [1]


@needs_tensorboard
def test_tensorboard_has_learning_rates_and_scores_of_the_panel_and_of_an_evaluation(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, said = tmp_path / "events", list[str]()
    rates = {"matrices": 1e-3, "vectors": 5e-3}
    trackers = Trackers(("tensorboard",), folder, "first", 0, said.append, rates)
    with MetricsLog(tmp_path / "metrics.jsonl", 0, trackers) as log:
        log.write(_line(1, lr_factor={"matrices": 0.5}, data_wait=0.25))
        log.track({"panel/mean_top1": 0.75, "panel_top1/de": 0.5}, 1)
        log.write(_line(2))
    assert "panel" not in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    time.sleep(1.1)
    late = Trackers(("tensorboard",), folder, "first", 2, said.append)
    late.add({"test/top1": 0.625}, 2, late=True)
    late.close()
    board = EventAccumulator(str(folder)).Reload()
    found = {
        tag: [(event.step, event.value) for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]
    }
    assert found["learning_rate/matrices"] == [(1, pytest.approx(5e-4))]
    assert "learning_rate/vectors" not in found
    assert found["data_wait"] == [(1, 0.25)]
    assert (found["panel/mean_top1"], found["panel_top1/de"]) == ([(1, 0.75)], [(1, 0.5)])
    assert found["test/top1"] == [(2, 0.625)]
    assert [step for step, _ in found["loss/alignment"]] == [1, 2]
    assert said == []


@needs_tensorboard
def test_tensorboard_s_folder_may_vanish(tmp_path: Path) -> None:
    events, said = tmp_path / "events", list[str]()
    with _log(tmp_path, 0, "tensorboard", said=said) as log:
        log.write(_line(1))
        while events.exists():  # its writer may put a file there while it is removed
            shutil.rmtree(events, ignore_errors=True)
        for step in range(2, 50):
            log.write(_line(step))
    assert all("tensorboard failed" in message for message in said)
    assert len(said) <= 1
    assert events.is_dir()
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 49


@needs_tensorboard
@pytest.mark.parametrize("when", ["at the start", "later", "at the end"])
def test_tensorboard_failing_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    method = {"at the start": "__init__", "later": "add_scalar", "at the end": "close"}[when]
    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(SummaryWriter, method, _fail)
        with _log(tmp_path, 0, "tensorboard", said=said) as log:
            log.write(_line(1))
            log.write(_line(2))
    assert said == ["training.trackers: tensorboard failed (no room); going on without it"]
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 2


def _fail(*arguments: Any, **options: Any) -> None:
    raise OSError("no room")


class FakeRun:
    """What trackio's adapter uses of it."""

    def __init__(self) -> None:
        self.began: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.finished = 0

    def init(self, **options: Any) -> FakeRun:
        print("* a greeting")
        self.began.append(options)
        return self

    def log(self, numbers: dict[str, float], step: int) -> None:
        self.logged.append((step, numbers))

    def get_logs(self, project: str, name: str) -> list[dict[str, float]]:
        assert (project, name) == ("xformer", "first")
        return [{"step": step, **numbers} for step, numbers in self.logged]

    def finish(self) -> None:
        print("* a farewell")
        self.finished += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """A module in trackio's place."""
    run, module = FakeRun(), ModuleType("trackio")
    module.init, module.finish = run.init, run.finish  # type: ignore[attr-defined]
    storage = ModuleType("trackio.sqlite_storage")
    storage.SQLiteStorage = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio", module)
    monkeypatch.setitem(sys.modules, "trackio.sqlite_storage", storage)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return run


def test_trackio_is_told_each_line_and_goes_on(
    fake: FakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with _log(tmp_path, 0, "trackio") as log:
        log.write(_line(1, flag=True))
    with _log(tmp_path, 1, "trackio") as log:
        log.write(_line(2))
    assert [(one["name"], one["resume"]) for one in fake.began] == [("first", "never"), ("first", "allow")]
    assert fake.logged == [
        (1, {"elapsed": 0.5, "tokens": 9, "tokens_per_s": 18.0, "loss/alignment": 2.0, "flag": True}),
        (2, {"elapsed": 1.0, "tokens": 18, "tokens_per_s": 18.0, "loss/alignment": 1.0}),
    ]
    assert fake.finished == 2
    assert capsys.readouterr().out == ""


def test_trackio_is_told_no_step_twice(fake: FakeRun, tmp_path: Path) -> None:
    with _log(tmp_path, 0, "trackio") as log:
        for step in (1, 2, 3):
            log.write(_line(step))
    with _log(tmp_path, 1, "trackio") as log:  # steps 2 and 3 are done again
        for step in (2, 3, 4):
            log.write(_line(step))
    assert [step for step, _ in fake.logged] == [1, 2, 3, 4]
    with _log(tmp_path, 0, "trackio") as log:  # a run that begins again is another one
        log.write(_line(1))
    assert [step for step, _ in fake.logged] == [1, 2, 3, 4, 1]


def test_trackio_is_told_late_numbers_of_a_step_that_it_has(fake: FakeRun, tmp_path: Path) -> None:
    with _log(tmp_path, 0, "trackio") as log:
        log.write(_line(1))
    late = Trackers(("trackio",), tmp_path / "events", "first", 1, print)
    late.add({"test/top1": 0.5}, 1, late=True)
    late.add({"loss": 0.5}, 1)
    late.close()
    assert fake.logged[1:] == [(1, {"test/top1": 0.5})]


@pytest.mark.parametrize("when", ["init", "log", "finish"])
def test_trackio_failing_stops_neither_the_run_nor_the_others(
    fake: FakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr(fake if when == "log" else sys.modules["trackio"], when, _fail)
    names: tuple[TrackerName, ...] = ("trackio",)
    with _log(tmp_path, 0, *names, said=said) as log:
        for step in range(1, 4):
            log.write(_line(step))
    assert said == ["training.trackers: trackio failed (no room); going on without it"]
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 3


def test_one_that_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said: list[str] = []
    with _log(tmp_path, 0, "tensorboard", "trackio", said=said) as log:
        log.write(_line(1))
    assert said == [
        "training.trackers: tensorboard is not installed (pip install 'xformer[plot]')",
        "training.trackers: trackio is not installed (pip install 'xformer[trackio]')",
    ]
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1


@needs_trackio
def test_trackio_itself_keeps_the_numbers(tmp_path: Path) -> None:
    # In a process of its own: where its data lie is read once, when it is imported.
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_trackers import _line, _log; folder = Path(sys.argv[1])\n"
        "with _log(folder, 0, 'trackio') as log: log.write(_line(1)); log.write(_line(2))\n"
        "with _log(folder, 1, 'trackio') as log: log.write(_line(2)); log.write(_line(3))\n"
        "from trackio.sqlite_storage import SQLiteStorage\n"
        "import json; found = SQLiteStorage.get_logs('xformer', 'first')\n"
        "print(json.dumps([[one['step'], one['loss/alignment']] for one in found]))\n"
    )
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "trackio"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == [[1, 2.0], [2, 1.0], [3, pytest.approx(2 / 3)]]


def test_the_setting_is_a_list_of_known_names(tmp_path: Path) -> None:
    save_toml(tmp_path / "c.toml", TrainingConfig(trackers=("trackio", "tensorboard")))
    assert load_toml(tmp_path / "c.toml", TrainingConfig).trackers == ("trackio", "tensorboard")
    with pytest.raises(ValueError, match=r"training\.trackers: expected each name once"):
        TrainingConfig(trackers=("trackio", "trackio"))
    for value, message in (
        ('"trackio"', "expected a list"),
        ('["x"]', "expected one of tensorboard, trackio"),
    ):
        (tmp_path / "c.toml").write_text(f"trackers = {value}")
        with pytest.raises(ValueError, match=f"trackers: {message}"):
            load_toml(tmp_path / "c.toml", TrainingConfig)
