"""`xformer search`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.cli.encode import encoded_blocks
from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api.index import Index, Match
    from xformer.progress import Progress

Queries = Annotated[tuple[str, ...], tyro.conf.arg(metavar="[TEXT ...]")]


@dataclass(frozen=True)
class Search:
    """Find the texts of an index that are nearest in meaning to a text, whatever the languages of both.

    xformer search manuals.index "Datei öffnen"

    A query for each line of standard input: xformer search manuals.index --lines --json < questions.txt

    Shown are the cosine, source and line of each text that was found. Search is exact: each query is compared
    with all texts; of equal scores the first text comes first. Exit status 2: another model made the index,
    or there is no index.
    """

    index: tyro.conf.Positional[Path]
    """Made by `xformer index`."""
    texts: tyro.conf.Positional[Queries] = ()
    """Queries."""
    lines: bool = False
    """Take a query from each line of standard input. N lines give N answers, in their order."""
    top: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 5
    """Texts shown for each query."""
    json: bool = False
    """Print one JSON object a query, and nothing else, on standard output."""
    run: Path | None = None
    """Run directory. Left out: the run that made the index, where it lay then."""
    line_buffered: bool = False
    """Answer each line as it comes, for a pipe that stays open. Otherwise some 16,000 are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Search, and return the exit status."""
        from xformer.api.index import Index, maker_of
        from xformer.cli.results import progress_beside_results

        if self.top < 1:
            raise InputError(f"--top: expected a whole number from 1, got {self.top}")
        if self.lines == bool(self.texts):
            raise InputError("expected a text to search for, or --lines for those on standard input")
        queries: Iterable[str] = TextInput() if self.lines else self.texts
        with progress_beside_results() as progress, self.computing.using_threads():
            index = Index(self.index, self.computing.load(*maker_of(self.index, self.run)))
            if isinstance(queries, TextInput):
                queries.say_what_is_awaited()
            self._answer(index, queries, progress)
        return 0

    def _answer(self, index: Index, queries: Iterable[str], progress: Progress) -> None:
        """Print what is found for each query, in the order of the queries."""
        number, total = 0, None if self.lines else len(self.texts)
        shown = progress if self.lines else None
        single = self.line_buffered or (isinstance(queries, TextInput) and queries.typed)
        for texts, vectors in encoded_blocks(index.model, queries, total, progress, "queries", single):
            for query, found in zip(texts, index.search_vectors(vectors, self.top, shown), strict=True):
                number += 1
                self._show(number, query, found)
            sys.stdout.flush()

    def _show(self, number: int, query: str, found: list[Match]) -> None:
        if self.json:
            matches = [asdict(match) | {"score": round(match.score, 6)} for match in found]
            print(json.dumps({"query": number, "text": query, "matches": matches}, ensure_ascii=False))
            return
        print(query)
        places = [f"{match.source}:{match.line}" for match in found]
        width = max(map(len, places), default=0)
        for match, place in zip(found, places, strict=True):
            shown = match.text.replace("\n", "⏎")
            print(f"  {match.score:6.3f}  {place:<{width}}  {shown}")
        print()
