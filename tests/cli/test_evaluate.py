"""`xformer evaluate`, with and without --on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.synthetic_runs import WORDS
from xformer.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def run(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run that other tests share."""
    return Path(shutil.copytree(trained.path, tmp_path_factory.mktemp("evaluate") / "run"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of twelve words in two languages."""
    folder = tmp_path_factory.mktemp("words")
    for name in ("test", "val"):
        for code in ("en", "de"):
            words = " ".join(WORDS[code]).split()[:12]
            (folder / f"{name}.{code}").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def test_json_alone_is_on_standard_output(xformer: Run, run: Path, files: Path) -> None:
    quick = ("--no-baselines", "--no-bits", "--no-overlap")
    status, output, said = xformer("evaluate", run, "--on", files, "--json", *quick)
    assert status == 0
    report = json.loads(output)
    assert [(one["language"], one["pivot"], one["messages"]) for one in report["pairs"]] == [("de", "en", 12)]
    assert report["split"] == "test"
    assert "of test, val, test is read; --split takes another" in " ".join(said.split())
    status, output, _ = xformer("evaluate", run, "--on", files, "--split", "val", *quick)
    assert status == 0
    assert "val, with en (English)" in output
    assert "the run's layer, which its dev split" in " ".join(output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-bits"], "--no-bits: expected beside --on"),
        (["--split", "val"], "--split: expected test or dev, got 'val'"),
        (["--on", "missing"], "--on missing: expected the folder of a corpus, or of line-aligned files"),
    ],
)
def test_what_does_not_fit_is_refused(xformer: Run, run: Path, options: list[str], message: str) -> None:
    status, output, said = xformer("evaluate", run, *options)
    assert (status, output) == (2, "")
    assert message in " ".join(said.split())
