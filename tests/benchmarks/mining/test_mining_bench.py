"""The bench of mining on a small run, and its baselines on captions.

Covers all of xformer.benchmarks.mining.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from xformer.benchmarks.mining.command import MiningBench
from xformer.benchmarks.mining.measure import DICTIONARY, RUN, TRIGRAMS, measure, parallel_lines, trigrams
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory

WORDS = {
    "de": ["Hund", "Katze", "Haus", "Brot", "Vogel"],
    "en": ["dog", "cat", "house", "bread", "bird"],
    "fr": ["chien", "chat", "maison", "pain", "oiseau"],
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    paths = tuple(tmp_path / f"a.{language}" for language in WORDS)
    for path, some in zip(paths, WORDS.values(), strict=True):
        path.write_text("".join(f"{x} {y} {x}\n" for x in some for y in some), encoding="utf-8")
    return paths


@pytest.mark.slow
def test_all_pairs_and_sides_are_in_the_record(
    trained: RunDirectory, files: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mining.json"
    assert MiningBench(files, trained.path, dictionary=files, out=out, json=True).run_command() == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    found = record["found"]
    assert [one["languages"] for one in found] == [["de", "en"], ["de", "fr"], ["en", "fr"]]
    for one in found:
        assert (one["pairs"], one["lines"]) == (4, [8, 8])
        assert one["sides"].keys() == {RUN, TRIGRAMS, DICTIONARY}
        for row in one["sides"].values():
            assert row["true"] == 4
            low, high = row["intervals"]["f1"] or (row["f1"], row["f1"])
            assert 0 <= low <= high <= 1
    assert json.loads(capsys.readouterr().out)["found"] == found
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    assert MiningBench(files[:2], trained.path, out=out).run_command() == 0
    assert "4 pairs among 8 and 8 lines" in capsys.readouterr().out


def test_captions_tell_a_dictionary_from_trigrams_and_from_nothing(shared_data: Path) -> None:
    """What learned from translations finds more than what knows letters, and that more than chance."""

    def captions(name: str, most: int) -> tuple[list[str], list[str]]:
        texts = []
        for language in ("de", "en"):
            path = shared_data / "multi30k" / f"{name}.{language}.gz"
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                texts.append([line.rstrip("\n") for line in lines][:most])
        return texts[0], texts[1]

    def chance(a: object, b: object) -> np.ndarray:
        return np.random.default_rng(0).uniform(0.4, 0.6, (200, 200))

    found = measure(captions("val", 600), chance, captions("train", 4_000), seed=0)
    assert (found["pairs"], found["lines"]) == (100, [200, 200])
    f1 = {name: row["f1"] for name, row in found["sides"].items()}
    assert f1[DICTIONARY] > f1[TRIGRAMS] > f1[RUN]
    for row in found["sides"].values():
        low, high = row["intervals"]["f1"]
        assert low <= row["f1"] <= high
    better, worse = (found["sides"][name]["intervals"]["f1"] for name in (DICTIONARY, RUN))
    assert better[0] > worse[1]


def test_trigrams_are_cosines() -> None:
    found = trigrams(["abcd", "xyz"], ["abcd", "xyz", "none"])
    assert found.shape == (2, 3)
    assert found[0, 0] == pytest.approx(1)
    assert found[1, 2] == 0


def test_refused(files: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected two files or more"):
        MiningBench(files[:1], tmp_path).run_command()
    with pytest.raises(InputError, match="--dictionary: expected as many as there are texts: 3 files, got 2"):
        MiningBench(files, tmp_path, dictionary=files[:2]).run_command()
    files[1].write_text("x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.de, .*a\.en: expected as many lines, got 25 and 1"):
        parallel_lines(files)
