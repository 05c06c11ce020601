"""The process of faiss: a flat index of inner products."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..encode.turns import serve


class Peer:
    """The index, in memory."""

    def __init__(self, job: dict[str, Any]) -> None:
        import faiss

        self._settings = faiss.cvar
        self._default = int(self._settings.distance_compute_blas_threshold)
        faiss.omp_set_num_threads(job["threads"])
        self._index = faiss.IndexFlatIP(job["dim"])
        vectors = np.memmap(Path(job["folder"], "00000.vectors"), dtype="<f4", mode="r").reshape(
            -1, job["dim"]
        )
        for start in range(0, len(vectors), 65_536):
            self._index.add(np.ascontiguousarray(vectors[start : start + 65_536]))

    def search(self, queries: str, k: int, out: str = "", blas: bool = False) -> None:
        """Search for the vectors of a file; write rows and scores.

        With `blas` a matrix product computes the scores of any number of queries; otherwise faiss chooses.
        """
        self._settings.distance_compute_blas_threshold = 1 if blas else self._default
        scores, rows = self._index.search(np.load(queries), k)
        if out:
            np.savez(out, rows=rows, scores=scores)


if __name__ == "__main__":
    serve({"search": Peer(json.loads(sys.argv[1])).search})
