"""The command `xformer bench page`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xformer.errors import InputError


@dataclass(frozen=True)
class PageBench:
    """The attention page in Chromium: its size, its first paint, and frames a second while a pointer moves
    over it. Exit status 1: more than 1.5 s, 6 MB, or fewer than 60 frames a second.

    xformer bench page --run runs/demo

    xformer bench page --page page.html
    """

    run: Path | None = None
    """A run, whose held-out texts fill the page; the model has random weights. It is not changed."""
    page: Path | None = None
    """Instead of --run: a page that `xformer inspect page` made."""
    tokens: int = 512
    """Length of the text."""
    layers: int = 12
    """Layers of the model."""
    heads: int = 12
    """Heads of each layer."""
    rounds: int = 5
    """How often the page is opened; medians are shown."""
    seconds: float = 4.0
    """How long the pointer moves each time."""
    view: str = ""
    """What follows `#` in the page's address, such as "shape=arcs"."""
    keep: Path | None = None
    """Keep the page that is made, in this file."""
    out: Path = Path("benchmarks/results/page.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of lines."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from .browser import chromium
        from .measure import measure_opening, summary

        self._check()
        machine = begin_record(self.out)
        load = os.getloadavg()[0]
        with Progress() as progress, tempfile.TemporaryDirectory() as folder, chromium() as browser:
            file = self._file(Path(folder), progress.say)
            openings = []
            for number in range(self.rounds):
                openings.append(measure_opening(browser, file, self.seconds, self.view))
                progress("open the page and move the pointer", number + 1, self.rounds)
            version = browser.version
            found = summary(file, openings)
        record: dict[str, Any] = {
            "bench": "page",
            "page": str(self.page) if self.page else self._shape(),
            "view": self.view,
            **found,
            "chromium": version,
            "load": load,
            **machine,
        }
        write_record(self.out, record)
        sys.stdout.write(json.dumps(record) + "\n" if self.json else self._told(record))
        return int(not all(record["met"].values()))

    def _shape(self) -> dict[str, int]:
        return {"tokens": self.tokens, "layers": self.layers, "heads": self.heads}

    def _file(self, folder: Path, say: Any) -> Path:
        if self.page is not None:
            return self.page
        from .sample import write_sample

        assert self.run is not None
        file = self.keep or folder / "page.html"
        say(f"make a page of {self.tokens} tokens and {self.layers} × {self.heads} heads")
        write_sample(file, self.run, **self._shape())
        return file

    def _told(self, record: dict[str, Any]) -> str:
        lines = [
            f"size           {record['bytes'] / 1e6:.2f} MB",
            f"first paint    {record['first_paint_s']['median']:.2f} s",
            f"all drawn      {record['drawn_s']['median']:.2f} s",
            f"while hovering {record['frames_per_s']['median']:.1f} frames a second, 95% within "
            f"{1000 * record['frame_p95_s']['median']:.0f} ms, the slowest "
            f"{1000 * record['slowest_frame_s']['median']:.0f} ms",
            f"               {1000 * record['busy_s']['median']:.1f} ms of the main thread a frame",
        ]
        if record["load"] > 0.5:
            lines.append(f"{record['load']:.1f} other processes were busy: measure again on a quiet machine")
        missed = [name for name, met in record["met"].items() if not met]
        lines.append(f"missed: {', '.join(missed)}" if missed else "all that is wanted is met")
        return "".join(f"{line}\n" for line in [*lines, str(self.out)])

    def _check(self) -> None:
        if (self.run is None) == (self.page is None):
            given = "neither" if self.run is None else "both"
            raise InputError(f"bench page: expected --run RUN or --page FILE, got {given}")
        if self.page is not None and not self.page.is_file():
            raise InputError(f"--page: expected a page that `xformer inspect page` made, no file {self.page}")
        for name in ("tokens", "layers", "heads", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}: expected a whole number from 1, got {getattr(self, name)}")
        if not self.seconds > 0:
            raise InputError(f"--seconds: expected a positive number, got {self.seconds:g}")
