"""The attention benchmark: its cases, its judgement, and a run of it all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from xformer.benchmarks import accuracy, attention, record
from xformer.benchmarks.cases import (
    AttentionCase,
    cpu_cases,
    dense,
    gpu_cases,
    quick_cases,
    ragged,
    ragged_lengths,
)
from xformer.benchmarks.contenders import Attend, Contender, contenders, eager, pad, unpad

CPU = torch.device("cpu")
SMALL = AttentionCase("small", (7, 4, 4, 1), n_heads=2, d_head=8)
CAUSAL = AttentionCase("small causal", (7, 4, 4, 1), n_heads=2, d_head=8, causal=True)


def test_ragged_lengths_are_those_of_real_messages() -> None:
    lengths = np.array(ragged_lengths(20_000))
    assert np.median(lengths) == pytest.approx(8, abs=1)
    assert lengths.mean() == pytest.approx(12, abs=1)
    assert np.quantile(lengths, 0.99) == pytest.approx(68, abs=6)
    assert lengths.min() >= 1
    assert lengths.max() <= 407
    assert ragged_lengths(50) == ragged_lengths(50) != ragged_lengths(50, seed=1)


def test_case_lists_have_distinct_names() -> None:
    for cases in (quick_cases(), cpu_cases(), gpu_cases()):
        keys = [(case.name, case.n_heads, case.d_head) for case in cases]
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("lengths", [(), (3, 0), (1, 2)])
def test_a_case_refuses_other_lengths(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="lengths"):
        AttentionCase("wrong", lengths, 1, 8)


def test_flops() -> None:
    """The count of the literature: 4·B·H·N²·D forward, 3.5 times that with backward, half when causal."""
    assert dense(3, 10, 2, 8).flops("forward") == 4 * 3 * 2 * 100 * 8
    assert dense(3, 10, 2, 8).flops("forward+backward") == 14 * 3 * 2 * 100 * 8
    assert dense(3, 10, 2, 8, causal=True).flops("forward") == 2 * 3 * 2 * 100 * 8


def test_padding_and_back() -> None:
    packed = torch.randn(SMALL.n_tokens, 2, 8)
    padded = pad(packed, SMALL)
    assert padded.shape == (4, 2, 7, 8)
    assert torch.equal(unpad(padded, SMALL), packed)
    assert torch.equal(padded[2, 1, 3], packed[7 + 4 + 3, 1])
    assert not padded[3, :, 1:].any()


@pytest.mark.parametrize("case", [SMALL, CAUSAL], ids=lambda case: case.name)
def test_truth_is_what_autograd_says(case: AttentionCase) -> None:
    """Two derivations of the same numbers: by hand over sequences, and through the padded formula's tape."""
    inputs = accuracy.draw(case, torch.float64, CPU, seed=0)
    true = accuracy.truth(case, inputs)
    taped = accuracy.results(eager(), eager().prepare(case, CPU), case, inputs)
    assert max(accuracy.largest_errors(taped, true).values()) < 1e-13


def test_truth_in_blocks_of_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = accuracy.draw(SMALL, torch.float64, CPU, seed=0)
    whole = accuracy.truth(SMALL, inputs)
    monkeypatch.setattr(accuracy, "LARGEST_BLOCK", 1)
    for name, value in accuracy.truth(SMALL, inputs).items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("case", [SMALL, CAUSAL, dense(2, 5, 2, 8, causal=True)], ids=lambda case: case.name)
def test_all_who_can_run_here_agree(case: AttentionCase) -> None:
    inputs = accuracy.draw(case, torch.float64, CPU, seed=0)
    true = accuracy.truth(case, inputs)
    for contender in contenders():
        if contender.name == "xformer triton":
            continue
        found = accuracy.results(contender, contender.prepare(case, CPU), case, inputs)
        assert max(accuracy.largest_errors(found, true).values()) < 1e-12, contender.name


def spoiled(how: str, case: AttentionCase, device: torch.device) -> Attend:
    """Attention that is wrong in one way."""
    right = eager().prepare(case, device)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if how == "refuses":
            raise NotImplementedError("not on Tuesdays")
        if how == "breaks":
            raise RuntimeError("out of memory")
        out = right(q, k, v)
        if how == "result":
            return out + 1e-3
        if how == "nan":
            return out * torch.where(out == out.max(), torch.nan, 1.0)
        # The right result with a gradient that is a little off.
        return out.detach() + (out - out.detach()) * 1.001

    return attend


def test_a_wrong_result_never_gets_a_time() -> None:
    names = ("result", "nan", "gradient", "refuses", "breaks")
    entrants = [eager(), *(Contender(how, True, partial(spoiled, how)) for how in names)]
    here = record.environment(CPU)
    records = attention.run_case(
        ragged(32, 4, 16), torch.float32, CPU, here, budget=0.1, seed=0, rounds=3, entrants=entrants
    )
    status = {(found.implementation, found.direction): found.status for found in records}
    assert status == {
        ("eager, padded", "forward"): "ok",
        ("eager, padded", "forward+backward"): "ok",
        ("result", "forward"): "wrong",
        ("result", "forward+backward"): "wrong",
        ("nan", "forward"): "wrong",
        ("nan", "forward+backward"): "wrong",
        ("gradient", "forward"): "ok",
        ("gradient", "forward+backward"): "wrong",
        ("refuses", "forward"): "unsupported",
        ("refuses", "forward+backward"): "unsupported",
        ("breaks", "forward"): "failed",
        ("breaks", "forward+backward"): "failed",
    }
    for found in records:
        assert (found.seconds is not None) == (found.status == "ok")
        assert bool(found.note) == (found.status != "ok")


def test_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables for people and records for later: every contender on every case, both directions."""
    cases = [SMALL, ragged(5, 2, 8)]
    monkeypatch.setattr(attention, "quick_cases", lambda: cases)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    attention.main(["--quick", "--budget", "0.01", "--dtype", "fp32", "--out", str(tmp_path)])
    (file,) = tmp_path.iterdir()
    records = record.read(file)
    assert len(records) == len(cases) * len(contenders()) * 2
    timed = [found for found in records if found.implementation != "xformer triton"]
    assert {found.status for found in records if found.implementation == "xformer reference"} == {"ok"}
    for found in timed:
        assert found.status in ("ok", "wrong"), found.note
        if found.seconds is None:  # in batches as small as these luck decides by a factor of two or three
            continue
        assert 0 < found.seconds["p20"] <= found.seconds["p50"] <= found.seconds["p80"]
        (case,) = [case for case in cases if case.name == found.case]
        assert found.shape["n_tokens"] == case.n_tokens
        assert found.tokens_per_second == pytest.approx(case.n_tokens / found.seconds["p50"])
    printed = capsys.readouterr().out
    for name in [case.name for case in cases] + [contender.name for contender in contenders()]:
        assert name in printed
    attention.main(["--quick", "--budget", "0.01", "--out", str(tmp_path)])
    assert len(record.read(file)) == 2 * len(records), "a second run adds to the first"


def test_options_name_the_field() -> None:
    with pytest.raises(ValueError, match="budget"):
        attention.Options(budget=0)
