"""`xformer demo`: one call trains, evaluates inside and outside, and shows both side by side."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.synthetic_runs import WORDS
from xformer.cli.pretrain import Pretrain
from xformer.data.embedded import EmbeddedName
from xformer.data.embedded import corpus as embedded_corpus
from xformer.data.embedded.corpus import EmbeddedCorpus
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.evaluation.outside.run import outside_reports
from xformer.runs.directory import RunDirectory


def declaration(languages: dict[str, str]) -> list[Record]:
    """A text in some languages that the run has not seen; of each, the words of another one."""
    return [
        Record(f"oh {' '.join(words)}", language, str(number), "declaration/made.tgz:1")
        for language, words_of in languages.items()
        for number, words in enumerate(itertools.product(*map(str.split, WORDS[words_of])))
    ]


@pytest.fixture
def run(trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a trained run; the declaration is a made-up text."""

    def fetch(name: EmbeddedName, *, say: Callable[[str], None]) -> EmbeddedCorpus:
        assert name == "declaration"
        source = Source("declaration/made.tgz", "MIT", "0" * 64, 7)
        texts = declaration({"en": "en", "de": "de", "el": "el", "nds": "de"})
        return EmbeddedCorpus(name, (source,), {}, lambda notes: iter(texts))

    monkeypatch.setattr(embedded_corpus, "fetch_embedded", fetch)
    return Path(shutil.copytree(trained.path, tmp_path / "run"))


def test_it_shows_inside_and_outside(xformer: Run, run: Path) -> None:
    status, output, said = xformer("demo", "--run", run)
    assert status == 0, said
    shown = output[output.index("Inside and outside") :]
    (report,) = outside_reports(RunDirectory(run))
    assert (report.name, report.overlap) == ("declaration", None)
    assert {one.which: one.languages for one in report.means} == {"all": 3, "seen": 2, "unseen": 1}
    for text in ("model", "bag of subwords", "untrained model", "character trigrams", "not seen in training"):
        assert text in shown
    for mean in report.means:
        if mean.which != "all":
            assert all(f"{score.top1:.3f}" in shown for score in mean.scores.values())
    assert report.bits is None
    assert (run / "outside" / "declaration" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("options", "corpus"), [((), "broad"), (("--corpus", "gettext"), "gettext")], ids=["default", "gettext"]
)
def test_a_new_run_has_the_corpus_without_what_it_is_tested_on(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], corpus: str
) -> None:
    asked: list[Pretrain] = []

    def run_command(self: Pretrain) -> int:
        asked.append(self)
        return 3

    monkeypatch.setattr(Pretrain, "run_command", run_command)
    status, _, _ = xformer("demo", "--run", tmp_path / "new", "--budget", "1m", *options)
    assert status == 3
    config = asked[0].run_config()
    assert (config.data.corpus, config.data.decontaminate) == (corpus, ("declaration",))
    assert config.training.budget == "1m"


def test_a_run_keeps_its_corpus(xformer: Run, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run_command(self: Pretrain) -> int:
        asked.append(self.set)
        return 3

    monkeypatch.setattr(Pretrain, "run_command", run_command)
    xformer("demo", "--run", run)
    assert asked == [()]
