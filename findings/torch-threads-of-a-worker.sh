#!/usr/bin/env bash
# torch.set_num_threads does not reach a thread that has computed before.
#
# Most expect: torch.set_num_threads(1) holds for the process. Servers, data loaders and training loops call it in the
# main thread, when their worker threads are already running.
# Seen: the number belongs to each thread. A thread takes the process's number at its first computation and keeps it: after
# set_num_threads(1) in the main thread, the old worker still computes on all of its threads, while the main thread and
# threads that begin later compute on one. A call inside the worker changes the worker alone.
# Version: torch 2.13.0 (CPU, Linux, OpenMP), Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=2 "$folder/venv/bin/python" - <<'PYTHON'
import queue
import threading

import torch

questions, answers = queue.Queue(), queue.Queue()


def work():
    while questions.get():
        torch.ones(1_000_000).sum()
        answers.put(torch.get_num_threads())


def in_worker():
    questions.put(True)
    return answers.get()


def in_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


threading.Thread(target=work, daemon=True).start()
before = in_worker()
torch.set_num_threads(1)
seen = {
    "the worker, before": before,
    "the main thread, after set_num_threads(1)": torch.get_num_threads(),
    "a new thread, after": in_a_new_thread(),
    "the worker, after": in_worker(),
}
for where, threads in seen.items():
    print(f"{threads} threads in {where}")
assert list(seen.values()) == [2, 1, 1, 2], "the behaviour has changed"
questions.put(False)
PYTHON
