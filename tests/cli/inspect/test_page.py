"""`xformer inspect page`: a file that holds what Python traces, and refusals before any work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import xformer.inspect as lab
from tests.inspect.analysis.two_languages import small_subject
from xformer.inspect.subject import Subject

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """The model that the command opens, whatever it is asked for."""
    subject = small_subject(layer=2)
    monkeypatch.setattr(lab, "open", lambda *_, **__: subject)
    return subject


def test_the_page_holds_the_pair(xformer: Run, subject: Subject, tmp_path: Path) -> None:
    out = tmp_path / "new" / "pair.html"
    asked = ["--pair", "fin cat", "--languages", "en", "de", "--layer", "1", "-o", out]
    assert xformer("inspect", "page", "run", "cat dog", *asked)[:2] == (0, f"{out}\n")
    found = re.search(r'id="payload">([^<]*)<', out.read_text(encoding="utf-8"))
    assert found
    told = json.loads(found[1])
    (run,) = told["runs"]
    assert [(one["text"], one["language"]) for one in run["texts"]] == [("cat dog", "en"), ("fin cat", "de")]
    assert run["texts"][0]["pieces"] == list(subject.tokenise("cat dog").pieces)
    assert (told["layer"], run["layers"], run["name"]) == (1, subject.config.n_layers, subject.name)
    assert told["command"].startswith("xformer ")


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
