"""Misspelt commands and options, and whose options are suggested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import tyro

from xformer.cli.arguments import parse

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


@dataclass(frozen=True)
class Paint:
    """Paint a wall.

    More of it.
    """

    wall: tyro.conf.Positional[str]
    colours: tuple[str, ...] = ()
    coat_ml: tuple[int, ...] = (1,)
    brush: str = "wide"


@dataclass(frozen=True)
class House:
    """Do things with a house."""

    command: Annotated[Paint, tyro.conf.subcommand("paint")] | Annotated[Path, tyro.conf.subcommand("sell")]


@pytest.mark.parametrize(
    "given",
    [
        "north --colours red green blue --coat-ml 1 2",
        "north --colours red --colours green blue --coat-ml 1 2",
        "north --colours=red --coat-ml 1 --colours=green --colours=blue --coat-ml 2",
        "--colours=red --colours=green --coat-ml=1 --colours=blue --coat-ml=2 north",
        "--colours red --coat-ml 1 --colours green --coat-ml 2 --colours blue -- north",
        "--colours red --colours --brush wide --coat-ml 1 --colours green blue --coat-ml 2 -- north",
    ],
)
def test_an_option_takes_its_values_in_one_place_or_in_several(given: str) -> None:
    expected = Paint("north", ("red", "green", "blue"), (1, 2))
    assert parse(["paint", *given.split()], {"paint": Paint}, "") == expected
    assert parse(["house", "paint", *given.split()], {"house": House}, "").command == expected


def test_of_an_option_with_one_value_the_last_counts() -> None:
    assert parse(["paint", "north", "--brush", "a", "--brush", "b"], {"paint": Paint}, "").brush == "b"
