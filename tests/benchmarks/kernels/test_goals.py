"""Goals: met, not met, and all the ways of not having been measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.benchmarks.kernels.goals import goals, outcome_table, outcomes
from xformer.benchmarks.kernels.operation import Case
from xformer.benchmarks.kernels.operations import operations
from xformer.benchmarks.kernels.outcome import Goal, Outcome, judge
from xformer.benchmarks.kernels.record import Record, append, latest

MakeRecord = Callable[..., Record]

NAMES = [goal.goal for goal in goals()]
GRID = {operation.name: operation.cases("cuda", False) for operation in operations()}
PEERS = {
    "attention": ("sdpa flash", "sdpa cudnn", "varlen_attn", "flex"),
    "attention_statistics": ("xformer triton forward",),
    "linear_cross_entropy": ("eager full logits", "liger"),
    "layer_norm": ("eager", "liger"),
    "rms_norm": ("eager", "liger"),
}


def cases_of(goal: Goal) -> list[Case]:
    return [case for case in GRID[goal.operation] if goal.within(case.sweep, case.shape)]


def number(case: Case, name: str) -> float:
    value = case.shape[name]
    assert isinstance(value, int | float)
    return value


@pytest.fixture
def everything(make_record: MakeRecord) -> Callable[..., list[Record]]:
    """All that the goals ask for: ours takes so many seconds, its peers a second each."""

    def make(
        seconds: float = 0.2,
        peak: int = 1,
        share: float = 0.9,
        statistics: float = 1.4,
        only: str | None = None,
    ) -> list[Record]:
        found = []
        for operation, peers in PEERS.items():
            if only not in (None, operation):
                continue
            own = statistics if operation == "attention_statistics" else seconds
            for case in GRID[operation]:
                for direction in ("forward", "backward", "forward+backward"):
                    fields = {
                        "operation": operation,
                        "sweep": case.sweep,
                        "case": case.name,
                        "shape": case.shape,
                        "direction": direction,
                    }
                    found.append(make_record(seconds=own, peak_bytes=peak, roofline_share=share, **fields))
                    found += [make_record(name, 1.0, peak_bytes=20, **fields) for name in peers]
        return found

    return make


def judged(records: list[Record], device: str = "H100") -> dict[str, Outcome]:
    written = [(record, f"some.jsonl:{number}") for number, record in enumerate(records, 1)]
    return {one.goal: one for one in judge(written, GRID, goals(), device)}


def test_every_bullet_has_its_goals() -> None:
    assert NAMES == [
        "attention-ragged-forward",
        "attention-ragged-backward",
        "attention-dense-forward-fa2",
        "attention-dense-forward-cudnn-d64",
        "attention-dense-forward-cudnn-d128",
        "attention-dense-backward-fa2",
        "attention-statistics",
        "attention-t5-bias-backward",
        "linear-cross-entropy-time",
        "linear-cross-entropy-memory",
        "linear-cross-entropy-liger-time",
        "linear-cross-entropy-liger-memory",
        "layer-norm-torch",
        "layer-norm-liger",
        "layer-norm-bandwidth",
        "rms-norm-torch",
        "rms-norm-liger",
        "rms-norm-bandwidth",
    ]


@pytest.mark.parametrize("goal", goals(), ids=NAMES)
def test_the_bench_has_cases_for_every_goal(goal: Goal) -> None:
    assert cases_of(goal)


def test_the_grids_are_what_the_goals_speak_of() -> None:
    by_name = {goal.goal: cases_of(goal) for goal in goals()}
    ragged = by_name["attention-ragged-forward"]
    assert {case.shape["d_head"] for case in ragged} == {32, 64}
    assert max(number(case, "max_length") for case in ragged) <= 512
    assert not any(case.shape["bias"] or case.shape["window"] for case in ragged)
    assert {case.shape["d_head"] for case in by_name["attention-dense-forward-fa2"]} == {32, 64, 128}
    for size in (64, 128):
        lengths = {number(case, "max_length") for case in by_name[f"attention-dense-forward-cudnn-d{size}"]}
        assert min(lengths) == 2048
        assert {4096, 8192} <= lengths
    assert all(case.compiled and case.shape["bias"] for case in by_name["attention-t5-bias-backward"])
    large = by_name["linear-cross-entropy-time"]
    assert all(number(case, "vocabulary") >= 250_000 for case in large)
    assert all(abs(number(case, "n_selected") / number(case, "n_tokens") - 0.15) < 0.001 for case in large)
    widths = {case.shape["width"] for case in by_name["layer-norm-torch"]}
    assert {64, 128, 256, 512, 768, 1024, 2048, 4096} <= widths
    smallest = min(
        number(case, "n_tokens") * number(case, "width") * 2 for case in by_name["layer-norm-bandwidth"]
    )
    assert smallest == 32 * 2**20


def test_all_met(everything: Callable[..., list[Record]], tmp_path: Path) -> None:
    append(tmp_path / "some.jsonl", everything())
    lines = (tmp_path / "some.jsonl").read_text(encoding="utf-8").splitlines()
    found = {one.goal: one for one in outcomes(tmp_path)}
    assert {name: one.met for name, one in found.items()} == dict.fromkeys(NAMES, True)
    assert found["attention-ragged-forward"].measured == pytest.approx(5.0)
    assert found["attention-statistics"].measured == pytest.approx(1.4)
    assert found["linear-cross-entropy-memory"].measured == pytest.approx(0.05)
    assert found["layer-norm-bandwidth"].measured == 0.9
    for one in found.values():
        assert one.device == "NVIDIA H100 80GB HBM3"
        assert one.record is not None
        file, _, line = one.record.rpartition(":")
        assert file == str(tmp_path / "some.jsonl")
        assert json.loads(lines[int(line) - 1])["implementation"] == "xformer triton"


def test_none_met(everything: Callable[..., list[Record]]) -> None:
    found = judged(everything(seconds=1.3, peak=30, share=0.8, statistics=1.6))
    assert not any(one.met for one in found.values())
    assert all(one.measured is not None for one in found.values())


def test_nothing_measured(tmp_path: Path) -> None:
    for one in outcomes(tmp_path / "nowhere"):
        assert (one.measured, one.met, one.device, one.record) == (None, False, None, None)
        assert "make gpu" in one.note


def test_another_device_is_not_an_h100(everything: Callable[..., list[Record]]) -> None:
    def on(device: str, kind: str = "cuda") -> list[Record]:
        return [
            replace(r, environment=replace(r.environment, device=device, kind=kind))  # type: ignore[arg-type]
            for r in everything()
        ]

    assert not any(one.met for one in judged(on("NVIDIA A100")).values())
    assert all(one.met for one in judged(on("NVIDIA A100"), "a100").values())
    assert not any(one.met for one in judged(on("H100 emulator", "cpu")).values())


@pytest.mark.parametrize("goal", goals(), ids=NAMES)
def test_a_missing_case_is_no_measurement(goal: Goal, everything: Callable[..., list[Record]]) -> None:
    left_out = cases_of(goal)[-1].name
    found = judged([r for r in everything(only=goal.operation) if r.case != left_out])[goal.goal]
    assert (found.measured, found.met, found.record) == (None, False, None)
    assert left_out in found.note


@pytest.mark.parametrize("status", ["wrong", "failed", "unsupported"])
@pytest.mark.parametrize("goal", goals(), ids=NAMES)
def test_a_result_of_ours_that_is_no_result(
    goal: Goal, status: str, everything: Callable[..., list[Record]]
) -> None:
    case = cases_of(goal)[0].name
    records = [
        replace(r, status=status, seconds=None, cold_seconds=None, note="why so")  # type: ignore[arg-type]
        if (r.implementation, r.case) == ("xformer triton", case)
        else r
        for r in everything(only=goal.operation)
    ]
    found = judged(records)[goal.goal]
    assert (found.measured, found.met) == (None, False)
    assert f"xformer triton is {status}: why so" in found.note


PEER_OF = {
    "attention-ragged-forward": "varlen_attn",
    "attention-dense-forward-fa2": "sdpa flash",
    "attention-dense-forward-cudnn-d64": "sdpa cudnn",
    "attention-dense-backward-fa2": "sdpa flash",
    "attention-statistics": "xformer triton forward",
    "attention-t5-bias-backward": "flex",
    "linear-cross-entropy-memory": "eager full logits",
    "linear-cross-entropy-liger-time": "liger",
    "layer-norm-torch": "eager",
    "rms-norm-liger": "liger",
}


@pytest.mark.parametrize(("goal", "peer"), PEER_OF.items())
def test_without_its_peer_a_goal_is_not_met(
    goal: str, peer: str, everything: Callable[..., list[Record]], make_record: MakeRecord
) -> None:
    others = [r for r in everything() if r.implementation != peer]
    found = judged(others)[goal]
    assert (found.measured, found.met) == (None, False)
    assert f"{peer} was not measured" in found.note
    absent = [
        make_record(
            peer, None, operation=operation, sweep="", case="", shape={}, status="absent", note="no such"
        )
        for operation in PEERS
    ]
    found = judged(others + absent)[goal]
    assert (found.measured, found.met) == (None, False)
    assert f"{peer} is absent: no such" in found.note


def test_the_mean_is_geometric_and_the_worst_is_the_worst(everything: Callable[..., list[Record]]) -> None:
    ragged = next(goal for goal in goals() if goal.goal == "attention-ragged-forward")
    dense = next(goal for goal in goals() if goal.goal == "attention-dense-forward-fa2")
    slow = {cases_of(ragged)[0].name, cases_of(dense)[0].name}
    records = [
        replace(r, cold_seconds={"p20": 0.8, "p50": 0.8, "p80": 0.8})
        if r.implementation == "xformer triton" and r.case in slow
        else r
        for r in everything()
    ]
    found = judged(records)
    n = len(cases_of(ragged))
    assert found[ragged.goal].measured == pytest.approx((5.0 ** (n - 1) * 1.25) ** (1 / n))
    assert found[dense.goal].measured == pytest.approx(1.25)
    assert cases_of(dense)[0].name in found[dense.goal].note


def test_the_best_peer_counts_whoever_it_is(
    everything: Callable[..., list[Record]], make_record: MakeRecord
) -> None:
    records = everything()
    ragged = cases_of(goals()[0])
    records += [
        make_record("someone new", 0.1, sweep=case.sweep, case=case.name, shape=case.shape) for case in ragged
    ]
    assert judged(records)["attention-ragged-forward"].measured == pytest.approx(0.5)
    wrong = [
        replace(r, status="wrong", seconds=None, cold_seconds=None)
        if r.implementation == "someone new"
        else r
        for r in records
    ]
    assert judged(wrong)["attention-ragged-forward"].measured == pytest.approx(5.0)


def test_sides_come_from_one_run(everything: Callable[..., list[Record]]) -> None:
    """Ours alone, measured again later, stands beside nobody."""
    again = [
        replace(r, environment=replace(r.environment, time="2026-02-01T00:00:00+00:00"))
        for r in everything(seconds=0.01)
        if r.implementation == "xformer triton" and r.operation == "layer_norm"
    ]
    found = judged(everything() + again)
    assert found["layer-norm-torch"].measured is None
    assert found["rms-norm-torch"].met


def test_single_precision_does_not_count(everything: Callable[..., list[Record]]) -> None:
    found = judged([replace(r, dtype="float32") for r in everything()])
    assert not any(one.met for one in found.values())


def test_latest_keeps_the_newest_run_of_each_case(make_record: MakeRecord) -> None:
    old = [make_record(name, time="2026-01-01T00:00:00+00:00") for name in ("a", "b")]
    new = [make_record("a", time="2026-01-02T00:00:00+00:00")]
    other = [make_record("b", case="another", time="2026-01-01T00:00:00+00:00")]
    assert latest(old + new + other) == new + other
    assert latest(new + old + other) == new + other


def test_the_table_counts(everything: Callable[..., list[Record]]) -> None:
    found = list(judged(everything(seconds=1.3)).values())
    shown = outcome_table(found)
    assert shown.row_count == len(NAMES)
    met = sum(one.met for one in found)
    assert 0 < met < len(NAMES)
    assert str(shown.caption) == f"{met} of {len(NAMES)} met, 0 not measured"
