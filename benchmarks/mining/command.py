"""The command `xformer bench mining`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

Files = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="A B [C ...]")]


@dataclass(frozen=True)
class MiningBench:
    """Precision, recall and F1 of translations hidden among as many other lines, beside character trigrams,
    and beside lengths and a dictionary. Half of the lines chooses the threshold, the other half is the test.

    xformer bench mining test.de test.en --run runs/demo --dictionary train.de train.en

    Each language with each other: xformer bench mining test.cs test.de test.en test.fr --run runs/demo

    Shown with F1 is its 95% interval, by bootstrap over the lines of the test.
    """

    files: tyro.conf.Positional[Files]
    """Parallel text: line by line translations. The run should not have been trained on it."""
    run: Path
    """Run directory."""
    dictionary: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="A B [C ...]")] = ()
    """Other parallel text of the same languages, in the same order, from which the baseline learns words and
    lengths."""
    languages: tuple[str, ...] = ()
    """Languages of the files, if their names do not give them."""
    seed: int = 0
    """Of the choice of lines."""
    out: Path = Path("benchmarks/results/mining.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console

        import xformer
        from xformer.data.readers.languages import languages_of
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from .measure import cosines_of, measure, parallel_lines

        if len(self.files) < 2:
            raise InputError("expected two files or more, one a language")
        if self.dictionary and len(self.dictionary) != len(self.files):
            count = f"{len(self.files)} files, got {len(self.dictionary)}"
            raise InputError(f"--dictionary: expected as many as there are texts: {count}")
        tags = languages_of(self.files, self.languages or None)
        texts = parallel_lines(self.files)
        learned = parallel_lines(self.dictionary)
        machine = begin_record(self.out)
        found: list[dict[str, Any]] = []
        with Progress() as progress:
            model = xformer.load(self.run)
            cosines = cosines_of(lambda some: model.encode(some, progress=progress), texts)
            for a, b in combinations(range(len(texts)), 2):
                progress.say(f"mine {tags[a]}-{tags[b]}")
                known = (learned[a], learned[b]) if learned else None
                try:
                    one = measure((texts[a], texts[b]), cosines, known, self.seed)
                except ValueError as error:
                    raise InputError(f"{self.files[a]}, {self.files[b]}: {error}") from error
                found.append({"languages": [tags[a], tags[b]], **one})
        record = {
            "bench": "mining",
            "files": [path.name for path in self.files],
            "run": self.run.name,
            "step": model.step,
            "seed": self.seed,
            "found": found,
        }
        write_record(self.out, {**record, **machine})
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            Console().print(_table(found))
        return 0


def _table(found: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    first = found[0]
    title = f"{first['pairs']:,} pairs among {first['lines'][0]:,} and {first['lines'][1]:,} lines"
    if any((one["pairs"], one["lines"]) != (first["pairs"], first["lines"]) for one in found):
        title = f"about {title}"
    table = Table("languages", "similarity", title=title, title_justify="left")
    for column in ("precision", "recall", "F1", "95%", "F1 of the sample"):
        table.add_column(column, justify="right")
    for one in found:
        for name, row in one["sides"].items():
            shown = [f"{row[score]:.3f}" for score in ("precision", "recall", "f1")]
            low, high = row["intervals"]["f1"] or (0.0, 0.0)
            interval = f"{low:.3f} to {high:.3f}"
            table.add_row("-".join(one["languages"]), name, *shown, interval, f"{row['sample_f1']:.3f}")
    return table
