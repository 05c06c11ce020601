"""`xformer evaluate --alignment` on a run of a few steps: what it measures, keeps, reuses and shows.

Covers `report`, `table` and `picture`, and `neutrality` of `xformer.report.neutrality`.
"""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from xformer.cli.evaluate import Evaluate
from xformer.errors import InputError
from xformer.evaluation.alignment.picture import language_map, layer_charts, map_note
from xformer.evaluation.alignment.report import AlignmentReport
from xformer.evaluation.alignment.run import evaluate_run_alignment
from xformer.evaluation.alignment.table import alignment_table, layer_rows
from xformer.evaluation.names import label
from xformer.plotting.charts import Figure
from xformer.plotting.svg_file import svg_file
from xformer.progress import Progress
from xformer.report.neutrality import neutrality_section
from xformer.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def run(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A copy of the run that other tests share."""
    return RunDirectory(Path(shutil.copytree(trained.path, tmp_path_factory.mktemp("alignment") / "run")))


@pytest.fixture(scope="module")
def report(run: RunDirectory) -> AlignmentReport:
    """Its scores on the test split."""
    with Progress(Console(file=StringIO())) as progress:
        return evaluate_run_alignment(run.path, progress, min_messages=2)


def test_the_scores_are_kept_and_read_again(run: RunDirectory, report: AlignmentReport) -> None:
    assert len(report.layers) == run.load_config().model.n_layers + 1
    assert AlignmentReport.load(run.alignment) == report
    said = StringIO()
    with Progress(Console(file=said)) as progress:
        assert evaluate_run_alignment(run.path, progress, min_messages=2) == report
        assert "alignment: reusing" in said.getvalue()
        assert evaluate_run_alignment(run.path, progress, min_messages=2, force=True) == report


def test_table_and_section_show_every_layer(report: AlignmentReport) -> None:
    screen = Console(file=StringIO(), width=80)
    screen.print(alignment_table(report))
    assert isinstance(screen.file, StringIO)
    shown = screen.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    rows = layer_rows(report)
    assert [row[0].rstrip("*") for row in rows] == [str(number) for number in range(len(report.layers))]
    assert all(cell in shown for row in rows for cell in row)
    section = neutrality_section(report)
    assert all(chart.title in section.content for chart in layer_charts(report))
    assert not neutrality_section(None).content


def test_the_map_names_each_language_where_the_pointer_rests(report: AlignmentReport) -> None:
    drawn = svg_file(Figure([language_map(report)], note=map_note(report)))
    assert all(f"{label(tag)}: " in drawn for tag in (*report.languages, report.pivot))
    assert drawn.count("top-1 ") == len(report.languages)


def test_the_command_prints_json(
    run: RunDirectory, report: AlignmentReport, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Evaluate(run.path, alignment=True, min_messages=2, json=True).run_command() == 0
    assert json.loads(capsys.readouterr().out) == json.loads(report.to_json())
    with pytest.raises(InputError, match="--alignment: expected without --on"):
        Evaluate(run.path, alignment=True, on=run.path).run_command()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"format": 0}', encoding="utf-8")
    with pytest.raises(InputError, match="expected scores of alignment: expected format 1"):
        AlignmentReport.load(tmp_path / "a.json")
