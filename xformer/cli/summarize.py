"""`xformer summarize`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import InputFormat, TextFiles, TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.summarization.extract import Summary

_AT_ONCE = 1_024


@dataclass(frozen=True)
class Summarize:
    """Summarize texts, each line or row, in order: by their own sentences, or in new words.

    xformer summarize runs/demo reports.txt

    Three sentences of a field of a table: xformer summarize runs/demo packages.jsonl --field description
    --sentences 3 --json

    In new words, by a run that was trained to write: xformer summarize runs/sum reports.txt --to de

    With a run of `xformer pretrain` or `xformer import`, sentences are chosen, in any language, whose vectors
    are nearest to the mean of the text's sentences. A run of `xformer finetune summarize` writes. N lines
    give N lines; an empty line gives an empty one.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer pretrain`, `xformer import` or `xformer finetune summarize`."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    sentences: int | None = None
    """Sentences of each summary that is chosen. Left out: 1."""
    to: str | None = None
    """Language to write, such as de. Left out: where the run writes one only, that."""
    beam: int | None = None
    """Width of the beam that writes; 1 takes the likeliest token each time. Left out: 4."""
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

        for name, given in (("sentences", self.sentences), ("beam", self.beam)):
            if given is not None and given < 1:
                raise InputError(f"--{name}: expected a whole number from 1, got {given}")
        texts = TextInput(self.files, self.field, self.input_format)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            self._summarized(model, [])  # whose options are checked before texts are awaited
            texts.say_what_is_awaited()
            total, done = texts.count(progress), 0
            at_once = 1 if self.line_buffered or texts.typed else _AT_ONCE
            rest = iter(texts)
            while block := list(islice(rest, at_once)):
                for found in self._summarized(model, block):
                    shown = found.text.replace("\n", " ")
                    if self.json:
                        shown = json.dumps(dataclasses.asdict(found), ensure_ascii=False)
                    print(shown, flush=self.line_buffered)
                done += len(block)
                progress("summarize", done, total)
        return 0

    def _summarized(self, model: Model, texts: list[str]) -> list[Summary]:
        try:
            return model.summarize(texts, self.sentences, to=self.to, beam=self.beam)
        except InputError as error:
            # Options have the names of the arguments.
            if str(error).startswith(("sentences:", "to:", "beam:")):
                raise InputError(f"--{error}") from error
            raise
