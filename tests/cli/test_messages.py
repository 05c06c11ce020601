"""Messages of the command line beside the results of its commands.

With test_unwritable.py, covers `xformer.cli` itself; test_unwritable.py also covers `xformer.cli.evaluate`.

Covers xformer.errors, too.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer import cli
from xformer.cli.report import Report

Run = Callable[..., tuple[int, str, str]]


def test_our_warnings_are_said_like_our_errors(
    xformer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Path(cli.__file__).with_name("report.py")

    def warn(self: Report) -> int:
        for name in (ours, tmp_path / "other.py"):
            sys.stderr.write(warnings.formatwarning("a checkpoint is odd", UserWarning, str(name), 7))
        return 0

    monkeypatch.setattr(Report, "run_command", warn)
    usual = warnings.formatwarning
    status, out, err = xformer("report", tmp_path)
    first, second = err.splitlines()
    assert (status, out) == (0, "")
    assert first == "xformer: a checkpoint is odd"
    # Whoever else warns is named with the line, as always.
    assert second == f"{tmp_path / 'other.py'}:7: UserWarning: a checkpoint is odd"
    assert warnings.formatwarning is usual


@pytest.mark.parametrize(
    "command",
    [("report",), ("evaluate",), ("encode",), ("fill-mask",), ("settings", "--run"), ("inspect", "heads")],
    ids=" ".join,
)
def test_a_run_that_is_missing_is_told_in_the_same_words(
    xformer: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    status, out, err = xformer(*command, tmp_path / "nowhere")
    assert (status, out) == (2, "")
    made = f"`xformer pretrain {tmp_path / 'nowhere'}` makes one, and `xformer demo` a first one"
    assert err == (
        f"xformer: {tmp_path / 'nowhere'}: expected a run made by `xformer pretrain`, but there is nothing;"
        f" {made}\n"
    )


def test_the_old_name_of_an_option_is_accepted(xformer: Run, tmp_path: Path) -> None:
    status, _, err = xformer("evaluate", tmp_path, "--again")
    first, second = err.splitlines()
    assert first == "xformer: --again is now called --force"
    assert (status, "expected a run" in second) == (2, True)
