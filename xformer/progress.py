"""Progress display: bars with rate and time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text


class Progress:
    """Shows the progress of named tasks. Call it with the name, the units done, and the units in all.

    If nothing can be shown any more, because the terminal is closed or the disk of a log is full, the work
    goes on without a display. If the reader of a pipe has ended (`| head`), it raises BrokenPipeError.

    Attributes:
        console: where it writes. Print through it while a bar is shown.
    """

    def __init__(self, console: Console | None = None, interval: float = 10.0) -> None:
        """Prepare a display.

        Args:
            console: where to write; by default standard error.
            interval: seconds between plain lines, without a terminal.
        """
        self.console = console or _Console(stderr=True)
        self._interval = interval
        self._bars: _Bars | None = None
        self._tasks: dict[str, int] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._said: dict[str, float] = {}
        self._delayed = False
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
        self,
        what: str,
        done: int,
        total: int | None,
        note: str = "",
        *,
        seconds: bool = False,
        in_bytes: bool = False,
    ) -> None:
        """Show the progress of a task.

        Args:
            what: the name of the task.
            done: units done.
            total: units in all; None if unknown.
            note: the end of the line.
            seconds: whether the units are seconds of a time budget.
            in_bytes: whether they are bytes, of which some may have been there before: the rate is of what
                came since the first call.
        """
        if self._bars is not None:
            if what not in self._tasks:
                kind: dict[str, Any] = {"seconds": seconds, "in_bytes": in_bytes, "begun": done}
                self._tasks[what] = self._bars.add_task(what, total=total, note=note, **kind)
            bar = self._tasks[what]
            with self._showing():
                self._bars.update(bar, completed=done, total=total, note=note)  # type: ignore[arg-type]
            return
        now = time.monotonic()
        started, begun = self._started.setdefault(what, (now, done))
        ends = total is not None and done >= total
        if not ends and now - self._said.get(what, started) < self._interval:
            return
        self._said[what] = now
        if in_bytes:
            shown = _amounts_of_bytes(done, total, begun, now - started)
        else:
            shown = _amounts(done, total, now - started, seconds)
        self.say(f"{what}: {shown}{'; ' + note if note else ''}")
        if ends:
            del self._started[what], self._said[what]

    def show(self, picture: RenderableType, line: str) -> None:
        """Show something below the bars until the next call; without a terminal, print a line.

        Args:
            picture: what to show in a terminal.
            line: a short form of it.
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
    def delay_broken_pipe(self) -> Iterator[Callable[[], bool]]:
        """Delay BrokenPipeError to the end of the block, so that work can be saved before.

        Yields:
            A function that tells whether the reader of the pipe has ended.

        Raises:
            BrokenPipeError: at the end of the block, if the reader has ended.
        """
        self._delayed = True
        try:
            yield lambda: self._unread is not None
        finally:
            self._delayed = False
        if self._unread is not None:
            raise self._unread

    @contextmanager
    def _showing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self.console.quiet = True
            if not self._delayed:
                raise
            self._unread = error
        except OSError:
            self.console.quiet = True


class _Console(Console):
    """A console that raises BrokenPipeError; the one of `rich` ends the process with another status."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _Bars(RichProgress):
    """Bars, with something shown below them."""

    below: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.below is not None:
            yield self.below


class _Done(ProgressColumn):
    """The column beside a bar: units done, rate, and time left."""

    def render(self, task: Task) -> Text:
        done, total = int(task.completed), None if task.total is None else int(task.total)
        elapsed = task.elapsed or 0.0
        if task.fields["in_bytes"]:
            return Text(_amounts_of_bytes(done, total, task.fields["begun"], elapsed))
        return Text(_amounts(done, total, elapsed, task.fields["seconds"]))


def _amounts(done: int, total: int | None, elapsed: float, seconds: bool) -> str:
    if seconds and total is not None:
        left = f", {duration(total - done)} left" if done < total else ""
        return f"{duration(done)} of {duration(total)}{left}"
    rate = done / elapsed if elapsed > 0 else 0.0
    parts = [f"{done:,} of {total:,}" if total is not None else f"{done:,}"]
    if rate >= 1:
        parts.append(f"{rate:,.0f}/s")
    if total is not None and rate > 0 and done < total:
        parts.append(f"{duration((total - done) / rate)} left")
    return ", ".join(parts)


def _amounts_of_bytes(done: int, total: int | None, begun: int, elapsed: float) -> str:
    rate = (done - begun) / elapsed if elapsed > 0 else 0.0
    parts = [amount(done) if total is None else f"{amount(done)} of {amount(total)}"]
    if rate >= 1:
        parts.append(f"{amount(rate)}/s")
    if total is not None and rate > 0 and done < total:
        parts.append(f"{duration((total - done) / rate)} left")
    return ", ".join(parts)


def amount(size: float) -> str:
    """Format bytes: `512 bytes`, `3.2 kB`, `1.5 GB`; a kB is a thousand."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def duration(seconds: float) -> str:
    """Format seconds: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


ShowProgress = bool | Callable[[str, int, int | None], None] | None
"""What a function of the front door takes as `progress`: True for a display, a function, or nothing."""


@contextmanager
def shown(progress: ShowProgress) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """What to call with progress: a display that ends with the block, the function given, or None."""
    if progress is True:
        with Progress() as display:
            yield display
    else:
        yield progress or None
