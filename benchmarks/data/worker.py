"""One measurement in a process of its own: `python -P WORKER WORK CORPUS TEXTS`, with the code of a revision
on `PYTHONPATH`. It prints one JSON object.

The texts are those of the corpus's training split, the test set is its dev and test splits. They are read
here, by the same lines for every revision, one at a time. Memory counts from when all modules are there and
the first texts were read, so it is that of the work alone. It runs with the modules of any revision from
d83179d on, so it names those that have moved since.
"""

from __future__ import annotations

import gc
import gzip
import importlib
import importlib.util
import itertools
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def module(*names: str) -> Any:
    """The first of some modules of `xformer.data` that this revision has."""
    there = [name for name in names if importlib.util.find_spec(f"xformer.data.{name}")]
    return importlib.import_module(f"xformer.data.{there[0]}")


def records(corpus: Path, split: str, most: int | None = None) -> Iterator[Any]:
    """Stream the records of a split; the first ones if there are more than `most`."""
    from xformer.data.record import Record

    with gzip.open(corpus / f"{split}.jsonl.gz", "rb") as file:
        for line in itertools.islice(file, most):
            yield Record(**json.loads(line))


def decontaminator(corpus: Path) -> Any:
    """Finds what overlaps the dev and test splits."""
    decontaminate = module("decontaminate")
    test_sets = {split: records(corpus, split) for split in ("dev", "test")}
    named = getattr(decontaminate, "TestSet", lambda name, texts: (name, texts))
    return decontaminate.Decontaminator(list(itertools.starmap(named, test_sets.items())))


class Clock:
    """Seconds by the clock and of the processor, by stage.

    Args:
        ended: called with each stage that has ended.
    """

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self.stages: dict[str, list[float]] = {}
        self._stage, self._begun = "", self._now()

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """A stage goes on, or begins."""
        if stage == self._stage:
            return
        now = self._now()
        spent = self.stages.setdefault(self._stage, [0.0, 0.0])
        for place, (end, begin) in enumerate(zip(now, self._begun, strict=True)):
            spent[place] += end - begin
        self._ended(self._stage)
        self._stage, self._begun = stage, now

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), time.process_time()


class Memory:
    """The most memory of this process since now, beside what it has now.

    Raises:
        OSError: the system has no `/proc/self/clear_refs` (Linux has).
    """

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
        self._before = self._mib("VmRSS")

    def peak(self) -> float:
        """In MiB."""
        return self._mib("VmHWM") - self._before

    def _mib(self, name: str) -> float:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        found = re.search(rf"{name}:\s*(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


def run(work: str, corpus: Path, most: int) -> dict[str, Any]:
    """Do the work; its seconds and memory.

    Args:
        work: `read`: the texts are read and no more. `import`: they are imported. `decontaminate`: they are
            imported with a decontaminator; the seconds are those of the stage that compares and keeps them,
            the memory that of this stage, with what the decontaminator is made of.
        corpus: whose texts.
        most: how many texts.
    """
    imported, manifest = module("corpus"), module("manifest")
    options = module("import_plan", "plan").ImportOptions()
    module("decontaminate")
    for _ in records(corpus, "train", 1000):
        pass
    memory = Memory()
    peaks: dict[str, float] = {}
    tool = decontaminator(corpus) if work == "decontaminate" else None
    texts = records(corpus, "train", most)
    clock = Clock(lambda stage: peaks.update({stage: memory.peak()}))
    clock("read")
    if work == "read":
        for _ in texts:
            pass
    else:
        with tempfile.TemporaryDirectory() as folder:
            source = manifest.Source("texts", "unknown")
            imported.import_corpus(
                texts, Path(folder, "corpus"), options, [source], decontaminator=tool, progress=clock
            )
    clock("done")
    stages = {stage: spent for stage, spent in clock.stages.items() if stage}
    counted = [stages["read"]] if work == "decontaminate" else list(stages.values())
    seconds, cpu_seconds = (sum(column) for column in zip(*counted, strict=True))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mib": peaks["read"] if work == "decontaminate" else memory.peak(),
        "stages": {stage: round(spent[0], 2) for stage, spent in stages.items()},
    }


def main() -> None:
    """Measure; the result is the last line of the output."""
    work, corpus, most = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    sys.stdout.write(json.dumps(run(work, corpus, most)) + "\n")


if __name__ == "__main__":
    main()
