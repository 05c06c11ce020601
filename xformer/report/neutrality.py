"""Whether the space is language-neutral: a section of a run's page."""

from __future__ import annotations

from xformer.evaluation.alignment.picture import language_map, layer_charts, map_note
from xformer.evaluation.alignment.report import AlignmentReport
from xformer.evaluation.alignment.table import LAYER_HEADERS, MEANING, layer_rows, title
from xformer.plotting.charts import Figure
from xformer.plotting.page import Cell, Column, Section, pictures, table
from xformer.plotting.svg import figure_html


def neutrality_section(report: AlignmentReport | None) -> Section:
    """The table, a chart for each score along the layers, and the map of languages; empty without scores."""
    if report is None:
        return Section("neutral", "Language-neutral?", "")
    columns = [Column(name, number=index > 0) for index, name in enumerate(LAYER_HEADERS)]
    rows = [[Cell(cell) for cell in row] for row in layer_rows(report)]
    figures = [figure_html(Figure([chart])) for chart in layer_charts(report)]
    mapped = figure_html(Figure([language_map(report)], note=map_note(report)))
    content = table(columns, rows, caption=title(report)) + pictures([*figures, mapped])
    return Section("neutral", "Language-neutral?", content, " ".join(["*: the run's layer.", *MEANING]))
