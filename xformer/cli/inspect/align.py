"""`xformer inspect align`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.inspect.analysis.align_gold import Choice
    from xformer.inspect.analysis.alignment_links import AlignmentScores, Gold
    from xformer.inspect.subject import Subject
    from xformer.progress import Progress

_AT_ONCE = 32

TextFile = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="TEXT")]]


@dataclass(frozen=True)
class Align:
    """Align the words of sentences and their translations, by the states of the model or its attention.

    Links in Pharaoh's format, a line a pair: xformer inspect align runs/demo mine.en mine.de > links

    How well each layer and each head aligns: xformer inspect align runs/demo test_2016_flickr.en
    test_2016_flickr.de --gold multi30k-en-de

    Words are split at spaces and around punctuation, and counted from 0. 0-1 links the first word of the left
    line to the second one of the right line.
    """

    run: tyro.conf.Positional[Path]
    """Run directory, or a folder of Hugging Face."""
    left: TextFile
    """Sentences, one a line."""
    right: TextFile
    """Their translations, line by line."""
    layer: int | None = None
    """Layers that have been run when states are compared; 0: before the first. Left out: the layer that
    sentence vectors are taken from."""
    method: Literal["argmax", "itermax", "softmax"] = "argmax"
    """argmax: tokens that are each other's nearest. itermax: some more. softmax: tokens that are probable
    both ways."""
    unit: Literal["word", "token"] = "word"
    """word: compare means of words' tokens. token: compare tokens, and link words where any of theirs are."""
    gold: Path | None = None
    """A gold standard: lines of links, sure 0-0 and possible 0p0, or multi30k-en-de, which comes along. Print
    scores instead of links. AER is the alignment error rate."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Align and return the exit status."""
        from xformer.cli.results import progress_beside_results

        left, right = self._texts(self.left), self._texts(self.right)
        if len(left) != len(right):
            raise InputError(
                f"expected as many lines in both files, got {len(left):,} in {self.left}"
                f" and {len(right):,} in {self.right}"
            )
        with progress_beside_results() as progress, self.computing.using_threads():
            if self.gold is not None:
                from xformer.inspect.analysis.align_gold import gold_pairs
                from xformer.inspect.analysis.alignment_links import read_gold

                gold = read_gold(self.gold)
                pairs = gold_pairs(left, right, gold)
                self._score(self.computing.open(self.run), pairs, gold)
            else:
                pairs = list(zip(left, right, strict=True))
                self._align(self.computing.open(self.run), pairs, progress)
        return 0

    def _texts(self, path: Path) -> list[str]:
        return list(TextInput((path,)))

    def _layer(self, subject: Subject) -> int:
        layers = subject.config.n_layers
        if self.layer is None:
            return layers if subject.layer is None else subject.layer
        if not 0 <= self.layer <= layers:
            raise InputError(f"--layer: expected 0 to {layers}, got {self.layer}")
        return self.layer

    def _align(self, subject: Subject, pairs: Sequence[tuple[str, str]], progress: Progress) -> None:
        """Print the links of each pair."""
        from xformer.inspect.analysis.align_texts import align_by_states
        from xformer.inspect.analysis.alignment_links import to_pharaoh

        layer = self._layer(subject)
        for begin in range(0, len(pairs), _AT_ONCE):
            block = pairs[begin : begin + _AT_ONCE]
            for links in align_by_states(subject, block, self.method, unit=self.unit, layers=[layer])[0]:
                print(to_pharaoh(links))
            progress("align", begin + len(block), len(pairs))

    def _score(self, subject: Subject, pairs: Sequence[tuple[str, str]], gold: Sequence[Gold]) -> None:
        """Print the scores of the diagonal, of each layer's states, and of each head's attention."""
        from xformer.inspect.analysis.align_gold import choose, diagonals, score
        from xformer.inspect.analysis.align_texts import align_by_attention, align_by_states

        chosen = None if self.layer is None else self._layer(subject)
        layers = range(subject.config.n_layers + 1) if chosen is None else [chosen]
        states = align_by_states(subject, pairs, self.method, unit=self.unit, layers=list(layers))
        heads = align_by_attention(subject, pairs)
        print(f"{subject.name}: {len(pairs)} pairs, {sum(len(pair.sure) for pair in gold):,} sure links")
        print(f"\n{'':22} precision  recall      F1     AER   links")
        diagonal = diagonals(pairs)
        print(_row("the diagonal", score(diagonal, gold)))
        for layer, links in zip(layers, states, strict=True):
            print(_row(f"states, layer {layer}", score(links, gold)))
        print(f"\nAER of attention: a row for each layer from 0, a column for each of {len(heads[0])} heads")
        for layer, row in enumerate(heads):
            print(f"{layer:3}  " + " ".join(f"{score(links, gold).aer:6.3f}" for links in row))
        if len(gold) > 1:
            flat = [links for row in heads for links in row]
            print("\nChosen on every other pair, scored on those that had no part in it:")
            print(_chosen("the diagonal", choose([diagonal], gold)))
            best = choose(states, gold)
            print(_chosen(f"states, layer {list(layers)[best.index]}", best))
            best = choose(flat, gold)
            layer, head = divmod(best.index, subject.config.n_heads)
            print(_chosen(f"layer {layer}, head {head}", best))


def _row(name: str, scores: AlignmentScores) -> str:
    return (
        f"{name:22} {scores.precision:9.3f} {scores.recall:7.3f} {scores.f1:7.3f} {scores.aer:7.3f}"
        f" {scores.links:7,}"
    )


def _chosen(name: str, best: Choice) -> str:
    return f"{name:22} AER {best.seen.aer:.3f} where chosen, {best.unseen.aer:.3f} on the others"
