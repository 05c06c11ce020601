"""A run: who is judged, who is timed, what the records say, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from xformer.benchmarks.kernels import run as module
from xformer.benchmarks.kernels.operation import (
    Amount,
    Case,
    Composed,
    Contender,
    DeviceKind,
    Inputs,
    Operation,
    Prepared,
    eager_and_compiled,
    random_normal,
    solve,
)
from xformer.benchmarks.kernels.operations import operations
from xformer.benchmarks.kernels.operations.ceilings import MatmulCase
from xformer.benchmarks.kernels.record import Direction, Record
from xformer.benchmarks.kernels.run import Options, Session, begin, run
from xformer.benchmarks.kernels.stopwatch import CpuStopwatch

FAST = Options(case_budget=0.02, rounds=2)


@dataclass(frozen=True)
class ToyCase(Case):
    size: int
    smallest: ClassVar = {"size": 1}


class Toy(Composed[ToyCase]):
    """Doubles its input, with contenders that go wrong in one way each."""

    name = "toy"
    gpu_seconds = 1.0

    def __init__(self, *ways: str) -> None:
        self.ways = ways

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[ToyCase]:
        return [ToyCase(f"toy {size}", "toy", size) for size in ((3,) if quick else (3, 30, 300))]

    def contenders(self) -> Sequence[Contender[ToyCase]]:
        return [*eager_and_compiled(self.define), *(Contender(how, self.spoil(how)) for how in self.ways)]

    def draw(self, case: ToyCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        normal = random_normal(seed, dtype, device)
        return Inputs({"x": normal(case.size)}, {}, {"out": normal(case.size)})

    def define(self, case: ToyCase, inputs: Inputs) -> Prepared:
        return Prepared(lambda x: x * 2, inputs.leaves, (inputs.grads["out"],), ("out",))

    def amount(self, case: ToyCase, dtype: torch.dtype, direction: Direction) -> Amount:
        return Amount(float(case.size), 2.0 * case.size)

    def spoil(self, how: str) -> Callable[[ToyCase, Inputs], Prepared]:
        def prepare(case: ToyCase, inputs: Inputs) -> Prepared:
            if how == "refuses":
                raise NotImplementedError("not on Tuesdays\nnor on Fridays")

            def double(x: Tensor) -> Tensor:
                out = x * 2
                if how == "breaks":
                    raise RuntimeError("\n  out of luck \n")
                if how == "no backward" and torch.is_grad_enabled():
                    raise NotImplementedError("forward only")
                if how == "result":
                    return out + 1e-3
                if how == "nan":
                    return out * torch.where(out == out.max(), torch.nan, 1.0)
                if how == "gradient":
                    return out.detach() + (out - out.detach()) * 1.001
                return out

            return Prepared(double, inputs.leaves, (inputs.grads["out"],), ("out",))

        return prepare


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """One whose ceilings are known, with a stopwatch that does not wait for a cache to be overwritten."""
    monkeypatch.setattr("xformer.benchmarks.kernels.stopwatch.cpu_cache_bytes", lambda: 64)
    found = begin("cpu")
    found.stopwatch = CpuStopwatch(shortest=1e-6)
    found.bytes_per_second = 1e9
    found.flops_per_second["float32"] = 1e10
    return found


def test_a_wrong_result_never_gets_a_time(session: Session) -> None:
    ways = ("result", "nan", "gradient", "refuses", "breaks", "no backward")
    records = list(run(Toy(*ways), Options(quick=True, case_budget=0.02, rounds=2), session))
    status = {name: [r.status for r in records if r.implementation == name] for name in ("eager", *ways)}
    assert status == {  # forward, backward, both
        "eager": ["ok"] * 3,
        "result": ["wrong", "ok", "wrong"],
        "nan": ["wrong"] * 3,
        "gradient": ["ok", "wrong", "wrong"],
        "refuses": ["unsupported"] * 3,
        "breaks": ["failed"] * 3,
        "no backward": ["ok", "unsupported", "unsupported"],
    }
    for record in records:
        assert (record.seconds is not None) == (record.status == "ok")
        assert (record.cold_seconds is not None) == (record.status == "ok")
        assert bool(record.note) == (record.status != "ok")
        assert Record.from_json(record.to_json()) == record
    notes = {record.implementation: record.note for record in records if record.note}
    assert notes["refuses"] == "not on Tuesdays"
    assert notes["breaks"] == "out of luck"
    assert "dx is" in notes["gradient"]
    assert "out is inf times" in notes["nan"]


def test_what_a_record_says(session: Session) -> None:
    records = list(run(Toy(), FAST, session))
    assert [(r.case, r.direction) for r in records] == [
        (f"toy {size}", direction)
        for size in (3, 30, 300)
        for direction in ("forward", "backward", "forward+backward")
    ]
    for record in records:
        assert record.shape == {"size": int(record.case.split()[1])}
        assert record.operation == record.sweep == "toy"
        assert record.dtype == "float32"
        assert record.seconds is not None
        assert 0 < record.seconds["p20"] <= record.seconds["p50"] <= record.seconds["p80"]
        median = record.best_median
        assert median is not None
        assert record.cold_seconds is not None
        assert median == record.cold_seconds["p50"]
        size = int(record.shape["size"])
        assert record.flops == size
        assert record.bytes == 2 * size
        assert record.flops_per_second == pytest.approx(size / median)
        # Of a copy at 1 GB/s and a product at 10 GFLOP/s the copy takes longer.
        assert record.roofline_share == pytest.approx(2 * size / 1e9 / median)
        assert record.launch_seconds is not None
        assert record.launch_seconds > 0
        assert record.peak_bytes is not None
        assert record.rounds >= 1
        assert record.environment.time == session.environment.time


def test_the_ceilings_come_first_and_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the device can do is measured in the same run, in the dtype that is asked for."""
    session.bytes_per_second = None
    monkeypatch.setattr("xformer.benchmarks.kernels.operations.ceilings.GIB", 2**20)
    matmul_case = MatmulCase("matmul 16", "size", 16)
    monkeypatch.setattr(module.Matmul, "cases", lambda self, kind, quick: [matmul_case])
    options = Options(quick=True, dtype="bfloat16", case_budget=0.02, rounds=2)
    first = list(run(Toy(), options, session))
    assert [r.operation for r in first] == ["copy", "matmul", "toy", "toy", "toy"]
    copy, matmul = first[:2]
    assert session.bytes_per_second == copy.bytes_per_second
    assert session.flops_per_second["bfloat16"] == matmul.flops_per_second
    assert copy.roofline_share == pytest.approx(1.0)
    assert matmul.roofline_share is not None
    assert matmul.roofline_share >= 1.0 - 1e-9
    assert [r.operation for r in run(Toy(), options, session)] == ["toy"] * 3


def test_who_is_not_installed_is_said_once(session: Session) -> None:
    class WithPeers(Toy):
        def contenders(self) -> Sequence[Contender[ToyCase]]:
            absent = Contender("peer", self.define, requires="no-such-distribution")
            return [*super().contenders(), absent, Contender("here", self.define, requires="torch")]

    records = list(run(WithPeers(), FAST, session))
    (absent,) = [record for record in records if record.implementation == "peer"]
    assert absent.status == "absent"
    assert absent.case == ""
    assert absent.note == "no-such-distribution is not installed"
    assert len([record for record in records if record.implementation == "here"]) == 9


def test_who_writes_into_its_inputs_spoils_nothing(session: Session) -> None:
    """Packages from elsewhere get copies, and a fresh one for each look at their results."""

    class Careless(Toy):
        def contenders(self) -> Sequence[Contender[ToyCase]]:
            return [Contender("careless", careless, requires="torch"), *super().contenders()]

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            x.detach().mul_(2)
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad.mul_(2)

    def careless(case: ToyCase, inputs: Inputs) -> Prepared:
        return Prepared(Doubled.apply, inputs.leaves, (inputs.grads["out"],), ("out",))

    records = list(run(Careless(), Options(quick=True, case_budget=0.02, rounds=2), session))
    assert [(r.implementation, r.status) for r in records] == [("careless", "ok"), ("eager", "ok")] * 3


def test_compiling_takes_part_where_a_case_says_so(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mixed(Toy):
        def cases(self, kind: DeviceKind, quick: bool) -> Sequence[ToyCase]:
            return [ToyCase("plain", "toy", 3), ToyCase("compiled", "toy", 3, compiled=("torch.compile",))]

    compiled: list[dict[str, Any]] = []

    def compile_(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        compiled.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    records = list(run(Mixed(), FAST, session))
    who = {(r.case, r.implementation) for r in records}
    assert who == {("plain", "eager"), ("compiled", "eager"), ("compiled", "torch.compile")}
    assert {tuple(options.items()) for options in compiled} == {(("fullgraph", True), ("dynamic", False))}
    assert all(r.launch_seconds is None for r in records if r.implementation == "torch.compile")


def test_no_case_is_begun_after_the_budget(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def case(operation: Operation[Any], case: Case, *_: object) -> Iterator[Record]:
        begun.append(case.name)
        now[0] += 7.0
        yield from ()

    now = [100.0]
    monkeypatch.setattr(module, "run_case", case)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    assert list(run(Toy(), Options(budget=10.0), session)) == []
    assert begun == ["toy 3", "toy 30"]


def test_only_some_cases_and_implementations(session: Session) -> None:
    options = Options(only="30", implementations=("result",), case_budget=0.02, rounds=2)
    records = list(run(Toy("result", "nan"), options, session))
    assert {(r.case, r.implementation) for r in records} == {("toy 30", "result"), ("toy 300", "result")}


def test_records_come_as_they_are_measured(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stops after the first direction has it, and the next was not begun."""
    timed: list[Direction] = []
    amount = Toy.amount

    def noted(self: Toy, case: ToyCase, dtype: torch.dtype, direction: Direction) -> Amount:
        timed.append(direction)
        return amount(self, case, dtype, direction)

    monkeypatch.setattr(Toy, "amount", noted)
    first = next(run(Toy(), FAST, session))
    assert first.direction == "forward"
    assert timed == ["forward"]


def test_the_interpreter_is_not_timed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ours(Toy):
        def contenders(self) -> Sequence[Contender[ToyCase]]:
            return [
                Contender("xformer triton", self.define),
                Contender("xformer triton forward", self.define),
            ]

    session.environment = module.replace(session.environment, interpreted=True)
    records = list(run(Ours(), Options(quick=True, case_budget=0.02), session))
    assert {(r.status, r.note) for r in records} == {("unsupported", "Triton's interpreter is not timed")}
    assert len(records) == 6


def test_a_case_too_large_to_judge_ends_no_run(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = Toy.truth

    def forgetful(self: Toy, case: ToyCase, inputs: Inputs) -> dict[str, Tensor]:
        if case.size == 30:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a lot")
        return truth(self, case, inputs)

    monkeypatch.setattr(Toy, "truth", forgetful)
    records = list(run(Toy(), FAST, session))
    assert [r.status for r in records] == ["ok"] * 3 + ["failed"] * 3 + ["ok"] * 3
    assert records[3].note == "the exact result could not be computed: out of memory"


@pytest.mark.parametrize(("name", "value"), [("budget", 0.0), ("case_budget", -1.0), ("rounds", 0)])
def test_options_name_the_field(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Options(**{name: value})  # type: ignore[arg-type]


def test_no_gpu_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="cuda"):
        begin("cuda")


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_every_operation_runs_here(operation: Operation[Any], session: Session) -> None:
    """Its tiny case, timed: each contender in each direction has a record, and ours on the CPU is right."""
    case = operation.cases("cpu", True)[0].tiny()
    present = [each for each in operation.contenders() if each.requires is None and not each.compiled]
    session.environment = module.replace(session.environment, interpreted=True)
    records = list(module.run_case(operation, case, present, torch.float32, FAST, session))
    assert len(records) == len(present) * len(operation.directions)
    assert {r.implementation for r in records} == {each.name for each in present}
    assert not [r for r in records if r.status == "failed"]
    for record in records:
        if record.implementation in ("xformer torch", "torch"):
            assert record.status == "ok", record.note


def test_a_result_without_a_gradient_is_no_leaf(session: Session) -> None:
    """Where there is no backward pass, `solve` gives the results alone."""
    inputs = Inputs({"x": torch.ones(2)}, {}, {})
    assert set(solve(Prepared(lambda x: x * 2, inputs.leaves, (), ("out",)))) == {"out"}
