"""Tuning: candidates are checked before they are timed, and nothing of it outlasts its block."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from xformer.benchmarks import trials as trials_module
from xformer.benchmarks.stopwatch import Work, stopwatch
from xformer.benchmarks.trials import Trial, attention_with, trials
from xformer.benchmarks.tune import append, describe, largest_difference, summary, try_all
from xformer.kernels.attention.triton import backend as triton_backend
from xformer.kernels.attention.triton import tile_sizes
from xformer.kernels.device import HOPPER, INTERPRETER, Tile

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Size:
    """A tile: what it makes the work do."""

    number: int


@pytest.fixture
def doubling() -> Trial:
    """Doubles numbers: 1 and 2 right, 3 wrong, 4 not a number, 5 impossible."""
    now = [1]

    @contextmanager
    def using(size: Size) -> Iterator[None]:
        before = now[0]
        now[0] = size.number
        try:
            yield
        finally:
            now[0] = before

    def prepare() -> Work:
        x = torch.arange(1.0, 100.0)

        def run(_: object) -> tuple[Tensor, ...]:
            if now[0] == 5:
                raise RuntimeError("out of resource: shared memory\nmore")
            factor = {3: 2.5, 4: float("nan")}.get(now[0], 2.0)
            if now[0] == 1:
                time.sleep(2e-3)
            return (x * factor,)

        return Work(run)

    return Trial("double", {"n": 99}, Size(1), [Size(n) for n in (1, 2, 3, 4, 5)], using, prepare)


def test_only_what_is_right_is_timed(doubling: Trial, tmp_path: Path) -> None:
    tried = try_all(doubling, stopwatch(CPU), 0.05, time.perf_counter() + 60)
    assert [one.tile["number"] for one in tried] == [1, 2, 3, 4, 5], "the default once, and first"
    assert [one.seconds is not None for one in tried] == [True, True, False, False, False]
    assert tried[2].note.startswith("wrong: 0.25")
    assert tried[3].note.startswith("wrong: inf")
    assert tried[4].note == "out of resource: shared memory"
    line = summary(doubling, tried)
    assert line["best"] == {"number": 2}
    assert line["gain"] > 1
    assert line["distinct"]
    assert "times as fast with 2, 2 tried" in describe(line)
    append(tmp_path / "new" / "tiles.jsonl", line)
    append(tmp_path / "new" / "tiles.jsonl", line)
    written = (tmp_path / "new" / "tiles.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(text) for text in written] == [line, line]


def test_after_the_deadline_only_the_default_is_tried(doubling: Trial) -> None:
    tried = try_all(doubling, stopwatch(CPU), 0.01, time.perf_counter() - 1)
    assert [one.note for one in tried] == ["", *["out of time"] * 4]
    line = summary(doubling, tried)
    assert (line["best"], line["gain"], line["distinct"]) == ({"number": 1}, 1.0, False)
    assert "the default stays" in describe(line)


def test_differences() -> None:
    one = torch.ones(4)
    assert largest_difference((one, 3 * one), (one, 2 * one)) == 0.5
    assert largest_difference((one / 0,), (one,)) == float("inf")
    assert largest_difference((one * float("nan"),), (one,)) == float("inf")


def test_a_tile_is_taken_by_its_kernel_and_until_the_block_ends() -> None:
    tile = Tile(16, 64, 2, 5)
    problem = (INTERPRETER, 64, torch.float32, 100)
    with attention_with("query", tile):
        assert triton_backend.attention_tile("query", *problem) == tile
        assert triton_backend.attention_tile("forward", *problem) != tile
    assert triton_backend.attention_tile is tile_sizes.attention_tile
    with pytest.raises(RuntimeError, match="out"), attention_with("query", tile):
        raise RuntimeError("out")
    assert triton_backend.attention_tile is tile_sizes.attention_tile


@pytest.mark.parametrize("number", range(3))
def test_overrides_reach_the_kernels(number: int) -> None:
    """A tile that no kernel can have is refused by the kernel."""
    trial = trials(CPU, small=True)[number]
    work = trial.prepare()
    work.timed(work.begin())
    state = work.begin()
    fields = {name: 3 if name not in ("warps", "num_warps") else 1 for name in vars(trial.default)}
    with trial.using(type(trial.default)(**fields)), pytest.raises(Exception, match=r"power of (2|two)"):
        work.timed(state)


def test_every_trial_for_a_hopper_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "target_of", lambda device: HOPPER)
    found = trials(torch.device("cuda"))
    names = [trial.name for trial in found]
    assert len(set(names)) == len(names)
    kernels = {"layer_norm", "forward", "key_value", "query", "query_table", "row_statistics"}
    assert {trial.kernel for trial in found} == kernels
    assert {trial.configuration["d_head"] for trial in found if trial.kernel == "forward"} == {32, 64, 128}
    for trial in found:
        assert len(set(trial.candidates)) == len(trial.candidates) >= 5
        assert all(type(tile) is type(trial.default) for tile in trial.candidates)
