"""`xformer translate`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import InputFormat, TextFiles, TextInput
from xformer.cli.translate_catalogue import ENDINGS, fill, open_catalogue, report
from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xformer.progress import Progress
    from xformer.translation.translator import Search, Translation, Translator

_AT_ONCE = 256


@dataclass(frozen=True)
class Translate:
    """Translate each line of files or of standard input, in order.

    xformer translate runs/en-de --to de < in > out

    Rows, with the three best translations and their scores: xformer translate runs/en-de texts.jsonl --field
    caption --to de --n-best 3 --json

    The translation most like 32 samples: xformer translate runs/en-de texts --to de --minimum-risk 32

    What a catalogue of messages lacks: xformer translate runs/many messages.po --to fr -o fr.po

    In a pipe: tail -f captions | xformer translate runs/en-de --to de --line-buffered

    The run is one of `xformer finetune translate`. N lines give N lines; an empty line stays empty. Files are
    read once before work starts, so that a text that is too long is named then; of a pipe, when it comes.

    In a catalogue (.po) messages without a translation get one, marked fuzzy for a person to look at; all
    else stays byte for byte. A translation without a placeholder of its message is not taken; what stays
    untranslated is said. All plural forms of a message are filled, or none.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer finetune translate`."""
    to: str
    """Language to write, such as de."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Of a catalogue: the file to write."""
    source: str | None = None
    """Language of the texts, to be checked. The model needs not be told."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    input_format: InputFormat | None = None
    """Left out: by the names of the files, and lines on standard input."""
    beam: int = 4
    """Width of the beam; 1 takes the likeliest token each time."""
    sample: bool = False
    """Draw translations instead of searching the likeliest."""
    n_best: int = 1
    """With --json: so many translations of each text."""
    minimum_risk: int = 0
    """Draw so many translations of each text, and take the one that is most like all of them (chrF)."""
    temperature: float = 1.0
    """Of --sample and --minimum-risk: below 1 the likeliest translations come more often."""
    seed: int = 0
    """Of --sample and --minimum-risk."""
    length_penalty: float = 1.0
    """Hypotheses of a beam are ranked by log P / length^α; larger favours longer ones."""
    json: bool = False
    """Print one JSON object a text, with the score of each translation, and nothing else."""
    line_buffered: bool = False
    """Translate each text as it comes, for a pipe that stays open. Otherwise some hundred are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Translate the texts and return the exit status."""
        from xformer.cli.results import progress_beside_results

        if any(path.suffix in ENDINGS for path in self.files):
            return self._fill_catalogue()
        if self.out is not None:
            raise InputError(
                "--out: expected with a catalogue (.po); what lines become goes to standard output"
            )
        texts = TextInput(self.files, self.field, self.input_format)
        search = self._search()
        with progress_beside_results() as progress:
            translator = self.computing.load(self.run, "best").translator
            target, source = translator.direction(self.to, self.source)
            if not translator.learned(target, source):
                progress.say(f"{source} to {target} was never learned from translations; expect little")
            total = self._checked(texts, translator, progress)
            texts.say_what_is_awaited()
            at_once = 1 if self.line_buffered or texts.typed else _AT_ONCE
            self._translate(translator, texts, search, total, at_once, progress)
        return 0

    def _fill_catalogue(self) -> int:
        """Fill the catalogue, write it, say what was done, and return the exit status."""
        from xformer.cli.results import progress_beside_results

        search = replace(self, json=True, n_best=1 if self.minimum_risk else self.beam)._search()
        catalogue = open_catalogue(self.files, self.out, self.to)
        assert self.out is not None
        with progress_beside_results() as progress:
            translator = self.computing.load(self.run, "best").translator
            translator.direction(self.to, self.source)
            done = fill(catalogue, translator, self.to, self.source, search, progress)
            catalogue.save(self.out)
        print(report(catalogue, self.out, done, self.json))
        return 0

    def _search(self) -> Search:
        from xformer.generation.options import GenerationOptions
        from xformer.translation.translator import Search

        if self.n_best > 1 and not self.json:
            raise InputError("--n-best: expected with --json, since N lines give N lines")
        if self.sample and self.minimum_risk:
            raise InputError("--sample, --minimum-risk: expected one of them, which draws by itself")
        if self.minimum_risk and self.n_best > 1:
            raise InputError("--n-best: expected 1 with --minimum-risk, which finds one translation")
        drawn = self.sample or self.minimum_risk > 0
        method = "sample" if drawn else "greedy" if self.beam == 1 else "beam"
        try:
            options = GenerationOptions(
                method=method,  # type: ignore[arg-type]
                beam=max(self.beam, 1) if drawn else self.beam,
                n_best=self.n_best,
                temperature=self.temperature,
                seed=self.seed,
                length_penalty=self.length_penalty,
            )
        except ValueError as error:
            raise InputError(str(error).replace("generation.", "--").replace("_", "-")) from error
        return Search(options, self.minimum_risk)

    def _checked(self, texts: TextInput, translator: Translator, progress: Progress) -> int | None:
        """Number of texts, all of which were found short enough; None of a pipe."""
        if not texts.repeatable:
            return None
        done, rest = 0, iter(texts)
        while block := list(islice(rest, 8 * _AT_ONCE)):
            translator.check(block, done)
            done += len(block)
            progress("check", done, None)
        return done

    def _translate(
        self,
        translator: Translator,
        texts: TextInput,
        search: Search,
        total: int | None,
        at_once: int,
        progress: Progress,
    ) -> None:
        rest, done = iter(texts), 0
        while block := list(islice(rest, at_once)):
            found = translator.translate(block, self.to, self.source, search, first=done)
            for text, its in zip(block, found, strict=True):
                self._show(text, its)
            done += len(block)
            progress("translate", done, total)

    def _show(self, text: str, found: Sequence[Translation]) -> None:
        if self.json:
            row: dict[str, Any] = {"text": text, "translation": found[0].text, "score": found[0].score}
            if self.n_best > 1:
                row["n_best"] = [{"translation": one.text, "score": one.score} for one in found]
            print(json.dumps(row, ensure_ascii=False), flush=self.line_buffered)
            return
        # A line of output is one translation, whatever characters it has.
        print(" ".join(found[0].text.split("\n")), flush=self.line_buffered)
