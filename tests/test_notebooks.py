"""The notebooks: each runs from top to bottom on a small run, and holds nothing that a run has printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from xformer.runs.directory import RunDirectory

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["attention_by_hand", "find_a_head", "where_languages_meet"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_printed_is_kept(path: Path) -> None:
    """What a reader sees is what their own run says."""
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_text_claims_nothing_that_was_measured(path: Path) -> None:
    """Numbers of a run come from cells: prose has those of definitions, years and layers alone."""
    for cell in cells(path, "markdown"):
        assert not re.search(r"\d\.\d", source(cell)), source(cell)
    assert sum("assert " in source(cell) for cell in cells(path, "code")) >= 5
    assert sum("plt.show()" in source(cell) for cell in cells(path, "code")) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(
    path: Path,
    trained: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("XFORMER_RUN", str(trained.path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    drawn = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(drawn) == sum("plt.show()" in source(cell) for cell in cells(path, "code")), (
        "each figure is made"
    )
