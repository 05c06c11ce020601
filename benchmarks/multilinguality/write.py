"""The files of the figure."""

from __future__ import annotations

from pathlib import Path

from xformer.plotting.charts import Figure
from xformer.plotting.png import png
from xformer.plotting.svg_file import svg_file
from xformer.storage.files import atomic_write

NAME = "multilinguality"


def write_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write `multilinguality.svg` and, where matplotlib is installed, `.png`; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"svg": svg_file(figure).encode()}
    if picture := png(figure):
        contents["png"] = picture
    written = []
    for ending, content in contents.items():
        with atomic_write(folder / f"{NAME}.{ending}", "wb") as file:
            file.write(content)
        written.append(folder / f"{NAME}.{ending}")
    return written
