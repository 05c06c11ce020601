"""`xformer inspect align`: links as Python gives them, and a table of scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import xformer.inspect as lab
from tests.inspect.analysis.two_languages import small_subject
from xformer.inspect.analysis.align_texts import align_by_attention, align_by_states
from xformer.inspect.analysis.alignment_links import Gold, alignment_scores, from_pharaoh, to_pharaoh
from xformer.inspect.subject import Subject

LEFT = ["cat dog, fin", "", "the x"]
RIGHT = ["fin cat: dog", "y", "x the"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """The model that the command opens, whatever it is asked for."""
    subject = small_subject(layer=2)
    monkeypatch.setattr(lab, "open", lambda *_, **__: subject)
    return subject


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "left", tmp_path / "right"
    for path, lines in zip(paths, (LEFT, RIGHT), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


def test_links_are_those_of_python(xformer: Run, subject: Subject, texts: tuple[Path, Path]) -> None:
    pairs = list(zip(LEFT, RIGHT, strict=True))
    status, out, _ = xformer("inspect", "align", "run", *texts)
    by_layer = align_by_states(subject, pairs)
    assert (status, out.split("\n")) == (0, [*map(to_pharaoh, by_layer[2]), ""])
    _, out, _ = xformer("inspect", "align", "run", *texts, "--layer", "0", "--method", "itermax")
    assert out.split("\n")[:-1] == [*map(to_pharaoh, align_by_states(subject, pairs, "itermax")[0])]


def test_scores_are_those_of_python(
    xformer: Run, subject: Subject, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    gold = tmp_path / "gold"
    gold.write_text("1\t4 4\t0-1 1-3 2p2 3-0\n3\t2 2\t0-1 1-0\n", encoding="utf-8")
    status, out, _ = xformer("inspect", "align", "run", *texts, "--gold", gold)
    assert status == 0
    pairs = [(LEFT[0], RIGHT[0]), (LEFT[2], RIGHT[2])]
    links = [from_pharaoh("0-1 1-3 2p2 3-0"), from_pharaoh("0-1 1-0")]
    standard = [Gold(1, *links[0]), Gold(3, *links[1])]

    def aer(found: Any) -> str:
        return f"{alignment_scores(zip(found, standard, strict=True)).aer:.3f}"

    lines = out.split("\n")
    rows = {line[:22].strip(): line[22:].split() for line in lines[: lines.index("", 2)]}
    assert lines[0] == "small: 2 pairs, 5 sure links"
    for layer, found in enumerate(align_by_states(subject, pairs)):
        assert rows[f"states, layer {layer}"][3] == aer(found)
    # Before the first layer each letter is nearest to itself. What is left for comma and colon is possible.
    assert rows["states, layer 0"][1:4] == ["1.000", "1.000", "0.000"]
    heads = align_by_attention(subject, pairs)
    at = lines.index("AER of attention: a row for each layer from 0, a column for each of 4 heads") + 1
    assert [line.split()[1:] for line in lines[at : at + 3]] == [[*map(aer, row)] for row in heads]
    assert any(line.startswith("states, layer 0        AER 0.000 where chosen, 0.000 on") for line in lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--layer", "4"], "--layer: expected 0 to 3, got 4"),
        (["--gold", "nowhere"], "nowhere: no such file"),
        (["--gold", "multi30k-en-de"], "gold: line 1 has (10, 11) words there, (4, 4) here"),
    ],
)
def test_what_does_not_fit_is_named(
    xformer: Run, subject: Subject, texts: tuple[Path, Path], options: list[str], said: str
) -> None:
    status, _, err = xformer("inspect", "align", "run", *texts, *options)
    assert status == 2
    assert said in err


def test_files_of_different_lengths(xformer: Run, subject: Subject, texts: tuple[Path, Path]) -> None:
    texts[1].write_text("one\n", encoding="utf-8")
    status, _, err = xformer("inspect", "align", "run", *texts)
    assert status == 2
    assert "expected as many lines in both files, got 3 in" in err
