"""`xformer classify`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import InputFormat, TextFiles, TextInput

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.api.classify import Classification
    from xformer.progress import Progress

_AT_ONCE = 8_192


@dataclass(frozen=True)
class Classify:
    """Classify texts: a label with its probability for each line of files or of standard input, in order.

    xformer classify runs/topics texts.txt

    A column of a table: xformer classify runs/topics news.parquet --field title --json

    In a pipe: tail -f messages | xformer classify runs/topics --line-buffered

    The run is one of `xformer finetune classify`. N lines give N lines: label, probability and text with tabs
    between; where a text may have several labels, these with commas between. An empty line gets a label, too.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer finetune classify`."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    input_format: InputFormat | None = None
    """Left out: by the names of the files, and lines on standard input."""
    json: bool = False
    """Print one JSON object a text, with the probability of each label, and nothing else."""
    calibration: OnByDefault = True
    """Leave out the temperature of the run, which makes probabilities as sure as they are right. No label
    depends on it."""
    line_buffered: bool = False
    """Classify each text as it comes, for a pipe that stays open. Otherwise some thousand are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Classify the texts and return the exit status."""
        from xformer.cli.results import progress_beside_results

        texts = TextInput(self.files, self.field, self.input_format)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            model.labels  # noqa: B018 - says at once if the run has none
            texts.say_what_is_awaited()
            at_once = 1 if self.line_buffered or texts.typed else _AT_ONCE
            self._classify(model, texts, texts.count(progress), at_once, progress)
        return 0

    def _classify(
        self, model: Model, texts: Iterable[str], total: int | None, at_once: int, progress: Progress
    ) -> None:
        rest, done = iter(texts), 0
        while block := list(islice(rest, at_once)):

            def tell(what: str, n: int, of: int | None, before: int = done) -> None:
                progress("classify", before + n, total)

            for text, found in zip(
                block, model.classify(block, calibrated=self.calibration, progress=tell), strict=True
            ):
                self._show(text, found)
            done += len(block)

    def _show(self, text: str, found: Classification) -> None:
        if self.json:
            row = {"text": text, "labels": list(found.labels), "probabilities": found.probabilities}
            print(json.dumps(row, ensure_ascii=False), flush=self.line_buffered)
            return
        line = " ".join(text.split("\t"))
        print(
            f"{','.join(found.labels)}\t{found.probability:.3f}\t{line}",
            flush=self.line_buffered,
        )
