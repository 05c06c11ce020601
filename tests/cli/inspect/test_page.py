"""`xformer inspect page`: a file that holds what Python traces, and refusals before any work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import xformer.inspect as lab
from tests.inspect.analysis.two_languages import small_subject
from xformer.cli.model_options import ModelOptions
from xformer.inspect.page.film import Frame
from xformer.inspect.subject import Subject

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """The model that the command opens, whatever it is asked for."""
    subject = small_subject(layer=2)
    monkeypatch.setattr(lab, "open", lambda *_, **__: subject)
    return subject


def test_the_page_holds_the_pair(
    xformer: Run, subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "pair.html"
    monkeypatch.setattr("sys.argv", ["xformer", "inspect", "page", "run", "cat dog"])
    asked = ["--pair", "fin cat", "--languages", "en", "de", "--layer", "1", "-o", out]
    assert xformer("inspect", "page", "run", "cat dog", *asked)[:2] == (0, f"{out}\n")
    found = re.search(r'id="payload">([^<]*)<', out.read_text(encoding="utf-8"))
    assert found
    told = json.loads(found[1])
    (run,) = told["runs"]
    assert [(one["text"], one["language"]) for one in run["texts"]] == [("cat dog", "en"), ("fin cat", "de")]
    assert run["texts"][0]["pieces"] == list(subject.tokenise("cat dog").pieces)
    assert (told["layer"], run["layers"], run["name"]) == (1, subject.config.n_layers, subject.name)
    assert told["command"] == "xformer inspect page run 'cat dog'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected a text, as in: xformer inspect page runs/demo"),
        (("a", "b", "--pair", "c"), "--pair: expected one text and its translation, got 2 texts"),
        (("cat", "--layer", "7"), "layer 7: "),
        (("cat", "--languages", "en", "de"), "languages: expected one for each of 1 texts, got 2"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    xformer: Run, subject: Subject, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "page.html"
    status, _, err = xformer("inspect", "page", "run", *arguments, "-o", out)
    assert (status, out.exists()) == (2, False)
    assert message in err


def test_a_run_without_weights_names_the_command_that_trains_it(xformer: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    status, _, err = xformer("inspect", "page", tmp_path / "run", "cat", "-o", tmp_path / "page.html")
    assert status == 2
    assert f"`xformer pretrain {tmp_path / 'run'}` makes one" in err


def test_models_and_checkpoints_are_compared_and_heads_ablated(
    xformer: Run, subject: Subject, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    asked = ["--compare", "other", "--checkpoints", "7", "--ablation", "-o", out]
    assert xformer("inspect", "page", "run", "cat dog", *asked)[0] == 0
    found = re.search(r'id="payload">([^<]*)<', out.read_text(encoding="utf-8"))
    assert found
    runs = json.loads(found[1])["runs"]
    assert [run["name"] for run in runs] == [subject.name, subject.name, f"{subject.name}, step 7"]
    assert ["compare" in run for run in runs] == [False, True, True]
    assert len(runs[0]["ablation"][0]["effects"]) == subject.config.n_layers


def test_a_film_of_one_checkpoint_is_refused(
    xformer: Run, subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelOptions, "frames", lambda *_: [Frame(7, None, lambda: subject)])
    out = tmp_path / "page.html"
    status, _, err = xformer("inspect", "page", "run", "cat", "--film", "-o", out)
    assert (status, out.exists()) == (2, False)
    assert "the run has one, of step 7; training.keep_checkpoints says how many a run keeps" in err
