"""The process of our side: search in an index, mining, and the memory that it takes."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xformer.embedding.mining.mine import mine
from xformer.embedding.search.exact import search
from xformer.embedding.search.folder import IndexFolder

from ..encode.turns import serve


class Ours:
    """An index, opened."""

    def __init__(self, job: dict[str, Any]) -> None:
        torch.set_num_threads(job["threads"])
        self._parts = IndexFolder(job["folder"]).vectors

    def search(self, queries: str, k: int, out: str = "") -> None:
        """Search for the vectors of a file; write rows and scores."""
        found = search(np.load(queries), self._parts, k)
        if out:
            np.savez(out, rows=found.rows, scores=found.scores)

    def mine(self, other: str) -> dict[str, Any]:
        """Mine between another index and this one; pairs, and peak memory in bytes."""
        with _Peak() as peak:
            pairs = mine(IndexFolder(other).vectors[0], self._parts[0])
        return {"pairs": len(pairs), "before": peak.before, "peak": peak.most}


class _Peak:
    """The most memory of the process during a block that is not of mapped files."""

    def __enter__(self) -> _Peak:
        self.before = self.most = _anonymous_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, _anonymous_bytes())


def _anonymous_bytes() -> int:
    """`RssAnon` of this process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status: expected RssAnon; it needs Linux 4.5")


if __name__ == "__main__":
    ours = Ours(json.loads(sys.argv[1]))
    serve({"search": ours.search, "mine": ours.mine})
