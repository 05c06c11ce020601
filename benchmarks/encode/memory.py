"""Peak memory of a process that encodes a million sentences, after so many of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from xformer.embedding.checked import as_texts
from xformer.progress import Progress

from .turns import Side, serve

MARKS = (10_000, 100_000, 1_000_000)
"""After how many sentences the peak is read."""


def peaks(folder: Path, texts: Sequence[str], count: int, threads: int, progress: Progress) -> dict[int, int]:
    """Peak memory in bytes, by number of sentences.

    Args:
        folder: of a model that `shapes.write_model` wrote.
        texts: are repeated.
        count: how many sentences are encoded; marks beyond it are left out.
        threads: of the process.
        progress: where to show what happens.

    Raises:
        SideError: the process ended early.
    """
    marks = sorted({mark for mark in (*MARKS, count) if mark <= count})
    (folder / "texts.json").write_text(json.dumps(list(texts)), encoding="utf-8")
    module = "xformer.benchmarks.encode.memory"
    side = Side.start(
        "memory", sys.executable, module, {"folder": str(folder)}, threads, folder / "memory.log"
    )
    found = {}
    try:
        for mark in marks:
            found[mark] = side.ask(do="upto", count=mark)["peak_bytes"]
            progress("encode", mark, count)
    finally:
        side.stop()
    return found


class Stream:
    """Encodes an endless stream of texts as far as it is told, and keeps no vector."""

    def __init__(self, folder: Path, threads: int) -> None:
        from .ours import Ours

        texts: list[str] = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        self._read = 0
        self._encoder = Ours(folder, "fp32", threads).encoder
        self._texts = cycle(texts)

    def upto(self, count: int) -> int:
        """Go on until `count` texts have been encoded; how many there were now."""
        stream = self._encoder.stream(as_texts(self._some(count - self._read)))
        for _ in stream:
            pass
        self._read = count
        return stream.texts

    def _some(self, count: int) -> Iterator[str]:
        yield from islice(self._texts, count)


def flat(found: dict[int, int]) -> float:
    """Peak at the end over the peak at 100,000 sentences, or at the first mark where there are fewer."""
    marks = sorted(found)
    return found[marks[-1]] / found[MARKS[1] if MARKS[1] in found else marks[0]]


if __name__ == "__main__":
    job: dict[str, Any] = json.loads(sys.argv[1])
    serve({"upto": Stream(Path(job["folder"]), job["threads"]).upto})
