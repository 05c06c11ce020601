"""The command `xformer bench mining`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xformer.evaluation.mining.hidden_pairs import Judged, Similarities
    from xformer.progress import Progress

TwoFiles = tuple[Path, Path]


@dataclass(frozen=True)
class MiningBench:
    """Precision, recall and F1 of translations hidden among as many other lines, beside character trigrams,
    and beside lengths and a dictionary. Half of the lines chooses the threshold, the other half is the test.

    xformer bench mining test.de test.en --run runs/demo --dictionary train.de train.en
    """

    files: tyro.conf.Positional[Annotated[TwoFiles, tyro.conf.arg(metavar="A B")]]
    """Parallel text: line by line translations. The run should not have been trained on it."""
    run: Path
    """Run directory."""
    dictionary: TwoFiles | None = None
    """Other parallel text of the same languages, from which the baseline learns words and lengths."""
    seed: int = 0
    """Of the choice of lines."""
    out: Path = Path("benchmarks/results/mining.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console
        from rich.table import Table

        import xformer
        from xformer.evaluation.mining.hidden_pairs import hide, judge
        from xformer.progress import Progress

        from ..kept import begin_record, write_record

        texts = parallel_lines(*self.files)
        try:
            sample, test = hide(*texts, seed=self.seed)
        except ValueError as error:
            raise InputError(f"{self.files[0]}, {self.files[1]}: {error}") from error
        learned = None if self.dictionary is None else parallel_lines(*self.dictionary)
        machine = begin_record(self.out)
        found: dict[str, Judged] = {}
        with Progress() as progress:
            model = xformer.load(self.run)
            for name, similarities in _sides(model.similarity, learned, progress).items():
                progress.say(f"mine by {name}")
                try:
                    found[name] = judge(similarities, sample, test)
                except ValueError as error:
                    raise InputError(f"{name}: {error}") from error
        rows = {name: _row(one) for name, one in found.items()}
        shape = {"pairs": len(test.gold), "lines": [len(test.a), len(test.b)]}
        write_record(
            self.out,
            {
                "bench": "mining",
                "files": [str(path) for path in self.files],
                "run": str(self.run),
                "step": model.step,
                "seed": self.seed,
                **shape,
                "found": rows,
                **machine,
            },
        )
        if self.json:
            sys.stdout.write(json.dumps({**shape, "found": rows}) + "\n")
            return 0
        title = f"{shape['pairs']:,} pairs among {len(test.a):,} and {len(test.b):,} lines"
        table = Table("similarity", title=title, title_justify="left")
        for column in ("precision", "recall", "F1", "F1 of the sample"):
            table.add_column(column, justify="right")
        for name, row in rows.items():
            table.add_row(name, *(f"{row[one]:.3f}" for one in ("precision", "recall", "f1", "sample_f1")))
        Console().print(table)
        return 0


def parallel_lines(a: Path, b: Path) -> tuple[list[str], list[str]]:
    """The lines of two files.

    Raises:
        InputError: one is missing or damaged, or their numbers of lines differ.
    """
    from xformer.data.readers.lines import read_lines

    left, right = list(read_lines(a)), list(read_lines(b))
    if len(left) != len(right):
        raise InputError(f"{a}, {b}: expected as many lines, got {len(left):,} and {len(right):,}")
    return left, right


def _sides(
    cosines: Similarities, learned: tuple[list[str], list[str]] | None, progress: Progress
) -> dict[str, Similarities]:
    from xformer.evaluation.mining.dictionary import LengthAndDictionary

    sides: dict[str, Similarities] = {"the run": cosines, "character trigrams": trigrams}
    if learned is not None:
        progress.say(f"learn a dictionary from {len(learned[0]):,} pairs")
        sides["length and dictionary"] = LengthAndDictionary.learn(*learned).similarities
    return sides


def trigrams(a: Sequence[str], b: Sequence[str]) -> NDArray[np.float64]:
    """Cosines of TF-IDF vectors of character trigrams."""
    import numpy as np

    from xformer.evaluation.outside.trigrams import Trigrams

    cosines = Trigrams([*a, *b]).with_keys(np.arange(len(a), len(a) + len(b)))
    found: NDArray[np.float64] = cosines(np.arange(len(a))).numpy()
    return found


def _row(one: Judged) -> dict[str, float]:
    scores, sample = one.scores, one.threshold.scores
    shares = {name: getattr(scores, name) for name in ("precision", "recall", "f1")}
    return {**shares, **asdict(scores), "threshold": one.threshold.margin, "sample_f1": sample.f1}
