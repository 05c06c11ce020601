"""Misspelt commands and options, and whose options are suggested."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["pretrian", "runs/x"], "pretrian: xformer has no such command, did you mean pretrain?"),
        (["frobnicate"], "frobnicate: xformer has no such command. It has demo, pretrain, evaluate"),
        (["data", "imprt"], "imprt: xformer data has no such command, did you mean import?"),
        (["tokenizer", "trian", "x"], "trian: xformer tokenizer has no such command, did you mean train?"),
        (["bench", "atention"], "atention: xformer bench has no such command, did you mean attention?"),
    ],
)
def test_a_misspelt_command_is_named_with_the_likeliest_one(
    xformer: Run, given: list[str], said: str
) -> None:
    status, out, err = xformer(*given)
    assert (status, out) == (2, "")
    assert err.startswith(f"xformer: {said}")


def test_of_a_misspelt_option_only_those_of_the_command_are_suggested(xformer: Run) -> None:
    status, out, err = xformer("pretrain", "runs/x", "--bugdet", "3m")
    assert (status, out) == (2, "")
    assert "--budget" in err.partition("Perhaps you meant")[2]
    assert "xformer pretrain --help" in err
    assert "demo" not in err


def test_a_command_is_missing(xformer: Run) -> None:
    for given, one in ((), "pretrain"), (("data",), "import"):
        status, out, err = xformer(*given)
        assert (status, out) == (2, "")
        assert one in err
