"""The bench of mining on a small run. Covers `xformer.benchmarks.mining.command`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xformer.benchmarks.mining.command import MiningBench, parallel_lines, trigrams
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.de", tmp_path / "a.en"
    words = ["Hund", "Katze", "Haus", "Brot", "Vogel"], ["dog", "cat", "house", "bread", "bird"]
    for path, some in zip(paths, words, strict=True):
        path.write_text("".join(f"{x} {y} {x}\n" for x in some for y in some), encoding="utf-8")
    return paths


@pytest.mark.slow
def test_all_sides_are_in_the_record(
    trained: RunDirectory, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mining.json"
    assert MiningBench(files, trained.path, dictionary=files, out=out, json=True).run_command() == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["found"].keys() == {"the run", "character trigrams", "length and dictionary"}
    assert found["pairs"] == 4
    assert found["lines"] == [8, 8]
    assert all(0 <= row["f1"] <= 1 and row["true"] == 4 for row in found["found"].values())
    assert json.loads(capsys.readouterr().out)["found"] == found["found"]
    assert MiningBench(files, trained.path, out=out).run_command() == 0
    assert "4 pairs among 8 and 8 lines" in capsys.readouterr().out


def test_trigrams_are_cosines() -> None:
    found = trigrams(["abcd", "xyz"], ["abcd", "xyz", "none"])
    assert found.shape == (2, 3)
    assert found[0, 0] == pytest.approx(1)
    assert found[1, 2] == 0


def test_files_of_other_lengths(files: tuple[Path, Path]) -> None:
    files[0].write_text("x\n", encoding="utf-8")
    with pytest.raises(InputError, match="expected as many lines, got 1 and 25"):
        parallel_lines(*files)
