"""The picture of retrieval."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from tests.evaluation.example_report import example_report
from xformer.evaluation.picture import retrieval_figure
from xformer.plotting.png import png
from xformer.plotting.shapes import COLOURS


@pytest.mark.parametrize("n_languages", [1, 60])
def test_the_picture_is_drawn(n_languages: int) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    figure = retrieval_figure(example_report(n_languages))
    assert figure is not None
    picture = png(figure)
    assert picture is not None
    image = imread(BytesIO(picture))[..., :3]
    assert image.shape[0] > 100
    assert image.shape[1] > 500
    columns = -(-n_languages // 20)
    for series in ("s0", "s1"):
        color = np.array([int(COLOURS[series][0][place : place + 2], 16) for place in (1, 3, 5)]) / 255
        dots = 0
        for part in np.array_split(image, columns, axis=1):
            rows = (np.abs(part - color).max(axis=-1) < 0.02).any(axis=1)
            # A dot a language: runs of rows that hold the color.
            dots += int(np.count_nonzero(np.diff(rows.astype(int)) == 1))
        assert dots >= n_languages


def test_without_retrieval_there_is_no_picture() -> None:
    assert retrieval_figure(replace(example_report(1), retrieval=None)) is None
