"""Compare what another runtime gives with what the run gives, on ragged batches of lengths of every kind.

Shapes: B sequences, N positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import open_corpus
from xformer.data.manifest import MANIFEST_NAME
from xformer.data.split import SPLITS
from xformer.errors import InputError
from xformer.interop.export.portable import PortableRun, Sequences
from xformer.progress import Progress
from xformer.runs.config import RunConfig

Feed = Mapping[str, NDArray[np.int64]]
Compute = Callable[[Feed], Mapping[str, NDArray[np.floating]]]
"""What a runtime gives, by the names of outputs, of what is fed by the names of inputs."""

LARGEST_ERROR = 5e-5
"""Of an output, as a share of its largest value."""
_LONGEST = 1024
"""Tokens of a sequence that is tried, where the model can read so many."""


@dataclass(frozen=True)
class Agreement:
    """How far apart the outputs were.

    Attributes:
        errors: the largest difference of each output, as a share of its largest value.
        batches: that were compared.
        sequences: in these, with those of padding alone.
        longest: sequence among them, in tokens.
    """

    errors: dict[str, float]
    batches: int
    sequences: int
    longest: int


def compare_outputs(source: PortableRun, compute: Compute, runtime: str, progress: Progress) -> Agreement:
    """Compare a runtime with the run: lengths 1, 2 and the longest, rows of padding alone, padding in front.

    Args:
        source: the run.
        compute: of the runtime.
        runtime: its name.
        progress: says what is done.

    Raises:
        InputError: an output differs by more than rounding, or is not a number; it is named.
    """
    errors: dict[str, float] = dict.fromkeys(source.spec.outputs, 0.0)
    batches = list(batches_of(source))
    for number, (texts, others, in_front) in enumerate(batches, 1):
        given = compute(feed(source, texts, others, in_front=in_front))
        mask = _padded(texts, in_front)[1].astype(bool)
        for name, value in source.compute(texts, others).items():
            ours, theirs = value.double().numpy(), given[name].astype(np.float64)
            of_tokens = "length" in source.spec.shape(name)
            if name == "last_hidden_state" and theirs[~mask].any():
                raise InputError(f"{runtime}: {name}: expected zeros at padding. Nothing was written")
            theirs = theirs[mask] if of_tokens else theirs
            scale = max(float(np.abs(ours).max(initial=0.0)), 1e-6)
            error = float(np.abs(ours - theirs).max(initial=0.0)) / scale
            if not error <= LARGEST_ERROR or ours.shape != theirs.shape:
                lengths = ", ".join(str(len(text)) for text in texts[:6])
                raise InputError(
                    f"{runtime}: {name} differs by {error:.1e} of its largest value, expected at most"
                    f" {LARGEST_ERROR:.0e}; texts of {lengths} tokens. Nothing was written"
                )
            errors[name] = max(errors[name], error)
        progress(f"compare with {runtime}", number, len(batches))
    longest = max(len(text) for texts, _, _ in batches for text in texts)
    return Agreement(errors, len(batches), sum(len(texts) for texts, _, _ in batches), longest)


def feed(
    source: PortableRun, texts: Sequences, others: Sequences = (), *, in_front: bool = False
) -> dict[str, NDArray[np.int64]]:
    """What a runtime is fed with for sequences of token ids: padded ids and masks."""
    parts = [*_padded(texts, in_front), *_padded(others, in_front)]
    return dict(zip(source.spec.inputs, parts, strict=False))


def corpus_texts(source: PortableRun, n_texts: int) -> list[str]:
    """Some texts of the run's corpus, held-out ones first; none where it is not at hand."""
    places = [source.run.corpus]
    if isinstance(source.config, RunConfig):
        places.append(Path(source.config.data.corpus))
    for place in places:
        if (place / MANIFEST_NAME).is_file():
            corpus, order = open_corpus(place), sorted(SPLITS, key=("test", "dev", "train").index)
            records = (record for split in order for record in corpus.records(split))
            return [record.text for record in islice(records, n_texts)]
    return []


def batches_of(source: PortableRun) -> Iterator[tuple[Sequences, Sequences, bool]]:
    """What is compared: texts, the second ones of pairs, and whether padding is in front."""
    random = np.random.default_rng(0)
    whole = max(source.max_length, min(source.spec.config.max_length, _LONGEST))
    mixed = (source.max_length, 1, 0, 2, source.max_length // 2 + 1, 7, 3)
    for lengths, in_front in (
        ((1,), False),
        ((2,), False),
        ((whole,), False),
        (mixed, False),
        (mixed, True),
        ((0, 0), False),
        ((5, 5, 5), False),
    ):
        made = [
            [random.integers(0, source.tokenizer.vocab_size, min(n, whole)) for n in order]
            for order in (lengths, lengths[::-1])
        ]
        yield made[0], made[1], in_front
    texts = corpus_texts(source, 32)
    rows = [row.astype(np.int64) for row in source.tokenizer.sequences(texts, source.max_length, 1)[0]]
    for begin in range(0, len(rows), 8):
        some = rows[begin : begin + 8]
        yield some, some[::-1], False


def _padded(texts: Sequences, in_front: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask (B, N); at padding stands some token, since nothing may depend on it."""
    longest = max((len(text) for text in texts), default=0) or 3
    ids, mask = np.full((len(texts), longest), 3), np.zeros((len(texts), longest), dtype=np.int64)
    for row, text in enumerate(texts):
        place = slice(longest - len(text), longest) if in_front else slice(0, len(text))
        ids[row, place], mask[row, place] = text, 1
    return ids, mask
