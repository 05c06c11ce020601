#!/usr/bin/env bash
# A flat index of faiss takes many times longer for 166 queries than for 167.
#
# Most expect: more queries take more time; and, as the project's notes on the implementation say, that from 20 queries on
# IndexFlatIP and IndexFlatL2 compute the scores by a matrix product (BLAS).
# Seen: they do so where queries x dimensions >= 128,000: with 768 dimensions from 167 queries, with 192 from 667. With fewer
# they go through all vectors again for each query. On one thread 166 queries take 10 to 30 times the processor's time of
# 167, with the same scores but for rounding. faiss.cvar.distance_compute_blas_threshold was a number of queries and is now
# compared with that product; with 1, all are matrix products. In 1.13.2 (its value is 20) 166 and 167 take the same time.
# Version: faiss-cpu 1.15.1 beside 1.13.2, numpy 2.4.6, Linux x86-64, one thread. 1.14.2 and 1.14.3 do as 1.15.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/measure.py" <<'PYTHON'
import statistics
import time

import faiss
import numpy as np

faiss.omp_set_num_threads(1)
threshold = faiss.cvar.distance_compute_blas_threshold
random = np.random.default_rng(0)
vectors = random.standard_normal((20_000, 768), dtype=np.float32)
queries = random.standard_normal((167, 768), dtype=np.float32)
print(f"faiss-cpu {faiss.__version__}, threshold {threshold}")
ways = {"166 queries": (166, threshold), "167 queries": (167, threshold), "166 queries, threshold 1": (166, 1)}
for kind in (faiss.IndexFlatIP, faiss.IndexFlatL2):
    index = kind(768)
    index.add(vectors)
    seconds = {way: [] for way in ways}
    for _ in range(5):
        for way, (count, value) in ways.items():
            faiss.cvar.distance_compute_blas_threshold = value
            begin = time.process_time()
            scores, _ = index.search(queries[:count], 10)
            seconds[way].append(time.process_time() - begin)
            if way == "166 queries":
                first = scores
            assert np.allclose(scores[:166], first, rtol=1e-4), "the answers differ"
    few, more, product = (statistics.median(seconds[way]) for way in ways)
    for way in ways:
        print(f"{kind.__name__}, {way}: {statistics.median(seconds[way]):.3f} s of the processor")
    if faiss.__version__ == "1.15.1":
        assert threshold == 128_000 and few > 3 * more and few > 3 * product, "the behaviour has changed"
    else:
        assert threshold == 20 and few < 2 * more and few < 2 * product, "the behaviour has changed"
PYTHON
for version in 1.13.2 1.15.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install -q --disable-pip-version-check "faiss-cpu==$version" numpy==2.4.6
    OMP_NUM_THREADS=1 "$folder/$version/bin/python" "$folder/measure.py"
done
