"""Progress for people: a bar with rate and time left in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text


class Progress:
    """Shows how far each piece of work is. Call it with what is done, how much, and of how much.

    What cannot be shown, because the terminal is gone or the disk under a log is full, stops no work: from
    then on nothing is shown. Where nobody reads on (`| head`), the work is not wanted: BrokenPipeError.

    Attributes:
        console: where it writes; what else is printed while a bar is shown goes through it too.
    """

    def __init__(self, console: Console | None = None, interval: float = 10.0) -> None:
        """Set up, show nothing yet.

        Args:
            console: where to write; standard error if left out.
            interval: seconds between plain lines where there is no terminal.
        """
        self.console = console or _Console(stderr=True)
        self._interval = interval
        self._bars: _Bars | None = None
        self._tasks: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._to_the_end = False
        self._unread: BrokenPipeError | None = None

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._bars = _Bars(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                _Done(),
                TextColumn("{task.fields[note]}", style="dim", markup=False),
                console=self.console,
            )
            with self._showing():
                self._bars.start()
            if self.console.quiet:
                self._bars = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            with self._showing():
                self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def __call__(
        self, what: str, done: int, total: int | None, note: str = "", *, seconds: bool = False
    ) -> None:
        """Say how far a piece of work is.

        Args:
            what: the work.
            done: units done.
            total: of how many; None if nobody knows.
            note: what comes last on the line.
            seconds: the units are seconds of a budget, so what is left needs no estimate.
        """
        if self._bars is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total, note=note, seconds=seconds)
            bar = self._tasks[what]
            with self._showing():
                self._bars.update(bar, completed=done, total=total, note=note)  # type: ignore[arg-type]
            return
        now = time.monotonic()
        started = self._started.setdefault(what, now)
        ends = total is not None and done >= total
        if not ends and now - self._said.get(what, started) < self._interval:
            return
        self._said[what] = now
        if seconds and total is not None:
            self.say(f"{what}: {_budget(done, total)}{'; ' + note if note else ''}")
        else:
            self.say(_line(what, done, total, now - started, note))
        if ends:
            del self._started[what], self._said[what]

    def show(self, picture: RenderableType, line: str) -> None:
        """Keep something below the bars until the next of it comes; elsewhere print a line instead.

        Args:
            picture: for a terminal.
            line: the same in short.
        """
        if self._bars is not None:
            self._bars.below = picture
            with self._showing():
                self._bars.refresh()
        else:
            self.say(line)

    def say(self, message: str) -> None:
        """Print a line above the bars."""
        with self._showing():
            self.console.print(message, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @contextmanager
    def to_the_end(self) -> Iterator[Callable[[], bool]]:
        """In the block, whether somebody reads on can be asked: work that must be saved first is.

        Yields:
            Tells whether nobody does.

        Raises:
            BrokenPipeError: at the end, if nobody does.
        """
        self._to_the_end = True
        try:
            yield lambda: self._unread is not None
        finally:
            self._to_the_end = False
        if self._unread is not None:
            raise self._unread

    @contextmanager
    def _showing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self.console.quiet = True
            if not self._to_the_end:
                raise
            self._unread = error
        except OSError:
            self.console.quiet = True


class _Console(Console):
    """Where nobody reads on, `rich` ends the process with a status of its own; this one raises."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _Bars(RichProgress):
    """Bars, and what is shown below them."""

    below: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.below is not None:
            yield self.below


class _Done(ProgressColumn):
    """What a plain line says, beside a bar: done, rate, and time left."""

    def render(self, task: Task) -> Text:
        done, total = int(task.completed), None if task.total is None else int(task.total)
        if task.fields["seconds"] and total is not None:
            return Text(_budget(done, total))
        return Text(", ".join(_counts(done, total, task.elapsed or 0.0)))


def _budget(done: int, total: int) -> str:
    left = f", {duration(total - done)} left" if done < total else ""
    return f"{duration(done)} of {duration(total)}{left}"


def _line(what: str, done: int, total: int | None, elapsed: float, note: str) -> str:
    return f"{what}: {', '.join(_counts(done, total, elapsed))}{'; ' + note if note else ''}"


def _counts(done: int, total: int | None, elapsed: float) -> list[str]:
    rate = done / elapsed if elapsed > 0 else 0.0
    parts = [f"{done:,} of {total:,}" if total is not None else f"{done:,}"]
    if rate >= 1:
        parts.append(f"{rate:,.0f}/s")
    if total is not None and rate > 0 and done < total:
        parts.append(f"{duration((total - done) / rate)} left")
    return parts


def duration(seconds: float) -> str:
    """Seconds for people: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
