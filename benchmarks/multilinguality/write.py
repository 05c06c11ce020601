"""The files of the figure."""

from __future__ import annotations

from pathlib import Path

from xformer.plotting.charts import Figure
from xformer.plotting.png import png
from xformer.plotting.svg_file import svg_file
from xformer.storage.files import write_files

NAME = "multilinguality"


def write_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write `multilinguality.svg` and, where matplotlib is installed, `.png`; the files."""
    contents = {"svg": svg_file(figure).encode(), "png": png(figure)}
    return write_files((folder / f"{NAME}.{ending}", content) for ending, content in contents.items())
