"""Evaluation of a model on text from outside its run, layer by layer, beside its baselines.

Shapes: E examples, C vector width.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xformer.data.languages import language_name
from xformer.data.reporting import ProgressCallback, reported
from xformer.embedding.encode import SentenceEncoder, encode_tokens, encode_tokens_by_layer
from xformer.evaluation.evaluate import untrained_model
from xformer.evaluation.outside.bits import outside_bits
from xformer.evaluation.outside.bootstrap import RESAMPLES, amount, interval
from xformer.evaluation.outside.report import (
    MeanScores,
    OutsideReport,
    Overlap,
    PairScores,
    Score,
    Which,
)
from xformer.evaluation.outside.subject import BAG, MODEL, TRIGRAMS, UNTRAINED, Subject
from xformer.evaluation.outside.texts import ComparedSet, OutsideTexts
from xformer.evaluation.outside.trigrams import Trigrams
from xformer.evaluation.parallel_texts import text_numbers
from xformer.evaluation.retrieval import LanguageRetrieval, Retrieval


def evaluate_outside(
    subject: Subject,
    texts: OutsideTexts,
    overlap: Overlap | None,
    asked: Mapping[str, str | int | bool | None],
    progress: ProgressCallback | None = None,
) -> OutsideReport:
    """Measure retrieval by layer and bits per byte.

    Args:
        subject: the model.
        texts: what to measure on.
        overlap: of the texts with the training corpus; only reported.
        asked: the options of the user; only reported.
        progress: called with (what, texts done, texts in all).
    """
    seconds: dict[str, float] = {}
    counts = np.bincount(np.asarray(subject.train.language), minlength=len(subject.train.languages))
    seen = {tag for tag, count in zip(subject.train.languages, counts.tolist(), strict=True) if count}
    pairs: list[PairScores] = []
    means: list[MeanScores] = []
    notes = list(texts.notes)
    if texts.sets:
        with _timed(seconds, "retrieval"):
            vectors = _vectors(subject, texts, progress)
        with _timed(seconds, "comparison"):
            found = [
                _compare(one, vectors, texts, subject.baselines)
                for one in reported(texts.sets, "compare", len(texts.sets), progress)
            ]
        rows = [row for one, by_name in zip(texts.sets, found, strict=True) for row in _rows(one, by_name)]
        pairs = [row.scores(seen, subject.layer.layer, subject.seed) for row in rows]
        means = _means(pairs, subject.seed)
        notes += _left_out(texts.sets, [by_name[0] for by_name in found])
    bits = None
    if subject.bits:
        with _timed(seconds, "bits_per_byte"):
            bits = outside_bits(subject, texts, seen, progress)
    tags = (
        {one.language for one in pairs} | {one.pivot for one in pairs} | set(bits.languages if bits else ())
    )
    return OutsideReport(
        name=texts.name,
        split=texts.split,
        sha256=texts.sha256,
        step=subject.layer.step,
        texts=len(texts.records),
        layer=subject.layer.layer,
        seed=subject.seed,
        resamples=RESAMPLES,
        pairs=pairs,
        means=means,
        bits=bits,
        bag=subject.bag.record if subject.bag is not None and subject.baselines else None,
        overlap=overlap,
        tags=texts.tags,
        names={tag: language_name(tag) for tag in sorted(tags)},
        notes=notes,
        asked=dict(asked),
        seconds=seconds,
    )


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[what] = round(time.monotonic() - began, 2)


@dataclass(frozen=True)
class _Vectors:
    """Unit vectors of each different sequence of tokens, and which of them each example has.

    Attributes:
        number: by example.
        by_layer: of the model.
        others: of the baselines, by name.
    """

    number: dict[int, int]
    by_layer: list[Tensor]
    others: dict[str, Tensor]


def _vectors(subject: Subject, texts: OutsideTexts, progress: ProgressCallback | None) -> _Vectors:
    """Encode what is compared; English sentences that stand in a hundred pairs are encoded once."""
    examples = np.unique(np.concatenate([one.texts.examples for one in texts.sets]))
    sequences = texts.shards.take(examples)
    numbers = text_numbers(sequences)
    _, first = np.unique(numbers, return_index=True)
    distinct = [sequences[place] for place in first.tolist()]

    def encode(
        encoder: SentenceEncoder, what: str, device: torch.device | str, n_layers: int | None
    ) -> Tensor:
        return encode_tokens(
            encoder,
            distinct,
            batch_tokens=subject.batch_tokens,
            n_layers=n_layers,
            device=device,
            progress=progress,
            what=f"encode: {what}",
        )

    by_layer = encode_tokens_by_layer(
        subject.model,
        distinct,
        batch_tokens=subject.batch_tokens,
        device=subject.device,
        progress=progress,
        what="encode: model, every layer",
    )
    others: dict[str, Tensor] = {}
    if subject.baselines:
        if subject.bag is not None:
            others[BAG] = encode(subject.bag.bag, "bag of subwords", "cpu", None)
        untrained, n_layers = untrained_model(subject.model, subject.seed)
        others[UNTRAINED] = encode(untrained.to(subject.device), "untrained model", subject.device, n_layers)
    return _Vectors(dict(zip(examples.tolist(), numbers.tolist(), strict=True)), by_layer, others)


def _compare(
    one: ComparedSet, vectors: _Vectors, texts: OutsideTexts, baselines: bool
) -> dict[str | int, Retrieval]:
    """Retrieval of the model after each number of blocks, and of the baselines by name."""
    rows = torch.tensor(
        [vectors.number[example] for example in one.texts.examples.tolist()], dtype=torch.long
    )
    found: dict[str | int, Retrieval] = {
        layer: one.texts.retrieval(each[rows]) for layer, each in enumerate(vectors.by_layer)
    }
    for name, each in vectors.others.items():
        found[name] = one.texts.retrieval(each[rows])
    if baselines:
        places = np.asarray(texts.shards.record)[one.texts.examples].tolist()
        found[TRIGRAMS] = one.texts.retrieval(Trigrams([texts.records[place].text for place in places]))
    return found


@dataclass(frozen=True)
class _Row:
    """What was found of one language of a set, by layer and by name of the baselines."""

    compared: ComparedSet
    language: str
    pivot: str
    found: dict[str | int, LanguageRetrieval]

    def scores(self, seen: set[str], layer: int, seed: int) -> PairScores:
        by_layer = [one for name, one in self.found.items() if isinstance(name, int)]
        named = {MODEL: by_layer[layer]}
        named |= {name: one for name, one in self.found.items() if isinstance(name, str)}
        return PairScores(
            set=self.compared.name,
            label=self.compared.label,
            language=self.language,
            pivot=self.pivot,
            seen=self.language in seen,
            messages=by_layer[0].messages,
            scores={name: _score(one, seed) for name, one in named.items()},
            by_layer=[one.top1 for one in by_layer],
        )


def _rows(one: ComparedSet, found: Mapping[str | int, Retrieval]) -> list[_Row]:
    names = one.texts.shards.languages
    columns = zip(*(each.languages for each in found.values()), strict=True)
    return [
        _Row(one, names[row[0].language], names[one.texts.pivot], dict(zip(found, row, strict=True)))
        for row in columns
    ]


def _left_out(sets: Sequence[ComparedSet], found: Sequence[Retrieval]) -> list[str]:
    """Sentences about languages with too few messages."""
    notes = []
    for one, retrieved in zip(sets, found, strict=True):
        names = one.texts.shards.languages
        few = ", ".join(f"{names[number]} {messages}" for number, messages in retrieved.left_out.items())
        if few:
            notes.append(f"{one.label}: left out, with fewer than {one.texts.min_messages} messages: {few}")
    return notes


def _score(one: LanguageRetrieval, seed: int) -> Score:
    low, high = interval(one.hits, seed) or (None, None)
    return Score(one.top1, low, high, one.to_pivot.top1, one.from_pivot.top1, one.mrr)


def _means(pairs: Sequence[PairScores], seed: int) -> list[MeanScores]:
    """By set and pivot: of all languages, of those seen in training, and of the others."""
    found = []
    for name, pivot in dict.fromkeys((one.set, one.pivot) for one in pairs):
        both = [one for one in pairs if (one.set, one.pivot) == (name, pivot)]
        kinds: dict[Which, list[PairScores]] = {
            "all": both,
            "seen": [one for one in both if one.seen],
            "unseen": [one for one in both if not one.seen],
        }
        for which, members in kinds.items():
            if members:
                found.append(_mean(name, pivot, which, members, seed))
    return found


def _mean(name: str, pivot: str, which: Which, members: Sequence[PairScores], seed: int) -> MeanScores:
    names = members[0].scores
    scores = {of: _mean_score([one.scores[of] for one in members], seed) for of in names}
    layers = range(len(members[0].by_layer))
    over_bag = None
    if BAG in names:
        over_bag = amount([one.scores[MODEL].top1 - one.scores[BAG].top1 for one in members], seed)
    return MeanScores(
        set=name,
        pivot=pivot,
        which=which,
        languages=len(members),
        scores=scores,
        by_layer=[amount([one.by_layer[layer] for one in members], seed) for layer in layers],
        over_bag=over_bag,
    )


def _mean_score(scores: Sequence[Score], seed: int) -> Score:
    top1 = amount([one.top1 for one in scores], seed)
    parts = ([getattr(one, part) for one in scores] for part in ("to_pivot_top1", "from_pivot_top1", "mrr"))
    to_pivot, from_pivot, mrr = (float(np.mean(part)) for part in parts)
    return Score(top1.value, top1.low, top1.high, to_pivot, from_pivot, mrr)
