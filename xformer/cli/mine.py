"""`xformer mine`."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api import Model, Vectors
    from xformer.embedding.mining.pairs import Pairs
    from xformer.embedding.mining.scoring import Scores
    from xformer.embedding.mining.side import Side
    from xformer.progress import Progress


@dataclass(frozen=True)
class Mine:
    """Find the lines of two texts that are translations of one another, by margins (Artetxe, Schwenk 2019).

    xformer mine news.de news.en --run runs/demo -o mined

    From a margin on: xformer mine news.de news.en --run runs/demo -o mined --threshold 1.1

    By a sample of lines that someone looked at: xformer mine news.de news.en --run runs/demo -o mined
    --labelled sample.tsv

    How many are right, where that is known: xformer mine a.de a.en --run runs/demo -o mined --gold pairs.tsv

    Written are mined.de and mined.en, line by line translations, the best first, which `xformer data import
    moses mined.de mined.en` takes; and mined.scores, with margin, cosine and both line numbers of each pair.
    Equal lines are taken once. Vectors lie in temporary files, so memory stays small; TMPDIR says where, and
    a line takes 7 bytes for each number of its vector.
    """

    a: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="A")]]
    """A text a line, plain or compressed. The end of its name is its language."""
    b: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="B")]]
    """The same in another language."""
    run: Path
    """Run directory."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """What the names of the files that are written begin with."""
    languages: tuple[str, ...] = ()
    """Languages of A and B, if the names of the files do not give them."""
    threshold: float | None = None
    """The smallest margin of a pair. Left out: all pairs, best first."""
    labelled: Path | None = None
    """Instead: a file of lines `line of A⇥line of B`, or `line of A⇥-` where there is no translation. The
    threshold is that of the best F1 on these lines."""
    gold: Path | None = None
    """All true pairs, as lines `line of A⇥line of B`: shows precision, recall and F1. Lines of A that are in
    the labelled sample do not count."""
    ids: bool = False
    """Lines are `id⇥text`, as in the BUCC shared task, and other files name ids instead of line numbers."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 4
    """Neighbours of a text that its margin is relative to."""
    margin: Literal["ratio", "distance", "absolute"] = "ratio"
    """The cosine divided by the mean cosine of both texts' neighbours; less it; or alone."""
    retrieval: Literal["max", "intersection", "forward", "backward"] = "max"
    """Which pairs: the best one of each line of A (forward), of B (backward), both, or either (max)."""
    many_to_many: bool = False
    """A line may be in several pairs. Otherwise the best pair takes both of its lines."""
    json: bool = False
    """Print the counts as one JSON object on standard output."""
    batch_tokens: int | None = None
    """Most tokens that are encoded at a time; bounds the memory. Left out: what is fast on the device."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Mine, and return the exit status."""
        from xformer.cli.results import progress_beside_results

        outputs = self._check()
        with progress_beside_results() as progress, ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xformer-mine-")))
            totals = [TextInput((path,)).count(progress) for path in (self.a, self.b)]
            model = self.computing.load(self.run)
            sides = [
                self._side(path, model, total, folder / name, progress)
                for name, path, total in zip("ab", (self.a, self.b), totals, strict=True)
            ]
            with self.computing.using_threads():
                summary = self._mine(sides[0], sides[1], outputs, progress)
        if self.json:
            print(json.dumps(summary))
        return 0

    def _check(self) -> list[Path]:
        """The files to write: both sides and the scores."""
        from xformer.data.readers.languages import languages_of
        from xformer.storage.outputs import check_output_file

        if self.k < 1:
            raise InputError(f"--k: expected a whole number from 1, got {self.k}")
        if self.threshold is not None and self.labelled is not None:
            raise InputError("--threshold, --labelled: expected one of the two")
        tags = languages_of((self.a, self.b), self.languages or None)
        if tags[0] == tags[1]:
            raise InputError(
                f"{self.a}, {self.b}: expected two languages, both are {tags[0]}; see --languages"
            )
        outputs = [self.out.with_name(f"{self.out.name}.{end}") for end in (*tags, "scores")]
        for path in (self.a, self.b, self.labelled, self.gold):
            if path is not None and not path.is_file():
                raise InputError(f"{path}: no such file")
        for path in outputs:
            check_output_file(path)
            if path.exists() and any(path.samefile(given) for given in (self.a, self.b)):
                raise InputError(f"--out {self.out}: would replace {path}, which is read")
        return outputs

    def _side(self, path: Path, model: Model, total: int | None, folder: Path, progress: Progress) -> Side:
        from xformer.cli.encode import encoded_blocks
        from xformer.embedding.mining.side import Side

        def encode(texts: Iterable[str]) -> Iterator[tuple[list[str], Vectors]]:
            return encoded_blocks(
                model, texts, total, progress, f"encode {path.name}", batch_tokens=self.batch_tokens
            )

        return Side(str(path), TextInput((path,)), encode, model.dim, folder, with_ids=self.ids)

    def _mine(self, a: Side, b: Side, outputs: list[Path], progress: Progress) -> dict[str, Any]:
        from xformer.embedding.mining.labels import read_gold, read_sample
        from xformer.embedding.mining.mine import mine
        from xformer.embedding.mining.scoring import best_threshold, score

        sample = None if self.labelled is None else read_sample(self.labelled, a, b)
        gold = None if self.gold is None else read_gold(self.gold, a, b)

        def tell(done: int, total: int) -> None:
            progress("mine", done * a.lines // total, a.lines)

        pairs = mine(
            a.vectors,
            b.vectors,
            k=self.k,
            margin=self.margin,
            retrieval=self.retrieval,
            one_to_one=not self.many_to_many,
            tell=tell,
        )
        summary: dict[str, Any] = {"lines": [a.lines, b.lines], "texts": [len(a), len(b)]}
        threshold = self.threshold
        if sample is not None:
            try:
                best = best_threshold(pairs, sample)
            except ValueError as error:
                raise InputError(f"{self.labelled}: {error}") from error
            threshold = best.margin
            summary["sample"] = {"lines": len(sample)} | _numbers(best.scores)
            progress.say(f"threshold {threshold:.4f}: on the sample {_worded(best.scores)}")
        kept = pairs if threshold is None else pairs.from_margin(threshold)
        self._write(kept, a, b, outputs)
        summary |= {"threshold": threshold, "pairs": len(kept), "files": [str(path) for path in outputs]}
        progress.say(f"{outputs[0]}, {outputs[1]}: {len(kept):,} pairs of {len(a):,} and {len(b):,} texts")
        if gold is not None:
            looked_at = frozenset(sample or ())
            judged = kept.without(looked_at)
            scores = score(judged, {pair for pair in gold if pair[0] not in looked_at})
            summary["scores"] = _numbers(scores)
            progress.say(f"of the true pairs{' outside the sample' if sample else ''}: {_worded(scores)}")
        return summary

    def _write(self, pairs: Pairs, a: Side, b: Side, outputs: list[Path]) -> None:
        from xformer.storage.files import atomic_write

        with (
            atomic_write(outputs[0]) as left,
            atomic_write(outputs[1]) as right,
            atomic_write(outputs[2]) as scores,
        ):
            columns = (pairs.a.tolist(), pairs.b.tolist(), pairs.margins.tolist(), pairs.cosines.tolist())
            for row_a, row_b, margin, cosine in zip(*columns, strict=True):
                left.write(f"{a.text(row_a)}\n")
                right.write(f"{b.text(row_b)}\n")
                scores.write(f"{margin:.6f}\t{cosine:.6f}\t{a.label(row_a)}\t{b.label(row_b)}\n")


def _numbers(scores: Scores) -> dict[str, Any]:
    shares = {name: round(getattr(scores, name), 6) for name in ("precision", "recall", "f1")}
    return shares | {name: getattr(scores, name) for name in ("right", "found", "true")}


def _worded(scores: Scores) -> str:
    return (
        f"precision {scores.precision:.3f}, recall {scores.recall:.3f}, F1 {scores.f1:.3f}"
        f" ({scores.right:,} right of {scores.found:,} found and {scores.true:,} true)"
    )
