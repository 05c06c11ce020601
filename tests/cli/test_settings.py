"""`xformer settings`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.runs.config import RunConfig
from xformer.runs.reference import markdown
from xformer.storage.toml import overridden, save_toml

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of which two settings are not the defaults."""
    changes = ["model.d_model=128", "training.trackers=[]"]
    save_toml(tmp_path / "config.toml", overridden({}, changes, RunConfig, "--set"))
    return tmp_path


def test_all_are_listed_by_table(xformer: Run) -> None:
    status, out, err = xformer("settings")
    assert (status, err) == (0, "")
    for group in ("model", "tokenizer", "data", "objectives.masking", "objectives", "optimizer", "training"):
        assert f"\n{group} " in f"\n{out}"
    assert "learning rate of the matrices of the blocks" in out
    assert "0.0015" in out


def test_one_is_shown_in_full(xformer: Run) -> None:
    status, out, _ = xformer("settings", "precision")
    assert status == 0
    for words in (
        "training.precision",
        "auto | fp32 | bf16",
        "until the first checkpoint",
        "--set training.prec",
    ):
        assert words in out
    _, out, _ = xformer("settings", "--search", "min_language")
    assert "acts" in out
    assert "`xformer data import` decides it" in out


def test_a_runs_values_are_beside_the_defaults(xformer: Run, run: Path) -> None:
    _, out, _ = xformer("settings", "model", "--run", run)
    (line,) = (line for line in out.splitlines() if line.strip().startswith("d_model"))
    assert line.split()[1:4] == ["*", "128", "256"]
    assert "* not the default" in out
    _, out, _ = xformer("settings", "--run", run, "--changed", "--json")
    assert {one["name"]: (one["default"], one["value"]) for one in json.loads(out)} == {
        "model.d_model": (256, 128),
        "training.trackers": (["tensorboard"], []),
    }
    _, out, _ = xformer("settings", "seed", "--run", run, "--changed")
    assert out == "All of these have their defaults.\n"
    _, out, _ = xformer("settings", "d_model", "--run", run)
    assert "128 (not the default)" in out


def test_json_has_all_of_it(xformer: Run) -> None:
    status, out, _ = xformer("settings", "--json")
    found = {one["name"]: one for one in json.loads(out)}
    assert status == 0
    assert len(found) > 80
    assert found["training.checkpoint_every"] == {
        "name": "training.checkpoint_every",
        "type": "number",
        "choices": [],
        "optional": False,
        "default": 120.0,
        "unit": "seconds",
        "meaning": "time between checkpoints.",
        "may_change": "at any time",
        "acts_only": "",
        "earlier_names": [],
    }


def test_the_page_is_printed(xformer: Run) -> None:
    assert xformer("settings", "--markdown") == (0, markdown(), "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["lerning_rate"], "did you mean optimizer.lr"),
        (["--changed"], "--changed: expected --run as well"),
        (["--markdown", "--json"], "--markdown: expected no other option"),
        (["--search", "quark"], "no setting has 'quark'"),
        (["--run", "nowhere"], "nowhere: expected a run"),
    ],
)
def test_what_cannot_be_shown_is_refused(xformer: Run, given: list[str], said: str) -> None:
    status, out, err = xformer("settings", *given)
    assert (status, out) == (2, "")
    assert said in err


def test_it_answers_without_what_is_slow_to_import() -> None:
    code = (
        "import sys\nfrom xformer.cli import main\ntry:\n    main(['settings', 'd_model'])\n"
        "except SystemExit as done:\n    assert not done.code\n"
        "print({'torch', 'numpy', 'sentencepiece'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "model.d_model" in done.stdout
    assert done.stderr.strip() == "set()"


def test_the_schema_is_json(xformer: Run) -> None:
    status, out, _ = xformer("settings", "--schema")
    assert status == 0
    schema = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert schema["properties"]["model"]["properties"]["d_model"]["minimum"] == 1
    status, _, err = xformer("settings", "--schema", "--json")
    assert (status, "--schema: expected no other option" in err) == (2, True)
