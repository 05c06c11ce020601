"""The command `xformer bench summaries`."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from xformer.evaluation.summarization.judge import Side

Files = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")]
THE_RUN = "the run"


@dataclass(frozen=True)
class SummariesBench:
    """ROUGE and chrF of a run's summaries of one sentence, beside the first sentence, TextRank, and the best
    sentence that each text has.

    xformer bench summaries test.de.jsonl test.en.jsonl --run runs/demo --field description --summary-field
    synopsis

    Each file is judged by itself. ROUGE has words of all scripts. Shown with ROUGE-L is how far it is above
    that of the first sentence, with its 95% interval, by bootstrap over texts.
    """

    files: tyro.conf.Positional[Files]
    """Rows with a text and its summary: JSON lines, CSV, TSV or Parquet, of one language each."""
    run: Path
    """Run directory."""
    field: str = "text"
    """The field with the text."""
    summary_field: str = "summary"
    """The field with the summary that people wrote."""
    texts: int | None = None
    """Texts of each file, the first ones. Left out: all."""
    seed: int = 0
    """Of the bootstrap."""
    out: Path = Path("benchmarks/results/summaries.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console

        import xformer
        from xformer.evaluation.summarization.judge import judge
        from xformer.evaluation.summarization.rouge import SIGNATURE, require_rouge
        from xformer.progress import Progress

        from ..kept import begin_record, write_record

        require_rouge()
        if not self.files:
            raise InputError("expected a file or more")
        read = [self._read(path) for path in self.files]
        machine = begin_record(self.out)
        found: dict[str, dict[str, Side]] = {}
        with Progress() as progress:
            model = xformer.load(self.run)
            for path, (texts, references) in zip(self.files, read, strict=True):
                ours = [summary.text for summary in model.summarize(texts, progress=progress)]

                def tell(side: str, done: int, total: int, name: str = path.name) -> None:
                    progress(f"{name}: {side}", done, total)

                found[path.name] = judge(texts, references, {THE_RUN: ours}, self.seed, tell)
        record = {
            "bench": "summaries",
            "run": self.run.name,
            "step": model.step,
            "signature": SIGNATURE,
            "found": {
                name: {side: dataclasses.asdict(one) for side, one in sides.items()}
                for name, sides in found.items()
            },
            "texts": {path.name: len(texts) for path, (texts, _) in zip(self.files, read, strict=True)},
        }
        write_record(self.out, {**record, **machine})
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            Console().print(_table(found, SIGNATURE))
        return 0

    def _read(self, path: Path) -> tuple[list[str], list[str]]:
        """Texts and their summaries, as many of both.

        Raises:
            InputError: the file has no rows, or a row lacks a field.
        """
        from itertools import islice

        from xformer.data.labelled.rows import require_file, rows_of
        from xformer.data.readers.rows import text_field

        require_file(path)
        fields = (self.field, self.summary_field)
        rows = [
            [text_field(row, field, place) for field in fields]
            for place, _, row in islice(rows_of(path, fields), self.texts)
        ]
        if not rows:
            raise InputError(f"{path}: expected rows, found none")
        return [text for text, _ in rows], [summary for _, summary in rows]


def _table(found: dict[str, dict[str, Side]], signature: str) -> Table:
    from rich.table import Table

    table = Table("file", caption=signature, caption_justify="left")
    table.add_column("summary", no_wrap=True)
    for column in ("ROUGE-1", "ROUGE-2", "ROUGE-L", "above lead-1", "95%", "chrF"):
        table.add_column(column, justify="right")
    for name, sides in found.items():
        for side, one in sides.items():
            assert one.above_lead is not None  # since ROUGE was asked for
            mean, low, high = one.above_lead
            scores = [f"{100 * score:.1f}" for score in one.rouge.values()]
            interval = f"{100 * low:+.1f} to {100 * high:+.1f}"
            table.add_row(name, side, *scores, f"{100 * mean:+.1f}", interval, f"{one.chrf:.1f}")
        table.add_section()
    return table
