"""Measure an operation: every implementation on every case, checked first and timed if right.

    session = begin()
    for record in run(Attention(), Options(quick=True), session):
        append(folder / session.environment.file_name, [record])

Records come as they are measured. The first run of a session also measures a large copy and a large matrix
product: they give the roofline of all later records.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from ..environment import Environment, clocks, environment, version
from .judge import Judge, ended
from .measure import Timing, measure, quantiles
from .operation import Amount, Case, Contender, Operation, Prepared
from .operations.ceilings import Copy, Matmul, ceiling_case
from .record import Direction, Record
from .stopwatch import Stopwatch, Work, stopwatch

DtypeName = Literal["bfloat16", "float16", "float32"]
DTYPES: Mapping[DtypeName, torch.dtype] = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


@dataclass(frozen=True)
class Options:
    """What to measure of an operation.

    Attributes:
        quick: a few small cases, in seconds.
        dtype: of the inputs; left out, bfloat16 on a GPU and float32 on a CPU.
        budget: seconds for the whole operation, after which no case is started; the most important cases
            come first. None for no limit.
        case_budget: about how many seconds one case is timed for in one direction.
        rounds: how many times each implementation is timed at most.
        seed: of the random inputs.
        only: only cases whose name contains this.
        implementations: only these; all if empty.
    """

    quick: bool = False
    dtype: DtypeName | None = None
    budget: float | None = None
    case_budget: float = 0.5
    rounds: int = 30
    seed: int = 0
    only: str = ""
    implementations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("budget", "case_budget", "rounds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")


@dataclass
class Session:
    """One run over any number of operations, on one device.

    Attributes:
        device: where.
        environment: its description in the records.
        stopwatch: the device's.
        bytes_per_second: of a large copy; None until it is measured.
        flops_per_second: of a large matrix product, for each dtype that was measured.
        launches: the cost of starting a call on a CPU, for those that were measured.
    """

    device: torch.device
    environment: Environment
    stopwatch: Stopwatch
    bytes_per_second: float | None = None
    flops_per_second: dict[str, float] = field(default_factory=dict)
    launches: dict[tuple[str, ...], float | None] = field(default_factory=dict)

    def least_seconds(self, amount: Amount, dtype: str) -> float | None:
        """The roofline: the least time of this much work on this device; None before that is known."""
        if self.bytes_per_second is None:
            return None
        seconds = amount.bytes / self.bytes_per_second
        if amount.flops:
            if dtype not in self.flops_per_second:
                return None
            seconds = max(seconds, amount.flops / self.flops_per_second[dtype])
        return seconds

    def learn(self, record: Record) -> None:
        """Take the device's rates from the records of the large copy and the large product."""
        if record.status != "ok" or record.case != ceiling_case(self.environment.kind).get(record.operation):
            return
        if record.operation == "copy" and record.bytes_per_second:
            self.bytes_per_second = max(self.bytes_per_second or 0.0, record.bytes_per_second)
        if record.operation == "matmul" and record.flops_per_second:
            best = self.flops_per_second.get(record.dtype, 0.0)
            self.flops_per_second[record.dtype] = max(best, record.flops_per_second)


def begin(device: Literal["cuda", "cpu"] | None = None) -> Session:
    """Begin a session on a device: the GPU where there is one, if left out.

    Raises:
        ValueError: there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected one that torch can see, got cuda")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return Session(where, environment(where), stopwatch(where))


def run(operation: Operation[Any], options: Options, session: Session | None = None) -> Iterator[Record]:
    """Measure an operation.

    Args:
        operation: which, such as `operations.attention.Attention()`.
        options: what of it.
        session: the run that this is part of; one of its own if left out.

    Yields:
        Records, as they are measured. First those of the large copy and product, if the session lacks them,
        and one for each implementation that is not installed; then for each case all implementations in all
        directions.
    """
    session = begin() if session is None else session
    kind = session.environment.kind
    dtype_name: DtypeName = options.dtype or ("bfloat16" if kind == "cuda" else "float32")
    if not isinstance(operation, Copy | Matmul):
        yield from _ceilings(options, dtype_name, session)
    deadline = math.inf if options.budget is None else time.perf_counter() + options.budget
    wanted = options.implementations
    present = []
    for contender in operation.contenders():
        if wanted and contender.name not in wanted:
            continue
        if contender.requires is not None and version(contender.requires) is None:
            yield _absent(operation, contender, dtype_name, session)
        else:
            present.append(contender)
    for case in operation.cases(kind, options.quick):
        if time.perf_counter() >= deadline:
            return
        if options.only in case.name:
            yield from run_case(operation, case, present, DTYPES[dtype_name], options, session)


def run_case(
    operation: Operation[Any],
    case: Case,
    contenders: list[Contender[Any]],
    dtype: torch.dtype,
    options: Options,
    session: Session,
) -> Iterator[Record]:
    """Check and time implementations on one case, in each direction.

    Yields:
        A record for each direction and implementation, also without times, one direction after the other.
    """
    session.stopwatch.tidy()
    blank = _blank(operation, case, _dtype_name(dtype), session)
    takes_part = [each for each in contenders if not each.compiled or each.name in case.compiled]
    try:
        judge = Judge(operation, case, operation.draw(case, dtype, session.device, options.seed))
    except RuntimeError as error:  # out of memory is one
        for direction in operation.directions:
            for contender in takes_part:
                mine = replace(blank, direction=direction, implementation=contender.name)
                yield replace(
                    ended(mine, error),
                    note=f"the exact result could not be computed: {ended(mine, error).note}",
                )
        return
    judged: dict[tuple[str, Direction], Record] = {}
    ready: dict[str, Prepared] = {}
    for contender in takes_part:
        mine = replace(blank, implementation=contender.name)
        if session.environment.interpreted and contender.name.startswith("xformer triton"):
            refusal = NotImplementedError("Triton's interpreter is not timed")
            records = [ended(replace(mine, direction=each), refusal) for each in operation.directions]
        else:
            prepared, records = judge.examine(contender, mine)
            if prepared is not None:
                ready[contender.name] = prepared
        judged |= {(contender.name, record.direction): record for record in records}
    del judge
    for direction in operation.directions:
        works = {
            name: _work(prepared, direction)
            for name, prepared in ready.items()
            if judged[name, direction].status == "ok"
        }
        timings = measure(works, session.stopwatch, rounds=options.rounds, budget=options.case_budget)
        if direction == operation.directions[0]:  # asking for them takes a while on a GPU
            now = replace(session.environment, clocks=clocks(session.device))
        amount = operation.amount(case, dtype, direction)
        for contender in takes_part:
            record = replace(judged[contender.name, direction], environment=now)
            timing = timings.get(contender.name)
            if isinstance(timing, Exception):
                record = ended(record, timing)
            elif timing is not None:
                if timing.launch is None:
                    timing = replace(timing, launch=_launch(operation, contender, case, record, session))
                record = _timed(record, timing, amount)
                session.learn(record)
                record = _against_roofline(record, amount, session)
            yield record
    if case.compiled:
        torch.compiler.reset()  # or the number of shapes compiled for would soon be too many


def _work(prepared: Prepared, direction: Direction) -> Work:
    """The call to time."""
    if direction == "forward":
        leaves = list(prepared.leaves.values())
        return Work(torch.no_grad()(lambda _: prepared.call(*leaves)))
    trained = [x.detach().requires_grad_() for x in prepared.leaves.values()]
    grads = list(prepared.grads)
    if direction == "backward":
        return Work(
            lambda results: torch.autograd.grad(results, trained, grads), lambda: prepared.forward(trained)
        )
    return Work(lambda _: torch.autograd.grad(prepared.forward(trained), trained, grads))


def _timed(record: Record, timing: Timing, amount: Amount) -> Record:
    """Fill in the times and what follows from them."""
    record = replace(
        record,
        seconds=quantiles(timing.warm),
        cold_seconds=quantiles(timing.cold),
        launch_seconds=timing.launch,
        peak_bytes=timing.peak_bytes,
        flops=amount.flops,
        bytes=amount.bytes,
        rounds=len(timing.warm),
    )
    median = record.best_median
    if not median:  # less than the clock can tell
        return record
    return replace(record, flops_per_second=amount.flops / median, bytes_per_second=amount.bytes / median)


def _against_roofline(record: Record, amount: Amount, session: Session) -> Record:
    least, median = session.least_seconds(amount, record.dtype), record.best_median
    return replace(record, roofline_share=least / median) if least and median else record


def _launch(
    operation: Operation[Any], contender: Contender[Any], case: Case, record: Record, session: Session
) -> float | None:
    """The cost of starting a call on a CPU: the time of one with hardly any work."""
    if contender.compiled:
        return None  # it would have to be compiled anew
    tiny = case.tiny()
    key = (operation.name, tiny.name, record.dtype, record.direction, contender.name)
    if key not in session.launches:
        inputs = operation.draw(tiny, getattr(torch, record.dtype), session.device, 0)
        works = {contender.name: _work(contender.prepare(tiny, inputs), record.direction)}
        found = measure(works, session.stopwatch, rounds=5, budget=0.1)[contender.name]
        times = None if isinstance(found, Exception) else quantiles(found.warm)
        session.launches[key] = times["p50"] if times else None
    return session.launches[key]


def _ceilings(options: Options, dtype: DtypeName, session: Session) -> Iterator[Record]:
    """Measure the large copy and the large product, where the session lacks them."""
    options = Options(quick=True, dtype=dtype, seed=options.seed)
    if session.bytes_per_second is None:
        yield from run(Copy(), options, session)
    if dtype not in session.flops_per_second:
        yield from run(Matmul(), options, session)


def _blank(operation: Operation[Any], case: Case, dtype: str, session: Session) -> Record:
    return Record(operation.name, case.sweep, case.name, case.shape, dtype, session.environment)


def _absent(operation: Operation[Any], contender: Contender[Any], dtype: str, session: Session) -> Record:
    """The record of an implementation that is not installed."""
    blank = replace(_blank(operation, Case("", ""), dtype, session), shape={})
    note = f"{contender.requires} is not installed"
    return replace(blank, implementation=contender.name, status="absent", note=note)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
