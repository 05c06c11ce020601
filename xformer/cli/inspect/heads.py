"""`xformer inspect heads`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import tyro

from xformer.cli.inspect.texts import TextChoice
from xformer.cli.model_options import ModelOptions


@dataclass(frozen=True)
class Heads:
    """What each head looks at: entropy, distance, sinks, neighbours, delimiters, rare tokens, by language.

    A run: xformer inspect heads runs/demo

    And how much the model needs them: xformer inspect heads runs/demo --importance --texts 10

    As pictures and a page: xformer inspect heads runs/demo --out heads

    A model of Hugging Face: xformer inspect heads models/minilm --corpus runs/demo/corpus --languages en de

    On texts of your own: xformer inspect heads models/minilm --text english.txt --json

    Prints a row for each head, means over languages, and last what a head has that attends to all tokens
    alike. Weight says where a head looks, not what it is for. Exit status 2: a model or texts that cannot be
    used.
    """

    model: tyro.conf.Positional[Path]
    """A run, or a folder of Hugging Face with config.json, model.safetensors and tokenizer.json."""
    out: Path | None = None
    """A folder for `heads.html`, `heads.svg`, `heads.png` and `heads.jsonl`."""
    json: bool = False
    """Print one JSON object a head, with its scores by language, and nothing else on standard output."""
    importance: bool = False
    """Measure also how much the model needs each head, by gradient and by ablation, for each language. It
    takes one or two passes over the texts for each head."""
    texts: TextChoice = dataclasses.field(default_factory=TextChoice)
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Measure the heads, print the table, and return the exit status."""
        from xformer.cli.results import progress_beside_results
        from xformer.inspect.battery import measure_heads, measure_importance
        from xformer.inspect.head_report import HeadReport
        from xformer.storage.outputs import check_output_folder

        self.texts.check(self.model)
        if self.out is not None:
            check_output_folder(self.out)
        with progress_beside_results() as progress, self.computing.using_threads():
            subject = self.computing.open(self.model)
            sample = self.texts.sample(self.model)
            seed = self.texts.seed
            table = measure_heads(subject, sample, seed=seed, progress=progress)
            cost = None
            if self.importance:
                cost = measure_importance(subject, sample, seed=seed, progress=progress)
            report = HeadReport(table, cost)
            for line in report.objects() if self.json else report.lines():
                print(line)
            progress.say(report.note())
            if self.out is not None:
                for path in report.write(self.out):
                    progress.say(f"{path}: written")
        return 0
