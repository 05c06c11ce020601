"""`xformer classify`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.cli.model_options import ModelOptions
from xformer.cli.pair_input import PairInput
from xformer.cli.text_input import InputFormat, TextFiles, TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.api.classify import Classification, Content
    from xformer.progress import Progress

_AT_ONCE = 8_192


@dataclass(frozen=True)
class Classify:
    """Classify texts, or pairs of texts: a label with its probability for each line or row, in order.

    xformer classify runs/topics texts.txt

    A column of a table: xformer classify runs/topics news.parquet --field title --json

    Pairs, by a run of `xformer finetune pair`, in rows with two fields or lines with a tab between the texts:
    xformer classify runs/pairs pairs.tsv --field text --field-pair text_pair

    In a pipe: tail -f messages | xformer classify runs/topics --line-buffered

    The run is one of `xformer finetune classify` or `pair`. N lines give N lines: label, probability and text
    with tabs between; where a text may have several labels, these with commas between. An empty line gets a
    label, too.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer finetune classify` or `xformer finetune pair`."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    field: str | None = None
    """For rows: the field with the text, of a pair the first one. Left out: `text`."""
    field_pair: str | None = None
    """For rows of pairs: the field with the second text. Left out: `text_pair`."""
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

        found = TextInput(self.files, self.field, self.input_format)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            texts = self._input(model)
            found.say_what_is_awaited()
            at_once = 1 if self.line_buffered or found.typed else _AT_ONCE
            self._classify(model, texts, texts.count(progress), at_once, progress)
        return 0

    def _input(self, model: Model) -> TextInput | PairInput:
        """What the run classifies; a run that does not says so at once."""
        model.classify([])
        if model.example == "pair":
            return PairInput.of(self.files, self.field, self.field_pair, self.input_format)
        if self.field_pair is not None:
            what = "gives each text a label; pairs need a run of `xformer finetune pair`"
            raise InputError(f"--field-pair: {self.run} {what}")
        return TextInput(self.files, self.field, self.input_format)

    def _classify(
        self, model: Model, texts: TextInput | PairInput, total: int | None, at_once: int, progress: Progress
    ) -> None:
        rest: Iterator[Content] = iter(texts)
        done = 0
        while block := list(islice(rest, at_once)):

            def tell(what: str, n: int, of: int | None, before: int = done) -> None:
                progress("classify", before + n, total)

            for text, found in zip(
                block, model.classify(block, calibrated=self.calibration, progress=tell), strict=True
            ):
                self._show(text, found)
            done += len(block)

    def _show(self, content: Content, found: Classification) -> None:
        texts = (content,) if isinstance(content, str) else content
        if self.json:
            row: dict[str, Any] = dict(zip(("text", "text_pair"), texts, strict=False))
            row |= {"labels": list(found.labels), "probabilities": found.probabilities}
            print(json.dumps(row, ensure_ascii=False), flush=self.line_buffered)
            return
        shown = (text.replace("\t", " ") for text in texts)
        cells = (",".join(found.labels), f"{found.probability:.3f}", *shown)
        print("\t".join(cells), flush=self.line_buffered)
