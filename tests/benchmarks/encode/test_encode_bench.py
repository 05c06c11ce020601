"""The bench of encoding: what is right, what is refused, and how a peer that is not there is shown.

Covers bench, command, memory, ours, peer, report, shapes, texts and turns of xformer.benchmarks.encode.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xformer.benchmarks.encode import bench
from xformer.benchmarks.encode.bench import BASE, Options, Result
from xformer.benchmarks.encode.command import EncodeBench
from xformer.benchmarks.encode.memory import MARKS, flat, peaks
from xformer.benchmarks.encode.ours import Ours
from xformer.benchmarks.encode.report import notes, table, to_json
from xformer.benchmarks.encode.shapes import write_model
from xformer.benchmarks.encode.texts import texts_of_file
from xformer.benchmarks.encode.turns import Side, SideError
from xformer.errors import InputError
from xformer.progress import Progress
from xformer.tokenizer import Tokenizer

WORDS = [
    "a",
    "the",
    "black",
    "white",
    "cat",
    "dog",
    "sleeps",
    "runs",
    "fast",
    "house",
    "12",
    "€",
    "naïve",
    "猫",
]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Ragged texts of 1 to 60 words."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 60))) for _ in range(60)]


@pytest.fixture(scope="module")
def tokenizer(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    texts, found = texts_of_file(path, 40, None)
    assert len(texts) == 40
    assert set(texts) <= set(lines)
    return found


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("model")
    write_model(found, "tiny", tokenizer)
    return found


@pytest.mark.slow
def test_vectors_of_fp32_and_int8_pass_the_gate_and_others_do_not(folder: Path, lines: list[str]) -> None:
    reference = Ours(folder, "fp64", 1).vectors(lines).astype(np.float64)
    assert bench._cosine(Ours(folder, "fp32", 1).vectors(lines), reference)[1] > bench.FP32_LIMIT
    assert bench._cosine(Ours(folder, "int8", 1).vectors(lines), reference)[1] > bench.INT8_LIMIT
    shifted = np.roll(reference, 1, axis=0)
    assert bench._cosine(shifted, reference)[1] < bench.INT8_LIMIT
    assert bench._cosine(np.full_like(reference, np.nan), reference) == (-1.0, -1.0)


@pytest.mark.slow
def test_the_peer_has_the_same_vectors(folder: Path, lines: list[str], tmp_path: Path) -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    job = {"folder": str(folder), "backend": "torch"}
    side = Side.start("peer", sys.executable, "xformer.benchmarks.encode.peer", job, 1, tmp_path / "log")
    try:
        side.ask(do="read", texts=bench._written(tmp_path, lines))
        side.ask(do="save", out=str(tmp_path / "v.npy"))
    finally:
        side.stop()
    ours = Ours(folder, "fp32", 1).vectors(lines)
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), ours, atol=2e-5)


@pytest.mark.slow
def test_sides_take_turns_and_an_absent_one_says_why(
    tokenizer: Tokenizer, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = bench.sides(Options())
    broken: tuple[str, str, dict[str, Any], float] = (
        sys.executable,
        "xformer.benchmarks.encode.no_such_side",
        {},
        0.0,
    )
    chosen = {BASE: broken, "xformer fp32": every["xformer fp32"], "xformer int8": every["xformer int8"]}
    # A limit that nothing passes: right vectors are shown as wrong, not as a number.
    chosen["xformer int8"] = (*chosen["xformer int8"][:3], 1.1)
    monkeypatch.setattr(bench, "sides", lambda options: chosen)
    options = Options(shapes=("tiny",), threads=(1,), seconds=0.01, rounds=2)
    found = {one.side: one for one in bench.run(lines, tokenizer, options, tmp_path, Progress())}
    assert [one.status for one in found.values()] == ["absent", "ok", "wrong"]
    assert "no_such_side" in found[BASE].note
    ours = found["xformer fp32"]
    assert (len(ours.seconds), len(ours.model_seconds), ours.ratio) == (2, 2, None)
    assert ours.tokens > ours.texts > 0
    assert "wanted 1.1" in notes(list(found.values()))[1]


def test_records_and_table() -> None:
    one = Result("tiny", 1, "xformer fp32", texts=10, tokens=50, seconds=[1.0, 4.0, 2.0], model_seconds=[1.0])
    one.ratio, one.cosine = 2.0, (1.0, 0.99999)
    record = json.loads(json.dumps(to_json(one, {"source": "x"})))
    assert record["sentences_per_s"] == 5.0
    assert record["model_alone_per_s"] == 10.0
    assert table([one, Result("tiny", 1, BASE, "absent", "why")]).row_count == 2


@pytest.mark.slow
def test_a_process_that_ends_says_its_last_words(tmp_path: Path) -> None:
    side = Side.start(
        "none", sys.executable, "xformer.benchmarks.encode.no_such_side", {}, 1, tmp_path / "log"
    )
    with pytest.raises(SideError, match="no_such_side"):
        side.ask(do="encode")
    side.stop()


@pytest.mark.slow
def test_memory_is_read_at_its_marks(folder: Path, lines: list[str]) -> None:
    found = peaks(folder, lines, 200, 1, Progress())
    assert list(found) == [200]
    assert found[200] > 2**20
    assert flat({MARKS[0]: 1, MARKS[1]: 4, MARKS[2]: 6}) == 1.5


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (EncodeBench(), "expected --run RUN or --text FILE, got neither"),
        (EncodeBench(run=Path("a"), text=Path("b")), "got both"),
        (EncodeBench(run=Path("a"), tokenizer=Path("b")), "--tokenizer: expected with --text"),
        (EncodeBench(run=Path("a"), threads=(0,)), "--threads: expected a whole number from 1, got 0"),
        (EncodeBench(run=Path("a"), rounds=0), "--rounds"),
        (EncodeBench(run=Path("a"), seconds=-1.0), "--seconds"),
        (EncodeBench(run=Path("a"), onnx_python=Path("none")), "--onnx-python"),
        (EncodeBench(run=Path("a"), models=Path("b")), "--models: expected with --model"),
    ],
)
def test_what_cannot_be_is_refused_before_work(command: EncodeBench, message: str) -> None:
    with pytest.raises(InputError, match=message):
        command.run_command()


def test_empty_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n", encoding="utf-8")
    with pytest.raises(InputError, match="empty: expected a text a line"):
        texts_of_file(tmp_path / "empty", 5, None)
    with pytest.raises(InputError, match="missing"):
        texts_of_file(tmp_path / "missing", 5, None)
