"""`xformer inspect languages`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import tyro

from xformer.cli.inspect.texts import TextChoice
from xformer.cli.model_options import ModelOptions


@dataclass(frozen=True)
class Languages:
    """Where languages meet, layer by layer, and the neurons and heads that one language has for itself.

    All languages of a run: xformer inspect languages runs/demo

    Some, with pictures: xformer inspect languages runs/demo --languages en de ru ja --out languages

    Languages are compared on messages that all of them have. Unless they are named, those that share too few
    are left out. Each number stands beside what chance gives: messages in another order, labels shuffled.
    Exit status 2: a model or texts that cannot be used.
    """

    model: tyro.conf.Positional[Path]
    """A run, or a folder of Hugging Face with config.json, model.safetensors and tokenizer.json."""
    out: Path | None = None
    """A folder for `languages.html`, `languages.svg`, `languages.png` and `languages.json`."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""
    texts: TextChoice = dataclasses.field(default_factory=lambda: TextChoice(texts=100))
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Measure, print the tables, and return the exit status."""
        from xformer.cli.results import progress_beside_results
        from xformer.inspect.language_battery import measure_languages
        from xformer.inspect.language_report import LanguageReport
        from xformer.storage.outputs import check_output_folder

        self.texts.check(self.model)
        if self.out is not None:
            check_output_folder(self.out)
        with progress_beside_results() as progress, self.computing.using_threads():
            subject = self.computing.open(self.model)
            sample, left_out = self.texts.parallel(self.model)
            found = measure_languages(
                subject, sample, left_out=left_out, seed=self.texts.seed, progress=progress
            )
            report = LanguageReport(found)
            for line in [report.object()] if self.json else report.lines():
                print(line)
            progress.say(report.note())
            if self.out is not None:
                for path in report.write(self.out):
                    progress.say(f"{path}: written")
        return 0
