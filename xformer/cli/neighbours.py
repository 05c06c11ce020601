"""`xformer neighbours`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.cli.encode import encoded_blocks
from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import STANDARD_INPUT, InputFormat, TextInput, format_of
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.embedding.encoded_texts import EncodedTexts
    from xformer.embedding.vector_files import Matrix
    from xformer.progress import Progress

_QUERIES_AT_ONCE = 256

Files = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[QUERIES] CANDIDATES")]


@dataclass(frozen=True)
class Neighbours:
    """Find the nearest candidates of each query by the cosine of their vectors, in any language.

    Two files: xformer neighbours runs/demo german.txt english.txt

    A question: xformer neighbours runs/demo english.txt --query "Datei öffnen" -k 10

    With candidates that are encoded already: xformer neighbours runs/demo german.txt english.txt --vectors
    english.npy

    Each query is compared with all candidates. Of equal ones the first comes first.
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    files: tyro.conf.Positional[Files]
    """Lines, or rows by the name of the file (.jsonl, .tsv, .csv, .parquet). -: standard input. Without
    QUERIES and --query, the queries are on standard input."""
    query: tuple[str, ...] = ()
    """Queries, instead of a file."""
    vectors: Path | None = None
    """The .npy file that `xformer encode RUN CANDIDATES` wrote."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 5
    """Neighbours of each query."""
    json: bool = False
    """Print one JSON object a query, and nothing else, on standard output."""
    tsv: bool = False
    """Print a line for each neighbour: line of the query, rank, cosine, line and text of the candidate."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    input_format: InputFormat | None = None
    """Of both files. Left out: by their names, and lines on standard input."""
    batch_tokens: int | None = None
    """Most tokens that are encoded at a time; bounds the memory. Left out: what is fast on the device."""
    line_buffered: bool = False
    """Answer each query as it comes, for a pipe that stays open. Otherwise some 16,000 are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Find the neighbours and return the exit status."""
        from xformer.cli.results import progress_beside_results
        from xformer.embedding.encoded_texts import EncodedTexts
        from xformer.embedding.vector_files import open_vectors

        queries, candidates = self._inputs()
        given = None if self.vectors is None else open_vectors(self.vectors)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            if given is not None and given.shape[1] != model.dim:
                raise InputError(
                    f"{self.vectors}: expected vectors of {model.dim} numbers, as {self.run} makes, got"
                    f" {given.shape[1]}"
                )
            total = queries.count(progress) if isinstance(queries, TextInput) else len(queries)
            with EncodedTexts.temporary(model.dim) as store:
                vectors = self._vectors(candidates, model, given, store, progress)
                if isinstance(queries, TextInput):
                    queries.say_what_is_awaited()
                self._compare(queries, total, model, store, vectors, progress)
        return 0

    def _inputs(self) -> tuple[TextInput | tuple[str, ...], TextInput]:
        """The queries and the candidates, checked as far as they can be before they are read."""
        if self.k < 1:
            raise InputError(f"--k: expected a whole number from 1, got {self.k}")
        if self.json and self.tsv:
            raise InputError("--json, --tsv: expected one of the two")
        if len(self.files) not in (1, 2) or (len(self.files) == 2 and self.query):
            raise InputError("expected QUERIES and CANDIDATES, or CANDIDATES and --query")
        paths = self.files if len(self.files) == 2 or self.query else (STANDARD_INPUT, *self.files)
        if paths.count(STANDARD_INPUT) > 1:
            raise InputError("-: expected the queries or the candidates on standard input, not both")
        rows = [format_of(path, self.input_format) != "lines" for path in paths]
        # The field belongs to the file that has fields. If neither has, the first complains.
        fields = [self.field if has or not any(rows) else None for has in rows]
        inputs = [
            TextInput((path,), name, self.input_format) for path, name in zip(paths, fields, strict=True)
        ]
        return self.query or inputs[0], inputs[-1]

    def _vectors(
        self,
        candidates: TextInput,
        model: Model,
        given: Matrix | None,
        store: EncodedTexts,
        progress: Progress,
    ) -> Matrix:
        """Keep the candidates in `store`; their vectors, as given or encoded now."""
        if given is not None:
            for text in candidates:
                store.add([text])
            self._require_some(store, candidates)
            if len(store) != len(given):
                raise InputError(
                    f"{self.vectors}: expected a vector for each of the {len(store):,} candidates, got"
                    f" {len(given):,}"
                )
            return given
        total = candidates.count(progress)
        for texts, vectors in encoded_blocks(
            model, candidates, total, progress, "candidates", batch_tokens=self.batch_tokens
        ):
            store.add(texts, vectors)
        self._require_some(store, candidates)
        return store.vectors()

    def _require_some(self, store: EncodedTexts, candidates: TextInput) -> None:
        if not len(store):
            where = ", ".join(map(str, candidates.files)) or "standard input"
            raise InputError(f"{where}: expected candidates, one text a line, found none")

    def _compare(
        self,
        queries: Iterable[str],
        total: int | None,
        model: Model,
        store: EncodedTexts,
        candidates: Matrix,
        progress: Progress,
    ) -> None:
        """Print the neighbours of each query, in the order of the queries."""
        from xformer.embedding.neighbours import nearest_neighbours

        if self.tsv:
            print("query", "rank", "cosine", "line", "text", sep="\t")
        line = 0
        single = self.line_buffered or (isinstance(queries, TextInput) and queries.typed)
        for texts, vectors in encoded_blocks(
            model, queries, total, progress, "queries", single, batch_tokens=self.batch_tokens
        ):
            for start in range(0, len(texts), _QUERIES_AT_ONCE):
                some = slice(start, start + _QUERIES_AT_ONCE)
                try:
                    found = nearest_neighbours(vectors[some], candidates, self.k)
                except ValueError as error:  # a vector that is not finite
                    raise InputError(f"{self.vectors or self.run}: {error}") from error
                results = zip(texts[some], found.rows.tolist(), found.cosines.tolist(), strict=True)
                for query, rows, cosines in results:
                    line += 1
                    near = [
                        (row + 1, cosine, store.text(row)) for row, cosine in zip(rows, cosines, strict=True)
                    ]
                    self._show(line, query, near)
                sys.stdout.flush()
                progress("compare", line, total)

    def _show(self, line: int, query: str, near: list[tuple[int, float, str]]) -> None:
        """Print the neighbours of one query: line, cosine and text of each."""
        if self.json:
            names = ("line", "cosine", "text")
            found = [dict(zip(names, (at, round(cosine, 6), text), strict=True)) for at, cosine, text in near]
            print(json.dumps({"line": line, "query": query, "neighbours": found}, ensure_ascii=False))
        elif self.tsv:
            for rank, (at, cosine, text) in enumerate(near, 1):
                print(line, rank, f"{cosine:.6f}", at, text.replace("\t", " "), sep="\t")
        else:
            print(query)
            width = max((len(str(at)) for at, _, _ in near), default=0)
            for at, cosine, text in near:
                print(f"  {cosine:6.3f}  {at:>{width}}  {text}")
            print()
