"""The files of a report: a page, pictures, and the numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from xformer.plotting.charts import Figure
from xformer.plotting.png import png
from xformer.plotting.svg_file import svg_file
from xformer.storage.files import write_files


def write_report(
    folder: str | os.PathLike[str], name: str, page: str, figure: Figure, numbers: Mapping[str, str]
) -> list[Path]:
    """Write `name.html`, `name.svg`, the numbers, and `name.png` where matplotlib is installed.

    Args:
        folder: made if it is missing.
        name: of all files, before the dot.
        page: HTML.
        figure: what the pictures show.
        numbers: contents by ending of the file.

    Returns:
        The files.
    """
    contents = {"html": page.encode(), "svg": svg_file(figure).encode()}
    contents |= {ending: text.encode() for ending, text in numbers.items()}
    pictures = {"png": png(figure)}
    return write_files(
        (Path(folder, f"{name}.{ending}"), content) for ending, content in (contents | pictures).items()
    )
