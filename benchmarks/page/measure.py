"""Measure a page in Chromium: its size, when it is first painted and drawn, frames while a pointer moves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xformer.errors import InputError

from .browser import Visit, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIRST_PAINT_S, MOST_BYTES, FRAMES_PER_S = 1.5, 6_000_000, 60.0
"""What is wanted on a machine with two cores, of 512 tokens and 12 layers of 12 heads."""

_SLACK = 0.98
"""Of 60 frames a second a window of some seconds may hold one less at either end."""

_WATCH = """
(() => {
  // When something was last drawn on a canvas, and the times of all frames since the page began.
  window.measured = {drawn: 0, frames: []};
  for (const name of ["putImageData", "drawImage", "fillRect", "fillText", "stroke"]) {
    const draw = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
      measured.drawn = performance.now();
      return draw.apply(this, given);
    };
  }
  const frame = now => { measured.frames.push(now); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
})();
"""


@dataclass(frozen=True)
class Opened:
    """One opening of a page.

    Attributes:
        first_paint_s: until something was painted (first contentful paint), seconds from the start.
        drawn_s: until the last drawing on a canvas, after which nothing was drawn for half a second.
        frames_per_s: frames a second while the pointer moved over the page's largest canvas.
        slowest_frame_s: the longest time between two of these frames.
        frame_p95_s: 95% of the frames came sooner after the one before.
        busy_s: the main thread's CPU time for each of these frames, however busy the machine is.
        moves: places that the pointer went to.
    """

    first_paint_s: float
    drawn_s: float
    frames_per_s: float
    slowest_frame_s: float
    frame_p95_s: float
    busy_s: float
    moves: int


def measure_opening(
    browser: Browser, file: Path, seconds: float, fragment: str = "", patience: float = 30.0
) -> Opened:
    """Open a page in a window of its own, wait until it is drawn, and move the pointer over it.

    Args:
        browser: from `browser.chromium`.
        file: the page.
        seconds: how long the pointer moves.
        fragment: of the address: which view is looked at.
        patience: seconds after which nothing more is waited for.

    Raises:
        InputError: the page painted or drew nothing, or had an error.
    """
    with visit(browser, file, fragment=fragment, script=_WATCH) as opened:
        drawn = _settle(opened, patience)
        paints: list[float] = opened.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint').map(one => one.startTime / 1000)"
        )
        if opened.errors or not paints or not drawn:
            raise InputError(
                f"{file}: expected a page that draws; {'; '.join(opened.errors) or 'drew nothing'}"
            )
        with _busy(opened) as spent:
            moves = _hover(opened, seconds)
        frames = opened.page.evaluate("measured.frames.filter(now => now >= measured.from)")
    gaps = [(after - before) / 1000 for before, after in pairwise(frames)]
    if len(gaps) < 2:
        raise InputError(f"{file}: got {len(frames)} frames in {seconds:g} s")
    return Opened(
        first_paint_s=paints[0],
        drawn_s=drawn / 1000,
        frames_per_s=len(gaps) / sum(gaps),
        slowest_frame_s=max(gaps),
        frame_p95_s=statistics.quantiles(gaps, n=20)[-1],
        busy_s=spent[0] / len(gaps),
        moves=moves,
    )


def summary(file: Path, openings: list[Opened]) -> dict[str, Any]:
    """The median of each measurement, the extremes beside it, and what was wanted.

    Args:
        file: the page.
        openings: at least one.
    """
    names = ("first_paint_s", "drawn_s", "frames_per_s", "slowest_frame_s", "frame_p95_s", "busy_s")
    values = {name: [getattr(one, name) for one in openings] for name in names}
    middle = {name: statistics.median(found) for name, found in values.items()}
    size = file.stat().st_size
    return {
        "bytes": size,
        **{name: {"median": middle[name], "all": found} for name, found in values.items()},
        "wanted": {"first_paint_s": FIRST_PAINT_S, "bytes": MOST_BYTES, "frames_per_s": FRAMES_PER_S},
        "met": {
            "first_paint_s": middle["first_paint_s"] < FIRST_PAINT_S,
            "bytes": size < MOST_BYTES,
            "frames_per_s": middle["frames_per_s"] >= _SLACK * FRAMES_PER_S,
        },
    }


def _settle(opened: Visit, patience: float, quiet: float = 0.5) -> float:
    """Wait until nothing has been drawn for a while: when it last was, ms; 0 for never."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        now, drawn = opened.page.evaluate("[performance.now(), measured.drawn]")
        if drawn and now - drawn > 1000 * quiet:
            return float(drawn)
        opened.page.wait_for_timeout(50)
    return float(opened.page.evaluate("measured.drawn"))


@contextmanager
def _busy(opened: Visit) -> Iterator[list[float]]:
    """Yields a list that in the end holds the CPU seconds of the page's main thread in the block."""
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def now() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    before, spent = now(), list[float]()
    yield spent
    spent.append(now() - before)
    session.detach()


def _hover(opened: Visit, seconds: float) -> int:
    """Move the pointer over the largest canvas, to another place in each frame: how many places."""
    page = opened.page
    box = page.evaluate(
        """(() => {
          const boxes = [...document.querySelectorAll("canvas")].map(one => one.getBoundingClientRect());
          const {x, y, width, height} = boxes.sort((a, b) => b.width * b.height - a.width * a.height)[0];
          return {x, y, width, height: Math.min(height, innerHeight - y)};
        })()"""
    )
    page.evaluate("measured.from = performance.now()")
    moves, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        # Steps that share no factor with the size: rows and columns all change.
        x = box["x"] + (37 * moves % 997) / 997 * box["width"]
        y = box["y"] + (61 * moves % 991) / 991 * box["height"]
        page.mouse.move(x, y)
        moves += 1
        page.wait_for_timeout(8)
    return moves
