"""An index of texts: a folder of vectors in which the texts nearest to a query are found, exactly.

Shapes: E texts, Q queries, D vector width, K results of each query.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import overload

from xformer.api.comparing import Match, check_k
from xformer.api.model import Model, Vectors
from xformer.api.opening import load
from xformer.data.reporting import ProgressCallback
from xformer.embedding.search.exact import search
from xformer.embedding.search.folder import Block, IndexFolder, Stamp, make_index
from xformer.embedding.search.grow import add_to_index
from xformer.errors import InputError
from xformer.progress import ShowProgress, shown
from xformer.runs.checkpoint import weights_hash
from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.find import find_run
from xformer.runs.opening import Which

_QUERIES_AT_ONCE = 4096
_RESULTS_AT_ONCE = 1 << 22
"""Results that are held at a time, whatever `k`: 50 MB."""

Texts = Iterable[str]


class Index:
    """Texts and their vectors in a folder, to search in any language for texts in any language.

    >>> index = xformer.Index.build("messages.index", model, ["Open the file", "Save"])
    >>> index.search("Datei öffnen", k=1)[0].text
    'Open the file'

    Search is exact: the best are those of all products, computed in float64 and rounded to float32, sorted by
    score and then by row. Memory is that of a few blocks; the folder's files are mapped.

    Attributes:
        path: the folder.
        model: makes the vectors of queries, and of texts that are added.
    """

    def __init__(self, path: str | os.PathLike[str], model: Model | None = None) -> None:
        """Open an index.

        Args:
            path: its folder.
            model: the model that made it; None to open the run and the checkpoint that are noted in it.

        Raises:
            InputError: there is no index, it is damaged, or another model made it.
        """
        self.path = Path(path)
        self._folder = IndexFolder(path)
        if model is None:
            run, which = maker_of(self.path)
            model = load(run, checkpoint=which)
        self.model = model
        _require_same(self._folder, self.model)

    @classmethod
    def build(
        cls,
        path: str | os.PathLike[str],
        model: Model,
        texts: Texts | Mapping[str, Texts],
        *,
        batch_tokens: int | None = None,
        progress: ShowProgress = None,
    ) -> Index:
        """Make an index; its folder is complete or absent.

        Args:
            path: a new folder.
            model: makes the vectors.
            texts: in their order, or such by the name of their source; read as the work goes on.
            batch_tokens: as in `Model.encode`.
            progress: as in `Model.encode`.

        Raises:
            InputError: the folder exists, there are no texts, or one is no text.
        """
        with shown(progress) as tell:
            make_index(path, _stamp(model), model.dim, _blocks(model, texts, batch_tokens, tell))
        return cls(path, model)

    def add(
        self,
        texts: Texts | Mapping[str, Texts],
        *,
        batch_tokens: int | None = None,
        progress: ShowProgress = None,
    ) -> None:
        """Add texts behind those that are there: all of them, or none if an error ends it early.

        Args:
            texts: as in `build`.
            batch_tokens: as in `Model.encode`.
            progress: as in `Model.encode`.

        Raises:
            InputError: one is no text, or another process is adding to the index.
        """
        with shown(progress) as tell:
            add_to_index(self.path, _blocks(self.model, texts, batch_tokens, tell))
        self._folder = IndexFolder(self.path)

    def __len__(self) -> int:
        return len(self._folder)

    def __repr__(self) -> str:
        made = self._folder.info.model
        return f"Index({str(self.path)!r}: {len(self):,} texts, by {made.run} at step {made.step:,})"

    @overload
    def search(  # type: ignore[overload-overlap]  # a string is an iterable of strings, too
        self, queries: str, k: int = ...
    ) -> list[Match]: ...
    @overload
    def search(self, queries: Texts, k: int = ...) -> list[list[Match]]: ...

    def search(self, queries: str | Texts, k: int = 5) -> list[Match] | list[list[Match]]:
        """The `k` texts nearest to each query, nearest first; all of them where there are fewer.

        Args:
            queries: one text or several, in any language.
            k: at least 1.

        Returns:
            A list for one query; for several a list of such lists, in their order.

        Raises:
            InputError: a query is no text, or `k` no whole number from 1.
        """
        if isinstance(queries, str):
            return next(self.search_vectors(self.model.encode([queries], normalise=True), k))
        return list(self.search_vectors(self.model.encode(queries, normalise=True), k))

    def search_vectors(
        self, vectors: Vectors, k: int = 5, progress: ProgressCallback | None = None
    ) -> Iterator[list[Match]]:
        """The same for queries that are vectors (Q, D) already, one list after the other.

        Raises:
            InputError: the vectors have another width or are not finite, or `k` is no whole number from 1.
        """
        check_k(k)
        at_once = max(1, min(_QUERIES_AT_ONCE, _RESULTS_AT_ONCE // min(k, len(self))))
        for start in range(0, len(vectors), at_once):
            try:
                found = search(vectors[start : start + at_once], self._folder.vectors, k)
            except ValueError as error:
                raise InputError(f"{self.path}: {error}") from error
            if progress:
                progress("search", min(start + at_once, len(vectors)), len(vectors))
            for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
                yield [self._match(row, score) for row, score in zip(rows, scores, strict=True)]

    def _match(self, row: int, score: float) -> Match:
        source, line = self._folder.place(row)
        return Match(score, self._folder.text(row), source, line, row)


def _blocks(
    model: Model,
    texts: Texts | Mapping[str, Texts],
    batch_tokens: int | None,
    progress: ProgressCallback | None,
) -> Iterator[Block]:
    """Texts of each source with their vectors, block by block."""
    done = 0
    for name, some in (texts if isinstance(texts, Mapping) else {"texts": texts}).items():
        waiting: deque[str] = deque()

        def kept(given: Texts = some, waiting: deque[str] = waiting) -> Iterator[str]:
            for text in given:
                waiting.append(text)
                yield text

        for vectors in model.encode_stream(kept(), normalise=True, batch_tokens=batch_tokens):
            yield name, [waiting.popleft() for _ in vectors], vectors
            done += len(vectors)
            if progress:
                progress("index", done, None)


def fingerprint_of(model: Model) -> str:
    """A hash of all that decides about a model's vectors: weights, tokenizer, layer, longest sequence.

    Raises:
        InputError: the run no longer has the checkpoint.
    """
    folders = checkpoint_folders(find_run(model.path).checkpoints)
    path = next((folder for folder in folders if step_of(folder) == model.step), None)
    if path is None:
        raise InputError(f"{model.path}: its checkpoint of step {model.step:,} is gone; load the run again")
    parts = [weights_hash(path), model.tokenizer.fingerprint(), str(model.layer.layer), str(model.max_length)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _stamp(model: Model) -> Stamp:
    run = str(model.path.resolve())
    return Stamp(run, model.step, model.layer.layer, fingerprint_of(model))


def maker_of(path: str | os.PathLike[str], run: Path | None = None) -> tuple[Path, Which]:
    """The run that made an index, and the checkpoint if the run still has it; otherwise its newest.

    Args:
        path: the index.
        run: where the run lies now; None for where it lay then.

    Raises:
        InputError: there is no index, or no run.
    """
    made = IndexFolder(path).info.model
    try:
        found = find_run(made.run if run is None else run)
    except InputError as error:
        where = "" if run else "; say where the run lies now"
        raise InputError(f"{path}: {error}{where}") from error
    has_it = made.step in map(step_of, checkpoint_folders(found.checkpoints))
    return found.path, made.step if has_it else "newest"


def _require_same(folder: IndexFolder, model: Model) -> None:
    made = folder.info.model
    if fingerprint_of(model) == made.fingerprint:
        return
    now = f"{model.path} at step {model.step:,}, layer {model.layer.layer}"
    raise InputError(
        f"{folder.path}: its vectors were made by {made.run} at step {made.step:,}, layer {made.layer}; those"
        f" of {now} cannot be compared with them. Open that checkpoint, or make the index again: xformer"
        f" index FILES --run {model.path} -o NEW"
    )
