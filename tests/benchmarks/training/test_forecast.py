"""The cases of benchmarks/training/forecast.py are command lines that `xformer pretrain` takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import tyro

from xformer.benchmarks.training.forecast import CASES, Case, Compared
from xformer.cli.pretrain import Pretrain


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_a_run(case: Case, tmp_path: Path) -> None:
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    command = tyro.cli(Pretrain, args=[str(tmp_path / "run"), *case.arguments, "--dry-run"], config=config)
    assert command.dry_run
    options = command.run_config().training
    assert (options.steps is None) != (options.budget is None)


def test_a_line_says_how_far_off_it_was() -> None:
    line = Compared("small", "tokens", forecast=1100.0, found=1000.0).line()
    assert line.split() == ["small", "tokens", "1,100.0", "1,000.0", "+10.0%"]
