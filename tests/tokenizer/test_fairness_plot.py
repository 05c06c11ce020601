"""The picture: written whole, readable in any number of languages, the same every time."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from xformer.tokenizer import (
    FairnessReport,
    LanguageFairness,
    Tokenizer,
    TokenizerError,
    measure_fairness,
    plot_fairness,
)

PNG = b"\x89PNG\r\n\x1a\n"


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the header of a PNG file."""
    content = path.read_bytes()
    assert content.startswith(PNG)
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def row(language: str, parity: float | None) -> LanguageFairness:
    return LanguageFairness(language, 1, 10, 10, 5, None, 0.5, 0.5, parity, 1, 0.0, 0.0, 0.0)


def test_the_picture_grows_with_the_languages(
    bpe: Tokenizer, parallel: list[tuple[str, str, int]], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    few = FairnessReport("en", "test", (row("en", 1.0), row("de", 1.1)))
    many = measure_fairness(bpe, parallel)
    plot_fairness(few, tmp_path / "few.png")
    plot_fairness(many, tmp_path / "new folder" / "many.png")
    assert size_of(tmp_path / "new folder" / "many.png")[1] > size_of(tmp_path / "few.png")[1]
    plot_fairness(many, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "new folder" / "many.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.png", "few.png", "new folder"]


@pytest.mark.slow
@pytest.mark.parametrize("parities", [[None, None], [1.0], [0.5, 1.0, None], [14.0, 1.0]])
def test_odd_reports_can_be_drawn(parities: list[float | None], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    rows = tuple(row(f"l{i}", parity) for i, parity in enumerate(parities))
    plot_fairness(FairnessReport("l0", "test", rows), tmp_path / "odd.png")
    assert min(size_of(tmp_path / "odd.png")) > 100


def test_without_matplotlib_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(TokenizerError, match=r"pip install 'xformer\[plot\]'"):
        plot_fairness(FairnessReport("en", "test", (row("en", 1.0),)), tmp_path / "never.png")
    assert not list(tmp_path.iterdir())
