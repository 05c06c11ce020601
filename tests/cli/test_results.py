"""Results stay on standard output, and progress on standard error."""

from __future__ import annotations

import sys

import pytest

from xformer.cli.results import progress_beside_results


@pytest.mark.parametrize("terminal", ["0", "1"])
def test_bars_do_not_take_the_results(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    """In a terminal bars are drawn, which take what others print and show it above themselves."""
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    with progress_beside_results() as progress:
        progress("work", 1, 2)
        print("a result")
        progress("work", 2, 2)
        progress.say("a message")
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert "a result" not in err
    assert "work" in err
    assert "a message" in err
    assert ("\x1b" in err) == (terminal == "1")


def test_a_terminal_with_results_has_no_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress_beside_results() as progress:
        progress("work", 1, 2)
        print("a result")
    assert tuple(capsys.readouterr()) == ("a result\n", "")
