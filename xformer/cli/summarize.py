"""`xformer summarize`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import InputFormat, TextFiles, TextInput
from xformer.errors import InputError

_AT_ONCE = 1_024


@dataclass(frozen=True)
class Summarize:
    """Summarize texts: the sentences that stand for each line or row, in order.

    xformer summarize runs/demo reports.txt

    Three sentences of a field of a table: xformer summarize runs/demo packages.jsonl --field description
    --sentences 3 --json

    Sentences are chosen, in any language, whose vectors are nearest to the mean of the text's sentences. N
    lines give N lines; an empty line gives an empty one.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer pretrain` or `xformer import`."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    sentences: int = 1
    """Sentences of each summary."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    input_format: InputFormat | None = None
    """Left out: by the names of the files, and lines on standard input."""
    json: bool = False
    """Print one JSON object a text, with the summary and the places of its sentences, and nothing else."""
    line_buffered: bool = False
    """Summarize each text as it comes, for a pipe that stays open. Otherwise some thousand are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Summarize the texts and return the exit status."""
        from xformer.cli.results import progress_beside_results

        if self.sentences < 1:
            raise InputError(f"--sentences: expected a whole number from 1, got {self.sentences}")
        texts = TextInput(self.files, self.field, self.input_format)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            texts.say_what_is_awaited()
            total, done = texts.count(progress), 0
            at_once = 1 if self.line_buffered or texts.typed else _AT_ONCE
            rest = iter(texts)
            while block := list(islice(rest, at_once)):
                for found in model.summarize(block, self.sentences):
                    shown = found.text.replace("\n", " ")
                    if self.json:
                        shown = json.dumps(dataclasses.asdict(found), ensure_ascii=False)
                    print(shown, flush=self.line_buffered)
                done += len(block)
                progress("summarize", done, total)
        return 0
