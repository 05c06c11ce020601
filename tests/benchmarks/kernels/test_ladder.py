"""The ladder as the bench measures it: rungs keep the rule on a CPU, and a wrong one is not timed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from xformer.benchmarks.kernels.judge import Judge
from xformer.benchmarks.kernels.operation import Contender, Inputs, Prepared
from xformer.benchmarks.kernels.operations.attention_cases import AttentionCase, ragged
from xformer.benchmarks.kernels.operations.ladder import Ladder, LadderBackward
from xformer.benchmarks.kernels.operations.lengths import messages
from xformer.benchmarks.kernels.record import Record
from xformer.kernels.ladder import backward, naive

CPU = torch.device("cpu")
RUNGS = {
    Ladder: ("naive", "recurrence", "online_softmax", "exp2", "tiles", "descriptors", "persistent"),
    LadderBackward: ("stored", "one_walk", "two_walks"),
}
KERNELS = RUNGS[Ladder][2:]


def judged(operation: Ladder, contender: Contender[AttentionCase], blank: Record) -> Record:
    """The record of its only direction, on 300 tokens of messages."""
    case = ragged(messages(), 300, 2, 8)
    judge = Judge(operation, case, operation.draw(case, torch.float32, CPU, seed=0))
    (record,) = judge.examine(contender, blank)[1]
    return record


@pytest.mark.parametrize("kind", [Ladder, LadderBackward])
def test_rungs_keep_the_rule(kind: type[Ladder], make_record: Any) -> None:
    operation = kind()
    rungs = [each for each in operation.contenders() if each.name.startswith("rung ")]
    assert [each.name for each in rungs] == [f"rung {name}" for name in RUNGS[kind]]
    for each in rungs:
        record = judged(operation, each, make_record())
        assert record.direction == operation.directions[0]
        assert record.status == ("unsupported" if each.name.removeprefix("rung ") in KERNELS else "ok")


def test_a_wrong_gradient_is_not_timed(make_record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = backward.BLOCK
    monkeypatch.setattr(backward, "BLOCK", 8)
    operation = LadderBackward()
    (one_walk,) = (each for each in operation.contenders() if each.name == "rung one_walk")
    assert judged(operation, one_walk, make_record()).status == "ok"
    monkeypatch.setattr(backward, "BLOCK", right)
    monkeypatch.setattr(backward.torch, "logsumexp", lambda x, **_: x.amax(-1, keepdim=True))
    assert judged(operation, one_walk, make_record()).status == "wrong"


def test_a_wrong_rung_is_not_timed(make_record: Any) -> None:
    def broken(case: AttentionCase, inputs: Inputs) -> Prepared:
        def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return v.clone()

        return Prepared(call, inputs.leaves, (), ("out",))

    assert judged(Ladder(), Contender("rung broken", broken), make_record()).status == "wrong"
    q, k, v = torch.randn(3, 4, 1, 8)
    assert not torch.equal(naive.attend(q, k, v, torch.tensor([0, 4]), 4), v)
