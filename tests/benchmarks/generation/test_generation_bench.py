"""The bench of generation: the sides make the same targets, others are not timed, and what is refused.

Covers bench, command, model, ours and peer of xformer.benchmarks.generation.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from xformer.benchmarks.generation import bench
from xformer.benchmarks.generation.bench import BASE, OURS, Options, Result
from xformer.benchmarks.generation.command import GenerationBench
from xformer.benchmarks.generation.model import Job, write_model
from xformer.benchmarks.generation.ours import Ours, job_of
from xformer.benchmarks.generation.peer import HuggingFace, _before_end, _id, _word
from xformer.errors import InputError
from xformer.progress import Progress

JOB = Job("tiny", vocab=120, sources=5, length=7, ends="ragged")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("model")
    write_model(found, JOB.model(), JOB)
    return found


def test_hugging_face_makes_our_targets(folder: Path) -> None:
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    ours, peer = Ours(folder, JOB, "fp32", 1), HuggingFace(folder, JOB.length, 1)
    greedy = ours.generate(1)
    assert peer.generate(1) == greedy
    assert peer.generate(3) == ours.generate(3)
    lengths = [len(ids) for ids in greedy]
    assert len(set(lengths)) > 1
    assert max(lengths) <= JOB.length


def test_the_cache_is_what_the_formula_says(folder: Path) -> None:
    found = Ours(folder, job_of({"length": 40, "ends": "never", **_others()}), "fp32", 1).memory(3)
    assert found["cache_bytes"] == found["formula_bytes"] > 0


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx2", False), reason="int8 needs AVX2")
def test_int8_makes_targets(folder: Path) -> None:
    assert len(Ours(folder, JOB, "int8", 1).generate(2)) == JOB.sources


def _others() -> dict[str, Any]:
    return {"shape": "tiny", "vocab": 120, "sources": 5}


def test_targets_that_never_end_have_the_greatest_length() -> None:
    job = Job("tiny", vocab=120, sources=3, length=5)
    bias = job.model().output.bias
    assert bias is not None
    assert bias[2].item() < -40


class _Side:
    """A side that says what it is told to."""

    def __init__(self, targets: list[list[int]], seconds: float, cache: int = 1) -> None:
        self._targets, self._seconds, self._cache, self.passes = targets, seconds, cache, 0

    def ask(self, do: str, beam: int) -> dict[str, Any]:
        if do == "memory":
            return {"result": {"cache_bytes": self._cache, "formula_bytes": 1}}
        self.passes += 1
        cpu = self._seconds / 2
        return {"result": self._targets, "seconds": self._seconds, "cpu_seconds": cpu, "peak_bytes": 9}


def test_sides_with_other_targets_are_not_timed_and_ratios_are_of_tokens() -> None:
    same, other = [[5, 6], [7, 8]], [[5, 6], [7, 9, 9]]
    every = {
        OURS: _Side(same, 1.0), BASE: _Side(same, 4.0), "CTranslate2 fp32": _Side(other, 1.0),
        "xformer int8": _Side(other, 1.0, cache=2),
    }  # fmt: skip
    found = {one.side: one for one in bench._measure(every, 1, 1, 3, Progress())}  # type: ignore[arg-type]
    assert found[OURS].ratio == 4.0
    assert found["xformer int8"].ratio == 5.0
    assert found["xformer int8"].same == 0.5
    assert found["CTranslate2 fp32"].status == "differs"
    assert not found["CTranslate2 fp32"].seconds
    assert every["CTranslate2 fp32"].passes == 1
    assert [one.failed for one in found.values()] == [False, False, False, True]
    assert len(bench.notes(list(found.values()))) == 2
    assert bench.table(list(found.values())).row_count == 4
    record = json.loads(json.dumps(bench.to_json(found[OURS], {"source": "x"})))
    assert record["tokens_per_s"] == 4.0


def test_an_absent_side_of_ours_fails_and_one_of_others_does_not() -> None:
    assert Result("xformer fp32", 1, 1, "absent", "why").failed
    assert not Result(BASE, 1, 1, "absent", "why").failed
    assert next(iter(bench.sides(Options(JOB)))) == OURS


def test_words_are_numbers_and_a_target_stops_at_its_end() -> None:
    assert [_id(_word(id)) for id in range(5)] == [0, 1, 2, 3, 4]
    assert _before_end([5, 6, 2, 7], 99) == [5, 6]
    assert _before_end([5, 99], 99) == [5]
    assert _before_end([5], 99) == [5]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (GenerationBench(vocab=3), "--vocab: expected at least 100 tokens, got 3"),
        (GenerationBench(beam=(0,)), "--beam: expected a whole number from 1, got 0"),
        (GenerationBench(rounds=0), "--rounds"),
        (GenerationBench(ct2_python=Path("none")), "--ct2-python"),
    ],
)
def test_what_cannot_be_is_refused_before_work(command: GenerationBench, message: str) -> None:
    with pytest.raises(InputError, match=message):
        command.run_command()
