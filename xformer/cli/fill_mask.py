"""`xformer fill-mask`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.prediction.fill_mask import Filling
    from xformer.progress import Progress

_AT_ONCE = 256
_MASK = "<mask>"


@dataclass(frozen=True)
class FillMask:
    """Fill masks: the pieces that the model expects where a text has <mask>, with their probabilities.

    xformer fill-mask runs/demo "Open the <mask>" "Die Datei <mask> nicht gefunden"

    For another program: xformer fill-mask runs/demo --file masked.txt --json | jq .masks

    A piece is a part of a word, a word, or a sign. It takes along the space in front of it.
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    texts: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="[TEXT ...]")]] = ()
    """Texts with one or more <mask>. Left out: lines of --file or of standard input."""
    file: Path | None = None
    """A file of texts: lines, or rows by its name (.jsonl, .tsv, .csv, .parquet). -: standard input."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 5
    """Pieces for each mask."""
    json: bool = False
    """Print one JSON object a text, and nothing else, on standard output."""
    line_buffered: bool = False
    """Fill each text as it comes, for a pipe that stays open. Otherwise some hundred are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Fill the masks and return the exit status."""
        from xformer.cli.results import progress_beside_results

        if self.k < 1:
            raise InputError(f"--k: expected a whole number from 1, got {self.k}")
        if self.texts and (self.file or self.field):
            raise InputError("--file, --field: expected a file or texts as arguments, not both")
        for text in self.texts:
            if _MASK not in text:
                raise InputError(f"expected a text with {_MASK}, as 'Open the {_MASK}'; got {text!r}")
        files = TextInput((self.file,) if self.file else (), self.field, must_have=_MASK)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            if self.texts:
                self._fill(model, self.texts, len(self.texts), _AT_ONCE, progress)
            else:
                files.say_what_is_awaited()
                at_once = 1 if self.line_buffered or files.typed else _AT_ONCE
                self._fill(model, files, files.count(progress), at_once, progress)
        return 0

    def _fill(
        self, model: Model, texts: Iterable[str], total: int | None, at_once: int, progress: Progress
    ) -> None:
        rest, done = iter(texts), 0
        while block := list(islice(rest, at_once)):
            for text, found in zip(block, model.fill_mask(block, k=self.k), strict=True):
                # A text with one mask has a list of fillings, one with several a list of such lists.
                self._show(text, found if isinstance(found[0], list) else [found])
            done += len(block)
            progress("fill masks", done, total)

    def _show(self, text: str, masks: list[list[Filling]]) -> None:
        from rich.cells import cell_len, set_cell_size

        if self.json:
            row = {"text": text, "masks": [list(map(asdict, fillings)) for fillings in masks]}
            print(json.dumps(row, ensure_ascii=False), flush=True)
            return
        print(text)
        for number, fillings in enumerate(masks, 1):
            if len(masks) > 1:
                print(f"  mask {number}")
            width = max(cell_len(one.piece) for one in fillings)
            for one in fillings:
                print(f"  {one.probability:6.1%}  {set_cell_size(one.piece, width)}  {one.text}")
        print(flush=True)
