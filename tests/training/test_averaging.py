from __future__ import annotations

import pytest
import torch
from torch import nn

from xformer.training.averaging import AveragedAdam, load_averages
from xformer.training.optimizer import AdamWithTables


def groups(model: nn.Module) -> list[dict[str, object]]:
    return [{"name": "all", "params": list(model.parameters()), "lr": 0.1}]


def test_the_mean_is_that_of_the_definition_and_changes_no_weight() -> None:
    torch.manual_seed(0)
    model, plain = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    plain.load_state_dict(model.state_dict())
    ours, theirs = (
        AveragedAdam(groups(model), 0.5, (0.9, 0.98)),
        AdamWithTables(groups(plain), None, (0.9, 0.98)),
    )
    mean = None
    for step in range(1, 8):
        x = torch.randn(4, 3, dtype=torch.float64)
        for one, optimizer in ((model, ours), (plain, theirs)):
            optimizer.zero_grad()
            one(x).square().sum().backward()
            optimizer.step()
        decay = min(0.5, (1 + step) / (10 + step))
        now = plain.weight.detach().clone()
        mean = now if mean is None else decay * mean + (1 - decay) * now
    assert mean is not None
    last = model.weight.detach().clone()
    torch.testing.assert_close(last, plain.weight.detach(), rtol=0, atol=0)
    with ours.averaged():
        torch.testing.assert_close(model.weight.detach(), mean)
    torch.testing.assert_close(model.weight.detach(), last, rtol=0, atol=0)
    with pytest.raises(ZeroDivisionError), ours.averaged():
        _ = 1 / 0
    torch.testing.assert_close(model.weight.detach(), last, rtol=0, atol=0)
    load_averages(model, {"average.weight": mean, "exp_avg.bias": torch.ones(2)})
    torch.testing.assert_close(model.weight.detach(), mean)
