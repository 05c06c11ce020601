"""The command `xformer bench multilinguality`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class MultilingualityBench:
    """What makes a tiny model multilingual? Train one on English and a fake copy of it, in which every piece
    is another token, with elements switched off: shared special tokens, positions and vocabulary, anchors,
    parallel data. What came out: docs/what-makes-it-multilingual.md.

    xformer bench multilinguality

    xformer bench multilinguality --seeds 1 --steps 200 --out /tmp/try.json --figures /tmp

    xformer bench multilinguality --text my-sentences.txt

    xformer bench multilinguality --redraw
    """

    seeds: int = 3
    """Models of each condition."""
    steps: int | None = None
    """Optimizer steps of each model. Left out: as in the page of findings."""
    text: Path | None = None
    """A UTF-8 file with a text a line, instead of the English messages of the gettext corpus."""
    condition: tuple[str, ...] = ()
    """Only these conditions, by their names in the table. Left out: all."""
    jobs: int | None = None
    """Models at a time, one core each. Left out: one per core. Does not change any result."""
    out: Path = Path("benchmarks/results/multilinguality.json")
    """File of the record."""
    figures: Path = Path("docs/figures")
    """Folder of the figure, `multilinguality.svg` and, where matplotlib is installed, `.png`."""
    redraw: bool = False
    """Train nothing: draw the figure of the record in `--out` again, and print its tables."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run_command(self) -> int:
        """Run the experiment, keep record and figure, and return the exit status."""
        from xformer.storage.outputs import check_output_folder

        from .figure import figure, tables
        from .outcomes import read_record, runs_of
        from .write import write_figure

        check_output_folder(self.figures)
        record = read_record(self.out) if self.redraw else self._measured()
        runs = runs_of(record)
        written = write_figure(figure(runs), self.figures)
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            sys.stdout.write("\n".join(tables(runs)) + "\n")
            sys.stdout.write(f"Record: {self.out}. Figure: {', '.join(map(str, written))}.\n")
        return 0

    def _measured(self) -> dict[str, Any]:
        """Run the experiment, and keep its record."""
        from xformer.errors import InputError
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from ..processes import cores
        from .bench import run_every
        from .elements import conditions
        from .texts import texts_of
        from .train import TrainingSize

        for name in ("seeds", "steps", "jobs"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name}: expected at least 1, got {value}")
        names = self.condition or tuple(conditions())
        if unknown := [name for name in names if name not in conditions()]:
            known = ", ".join(repr(name) for name in conditions())
            raise InputError(f"--condition: expected one of {known}; got {unknown[0]!r}")
        machine = begin_record(self.out)
        size = TrainingSize() if self.steps is None else TrainingSize(steps=self.steps)
        with Progress() as progress:
            texts = texts_of(self.text, progress)
            jobs = min(self.jobs or cores(), self.seeds * len(names))
            runs = run_every(texts, size, range(self.seeds), names, jobs=jobs, progress=progress)
        record = {
            "size": asdict(size),
            "texts": {name: len(getattr(texts, name)) for name in ("real", "fake", "both", "held_out")},
            "pieces": texts.tokenizer.vocab_size,
            "tokenizer": texts.tokenizer.fingerprint(),
            "runs": [one.to_record() for one in runs],
            **machine,
        }
        write_record(self.out, record)
        return record
