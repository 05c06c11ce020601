"""Progress: plain lines without a terminal, bars in a terminal."""

from __future__ import annotations

import errno
import io
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from xformer.progress import Progress, amount, duration

Clock = Callable[[float], None]


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time, in seconds, that progress sees."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def move(seconds: float) -> None:
        nonlocal now
        now = 100.0 + seconds

    return move


def _plain(output: io.StringIO) -> Progress:
    return Progress(Console(file=output, width=40), interval=10.0)


def test_plain_lines_have_count_rate_time_left_and_note(output: io.StringIO, clock: Clock) -> None:
    with _plain(output) as progress:
        progress("read", 0, 4000)
        clock(20)
        progress("read", 1000, 4000, "12 files")
    assert output.getvalue() == "read: 1,000 of 4,000, 50/s, 1 min 0 s left; 12 files\n"


def test_plain_lines_come_once_an_interval_and_at_the_end(output: io.StringIO, clock: Clock) -> None:
    with _plain(output) as progress:
        for second in range(26):
            clock(second)
            progress("read", second, 25)
    lines = output.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["read: 10 of 25", "read: 20 of 25", "read: 25 of 25"]
    assert lines[-1] == "read: 25 of 25, 1/s"


def test_without_a_total_there_is_no_time_left(output: io.StringIO, clock: Clock) -> None:
    with _plain(output) as progress:
        progress("read", 0, None)
        clock(10)
        progress("read", 12345, None)
    assert output.getvalue() == "read: 12,345, 1,234/s\n"


def test_slow_work_has_time_left_but_no_rate(output: io.StringIO, clock: Clock) -> None:
    with _plain(output) as progress:
        progress("fit", 0, 3)
        clock(60)
        progress("fit", 1, 3)
    assert output.getvalue() == "fit: 1 of 3, 2 min 0 s left\n"


def test_a_second_piece_of_work_of_the_same_name_starts_its_own_clock(
    output: io.StringIO, clock: Clock
) -> None:
    with _plain(output) as progress:
        for start in (0, 1000):
            clock(start)
            progress("read", 0, 100)
            clock(start + 50)
            progress("read", 100, 100)
    assert output.getvalue() == "read: 100 of 100, 2/s\n" * 2


def test_what_is_said_is_printed_to_the_letter(output: io.StringIO) -> None:
    odd = "[bold]a[/bold] :warning: " + "long " * 30 + "2 of 3"
    with _plain(output) as progress:
        progress.say(odd)
    assert output.getvalue() == odd + "\n"


def test_a_terminal_shows_bars_that_keep_up(output: io.StringIO) -> None:
    console = Console(file=output, force_terminal=True, width=120)
    progress = Progress(console)
    for total in (50, 70):  # used a second time, it starts anew
        with progress:
            progress("read", 1, total)
            progress("read", total, total, "last file")
            progress.say("said above")
    shown = output.getvalue()
    for part in ("read", "50 of 50", "70 of 70", "last file", "said above"):
        assert part in shown


def test_it_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.say("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class _Gone(io.StringIO):
    """Takes so many writes, then raises."""

    def __init__(self, error: OSError, takes: int = 0) -> None:
        super().__init__()
        self._error, self._takes = error, takes

    def write(self, text: str) -> int:
        self._takes -= 1
        if self._takes < 0:
            raise self._error
        return super().write(text)


@pytest.mark.parametrize("takes", [0, 2])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_that_is_gone_stops_no_work(terminal: bool, takes: int) -> None:
    gone = _Gone(OSError(errno.EIO, "Input/output error"), takes)
    with Progress(Console(file=gone, force_terminal=terminal)) as progress:
        progress.say("one")
        progress("read", 10, 10)
        progress.show("picture", "line")
    assert progress.console.quiet


def test_where_nobody_reads_work_stops_or_comes_to_its_end_first() -> None:
    broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
    progress = Progress()
    progress.console.file = _Gone(broken)
    with pytest.raises(BrokenPipeError):
        progress.say("one")

    progress, done = Progress(), []
    progress.console.file = _Gone(broken, takes=1)

    def work() -> None:
        with progress.delay_broken_pipe() as unread:
            for number in range(3):
                progress.say(str(number))
                done.append(unread())

    with pytest.raises(BrokenPipeError):
        work()
    assert done == [False, True, True]


def test_bytes_that_were_there_before_count_for_no_rate(output: io.StringIO, clock: Clock) -> None:
    with _plain(output) as progress:
        progress("a.zip", 60_000_000, 100_000_000, in_bytes=True)
        clock(20)
        progress("a.zip", 80_000_000, 100_000_000, in_bytes=True)
    assert output.getvalue() == "a.zip: 80.0 MB of 100.0 MB, 1.0 MB/s, 20 s left\n"


def test_bytes_in_a_terminal(output: io.StringIO) -> None:
    with Progress(Console(file=output, width=100, force_terminal=True)) as progress:
        progress("a.zip", 500, None, in_bytes=True)
        progress("a.zip", 2_500, None, in_bytes=True)
    assert "2.5 kB" in output.getvalue()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_340_000_000, "2.3 GB"),
        (7e12, "7.0 TB"),
    ],
)
def test_amounts_of_bytes(size: float, shown: str) -> None:
    assert amount(size) == shown
