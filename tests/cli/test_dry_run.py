"""`xformer pretrain --dry-run`: a table for people, an object for programs, and nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from xformer.pretraining.forecast import dry_run

Run = Callable[..., tuple[int, str, str]]


def test_what_is_printed(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    monkeypatch.setattr(dry_run, "forecast", partial(dry_run.forecast, seconds=0.1))
    (tmp_path / "mine.toml").write_text(settings)
    options = ("--config", tmp_path / "mine.toml", "--steps", 1000, "--dry-run")
    status, out, err = xformer("pretrain", tmp_path / "run", *options)
    assert status == 0
    assert "measuring the full stage on synthetic texts" in err
    for row in ("parameters", "optimizer", "activations", "1,000", "tokens/s", "time of training"):
        assert row in out
    assert "bigrams" not in out, "the model has none"
    status, out, _ = xformer("pretrain", tmp_path / "run", *options, "--json")
    found = json.loads(out)
    assert (status, found["steps"], len(found["stages"])) == (0, 1000, 1)
    assert not (tmp_path / "run").exists()


def test_what_the_run_would_say_is_said_once(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, moses: dict[str, Path]
) -> None:
    monkeypatch.setattr(dry_run, "forecast", partial(dry_run.forecast, seconds=0.1))
    given = ("--licence", "CC0-1.0", "--dev", 20, "--test", 20)
    assert xformer("data", "import", "moses", *moses.values(), "--out", tmp_path / "c", *given)[0] == 0
    (tmp_path / "mine.toml").write_text(f'{settings}[data]\ncorpus = "{tmp_path / "c"}"\npivot = "fr"\n')
    options = ("--config", tmp_path / "mine.toml", "--steps", 10, "--dry-run", "--json")
    status, out, err = xformer("pretrain", tmp_path / "run", *options)
    findings = [finding["text"] for finding in json.loads(out)["checks"]["findings"]]
    assert (status, bool(findings)) == (0, True)
    status, out, err = xformer("pretrain", tmp_path / "run", *options[:-1])
    for finding in findings:
        assert (" ".join(out.split()) + err).count(finding) == 1


def test_json_is_for_the_dry_run(xformer: Run, tmp_path: Path) -> None:
    status, out, err = xformer("pretrain", tmp_path / "run", "--json")
    assert (status, out) == (2, "")
    assert "--json: expected --dry-run" in err
