"""Where there is no room, or nobody reads: one message, a status, and nothing half made."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from xformer.cli.report import Report
from xformer.evaluation import run as evaluation
from xformer.evaluation.report_file import UnsavedError
from xformer.runs.directory import RunDirectory

Run = Callable[..., tuple[int, str, str]]
FullDisk = Callable[..., AbstractContextManager[None]]

needs_dev_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no /dev/full to stand for a full disk"
)


@pytest.fixture
def corpus(xformer: Run, moses: dict[str, Path], tmp_path: Path) -> Path:
    options = ("--out", tmp_path / "corpus", "--licence", "CC0-1.0", "--dev", 10, "--test", 10)
    assert xformer("data", "import", "moses", moses["de"], moses["en"], *options)[0] == 0
    return tmp_path / "corpus"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_an_import_names_what_has_no_room(
    xformer: Run, moses: dict[str, Path], tmp_path: Path, full_disk: FullDisk
) -> None:
    before, out = _names(tmp_path), tmp_path / "corpus"
    with full_disk():
        status, _, err = xformer("data", "import", "text", moses["en"], "--out", out, "--licence", "CC0-1.0")
    assert (status, err) == (2, f"xformer: {out}: File too large\n")
    assert _names(tmp_path) == before


def test_a_tokenizer_and_shards_name_what_has_no_room(
    xformer: Run, corpus: Path, tmp_path: Path, full_disk: FullDisk
) -> None:
    model, out = tmp_path / "a.model", tmp_path / "shards"
    train = ("tokenizer", "train", corpus, model, "--vocabulary-size", 300)
    before = _names(tmp_path)
    with full_disk():
        status, _, err = xformer(*train)
    assert (status, err) == (2, f"xformer: {model}: File too large\n")
    assert _names(tmp_path) == before
    assert xformer(*train)[0] == 0
    before = _names(tmp_path)
    with full_disk():
        status, _, err = xformer("data", "shard", corpus, model, "--out", out)
        assert (status, err) == (2, f"xformer: {out}: File too large\n")
    with full_disk(4):
        part = tmp_path / "shards.parts" / "shard-00000"
        status, _, err = xformer("data", "shard", corpus, model, "--out", out, "--worker", 0)
        assert (status, err.splitlines()[-1]) == (2, f"xformer: {part}: File too large")
    part.parent.rmdir()
    assert _names(tmp_path) == before


@pytest.mark.parametrize(("room", "name"), [(0, "task.txt"), (4096, "tokenizer.model")])
def test_a_run_that_begins_names_what_has_no_room(
    xformer: Run, corpus: Path, tmp_path: Path, full_disk: FullDisk, room: int, name: str, settings: str
) -> None:
    config, run = tmp_path / "mine.toml", tmp_path / "run"
    config.write_text(settings + f'[data]\ncorpus = "{corpus}"\n', encoding="utf-8")
    with full_disk(room):
        status, out, err = xformer("pretrain", run, "--config", config, "--steps", 2)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == f"xformer: {run / name}: File too large"
    assert name not in _names(run)
    assert not any(found.startswith(".") for found in _names(run))


WRITES = {
    "data import": ("data", "import", "text", "a.de", "--licence", "x", "--out"),
    "data shard": ("data", "shard", "corpus", "a.model", "--out"),
    "data shard --worker": ("data", "shard", "corpus", "a.model", "--worker", "0", "--out"),
    "tokenizer train": ("tokenizer", "train", "corpus"),
    "tokenizer report": ("tokenizer", "report", "a.model", "corpus", "--picture"),
    "bench OPERATION": ("bench", "copy", "--cpu", "--quick", "--out"),
    "bench report": ("bench", "report", "--out"),
    "bench training": ("bench", "training", "--budget", "1s", "--out"),
    "verify-resume": ("verify-resume", "--out"),
    "pretrain": ("pretrain", "--steps", "1"),
    "demo": ("demo", "--budget", "1s", "--run"),
}


@pytest.mark.parametrize("command", WRITES)
def test_every_place_to_write_to_is_tried_before_work(
    xformer: Run, corpus: Path, moses: dict[str, Path], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    folder = moses["de"].parent
    monkeypatch.chdir(folder)
    moses["de"].rename("a.de")
    Path("file").write_text("mine", encoding="utf-8")
    before = _names(folder)
    places = ["file/x", "n" * 300, *(["/proc/x", "/sys/x"] if Path("/proc/self").is_dir() else [])]
    for place in places:
        status, out, err = xformer(*WRITES[command], place)
        assert (status, out) == (2, "")
        assert err.startswith(f"xformer: {place}"), err
        assert len(err.splitlines()) == 1, err
        assert _names(folder) == before
    assert Path("file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_a_place_that_is_none_is_named(xformer: Run, moses: dict[str, Path], below: str) -> None:
    (moses["en"].parent / "file").write_text("", encoding="utf-8")
    out = moses["en"].parent / below / "corpus"
    status, _, err = xformer("data", "import", "text", moses["en"], "--out", out, "--licence", "CC0-1.0")
    assert status == 2
    assert err == f"xformer: {out}: {moses['en'].parent / 'file'} is a file; expected a folder\n"
    assert len(err.splitlines()) == 1


@needs_dev_full
@pytest.mark.parametrize("size", [10, 1_000_000])
def test_standard_output_is_named(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def run_command(self: Report) -> int:
        sys.stdout.write("x" * size)
        return 0

    monkeypatch.setattr(Report, "run_command", run_command)
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status, _, err = xformer("report", tmp_path)
    assert (status, err) == (2, "xformer: standard output: No space left on device\n")


@needs_dev_full
def test_what_cannot_be_said_is_a_status_all_the_same(tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "xformer", "data", "stats", str(tmp_path)]
        assert subprocess.run(command, stderr=full, timeout=60).returncode == 2


def test_a_mistake_in_the_program_is_shown_where_it_is(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "run_command", lambda self: (tmp_path / "not there").read_text())
    with pytest.raises(FileNotFoundError, match="not there"):
        xformer("report", tmp_path)


def test_no_temporary_folder_is_said(xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "No usable temporary directory found in ['/tmp']"

    def run_command(self: Report) -> int:
        raise FileNotFoundError(errno.ENOENT, said)

    monkeypatch.setattr(Report, "run_command", run_command)
    assert xformer("report", tmp_path)[::2] == (2, f"xformer: {said}\n")


def test_nobody_reads_a_table(xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_command(self: Report) -> int:
        Console().print("a table")
        return 0

    monkeypatch.setattr(Report, "run_command", run_command)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert xformer("report", tmp_path)[::2] == (141, "")


@pytest.mark.parametrize("command", [["--help"], ["evaluate", "--help"]])
def test_nobody_reads_help(xformer: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert xformer(*command)[::2] == (141, "")


@pytest.mark.slow
def test_nobody_reads_what_is_said_on_the_way(corpus: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = ["pretrain", str(tmp_path / "run"), "--steps", "9", "--set", f"data.corpus={corpus}"]
    done = subprocess.run(
        [sys.executable, "-m", "xformer", *command, "tokenizer.vocabulary_size=300"],
        stdout=writer,
        stderr=writer,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    os.close(writer)
    assert done.returncode == 141


def test_an_evaluation_that_cannot_be_kept_is_shown(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate_run(*arguments: object, **options: object) -> None:
        report = SimpleNamespace(to_json=lambda: json.dumps({"measured": 1}))
        raise UnsavedError("the run is closed", report)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "evaluate_run", evaluate_run)
    monkeypatch.setattr("xformer.runs.find.find_run", lambda path: RunDirectory(Path(path)))
    status, out, err = xformer("evaluate", tmp_path, "--json")
    assert (status, json.loads(out), err) == (2, {"measured": 1}, "xformer: the run is closed\n")
