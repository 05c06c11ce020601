"""`xformer tag`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import TextFiles
from xformer.cli.word_input import Sentence, WordFormat, WordInput

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.api.tag import TaggedWords
    from xformer.progress import Progress

_AT_ONCE = 2_048


@dataclass(frozen=True)
class Tag:
    """Label each word of texts: a word and its label in each line, and a blank line after each text.

    xformer tag runs/languages texts.txt

    A file with a word a line, whose lines keep their order and number: xformer tag runs/pos test.de.conllu
    --tokens-field 2

    One JSON object a text: xformer tag runs/names news.jsonl --tokens-field words --json | jq .tags

    The run is one of `xformer finetune tag`. Of a line of text, words are what stands between white space.
    Texts without words give a blank line, so that N texts give N of them.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer finetune tag`."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    tokens_field: str | None = None
    """For rows: the field with the list of words; for columns, the number of the words' column. Left out:
    `tokens`, column 1."""
    input_format: WordFormat | None = None
    """Left out: by the names of the files (.conll, .conllu, .iob2, .bio: columns), and lines otherwise."""
    json: bool = False
    """Print one JSON object a text, with words, tags and their probabilities, and nothing else."""
    calibration: OnByDefault = True
    """Leave out the temperature of the run, as in xformer classify."""
    line_buffered: bool = False
    """Label each text as it comes, for a pipe that stays open. Otherwise some thousand are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Label the words and return the exit status."""
        from xformer.cli.results import progress_beside_results

        sentences = WordInput.of(self.files, self.tokens_field, self.input_format)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            model.tag([])  # says at once if the run gives words no labels
            sentences.texts.say_what_is_awaited()
            at_once = 1 if self.line_buffered or sentences.texts.typed else _AT_ONCE
            self._tag(model, sentences, sentences.count(progress), at_once, progress)
        return 0

    def _tag(
        self, model: Model, sentences: WordInput, total: int | None, at_once: int, progress: Progress
    ) -> None:
        rest: Iterator[Sentence] = iter(sentences)
        done = 0
        while block := list(islice(rest, at_once)):

            def tell(what: str, n: int, of: int | None, before: int = done) -> None:
                progress("tag", before + n, total)

            words = [one.words for one in block]
            for one, found in zip(
                block, model.tag(words, calibrated=self.calibration, progress=tell), strict=True
            ):
                self._show(one, found)
            done += len(block)

    def _show(self, sentence: Sentence, found: TaggedWords) -> None:
        if self.json:
            print(json.dumps(dataclasses.asdict(found), ensure_ascii=False), flush=self.line_buffered)
            return
        rows = iter(zip(found.words, found.tags, strict=True))
        lines = ("\t".join(next(rows)) if line is None else line for line in sentence.lines)
        print("\n".join(lines), flush=self.line_buffered)
