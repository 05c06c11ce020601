"""Fairness of a vocabulary: the number of subwords for the same content in each language.

A language with more subwords for the same text has shorter contexts, slower and more expensive runs, and
learns less from each batch (Petrov et al. 2023, "Language Model Tokenizers Introduce Unfairness Between
Languages"; Ahia et al. 2023).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from statistics import fmean

import numpy as np

from .balance import start
from .errors import TokenizerError
from .model import Ids, Tokenizer
from .pieces import is_unspaced
from .special import FIRST_BYTE_ID, UNK_ID

ParallelTexts = Iterable["tuple[str, str, Hashable | None]"]
"""`(language, text, group)`: texts of one group are translations; None for a text without translation."""

_BATCH = 4096
_WHITE_SPACE_BYTES = [FIRST_BYTE_ID + byte for byte in b"\t\n\v\f\r "]


@dataclass(frozen=True)
class LanguageFairness:
    """The measures of one language, over all its texts. A ratio without meaning is None.

    Attributes:
        language: its tag.
        texts: number of texts.
        characters: Unicode characters.
        bytes: UTF-8 bytes.
        tokens: subwords, without `<s>` and `</s>`.
        tokens_per_word: subwords per white-space separated word ("fertility"); None if most letters belong to
            a script written without spaces.
        tokens_per_character: subwords per character.
        tokens_per_byte: subwords per UTF-8 byte.
        parity: subwords in the groups shared with the pivot, divided by the pivot's subwords in these groups;
            2 means twice as many. Several texts of one language in a group are averaged.
        parity_groups: number of these groups.
        byte_fallback: share of bytes encoded as byte pieces, without white space.
        unknown: share of tokens that are `<unk>`; 0 in a correct vocabulary.
        round_trip_loss: share of texts that decoding does not restore exactly; 0 without normalisation.
    """

    language: str
    texts: int
    characters: int
    bytes: int
    tokens: int
    tokens_per_word: float | None
    tokens_per_character: float | None
    tokens_per_byte: float | None
    parity: float | None
    parity_groups: int
    byte_fallback: float
    unknown: float
    round_trip_loss: float


@dataclass(frozen=True)
class FairnessReport:
    """The measures of all languages, the highest parity first (then the most subwords per character).

    Attributes:
        pivot: the language that the others are compared with.
        tokenizer: kind, size, normalisation and fingerprint of the vocabulary.
        rows: one per language.
    """

    pivot: str
    tokenizer: str
    rows: tuple[LanguageFairness, ...]

    @property
    def mean_parity(self) -> float | None:
        """Mean parity of the languages, other than the pivot, that share groups with it."""
        values = [row.parity for row in self.rows if row.parity is not None and row.language != self.pivot]
        return sum(values) / len(values) if values else None

    @property
    def worst(self) -> LanguageFairness | None:
        """The language with the highest parity."""
        measured = [row for row in self.rows if row.parity is not None]
        return max(measured, key=lambda row: row.parity or 0.0, default=None)

    def to_json(self) -> str:
        """One JSON object: `pivot`, `tokenizer`, `mean_parity`, `worst`, and `languages` by tag."""
        worst = self.worst
        return json.dumps(
            {
                "pivot": self.pivot,
                "tokenizer": self.tokenizer,
                "mean_parity": self.mean_parity,
                "worst": worst.language if worst else None,
                "languages": {row.pop("language"): row for row in map(asdict, self.rows)},
            },
            ensure_ascii=False,
            indent=2,
        )

    def to_text(self) -> str:
        """A table with one line per language, and a legend."""
        columns = {
            "language": [row.language for row in self.rows],
            "texts": [f"{row.texts:,}" for row in self.rows],
            "parity": [_number(row.parity) for row in self.rows],
            "tok/word": [_number(row.tokens_per_word) for row in self.rows],
            "tok/char": [_number(row.tokens_per_character) for row in self.rows],
            "tok/byte": [_number(row.tokens_per_byte, 3) for row in self.rows],
            "byte fallback": [f"{row.byte_fallback:.2%}" for row in self.rows],
            "loss": [f"{row.round_trip_loss:.2%}" for row in self.rows],
        }
        padded: list[list[str]] = []
        for name, cells in columns.items():
            width = max(map(len, [name, *cells]))
            align = str.rjust if padded else str.ljust
            padded.append([align(cell, width) for cell in [name, "-" * width, *cells]])
        table = ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
        unknown = sum(row.unknown * row.tokens for row in self.rows)
        legend = [
            "",
            f"{self.tokenizer}; mean parity with {self.pivot}: {_number(self.mean_parity)}",
            f"parity: tokens for the same messages, divided by those of {self.pivot};",
            "tok/word: – if words are not separated by spaces; "
            "byte fallback: share of bytes encoded as byte pieces;",
            "loss: share of texts that decoding does not restore exactly.",
        ]
        if unknown:
            legend.append(f"{round(unknown):,} tokens are <unk>: this vocabulary lacks byte pieces.")
        return "\n".join([*table, *legend]) + "\n"


def measure_fairness(
    tokenizer: Tokenizer,
    texts: ParallelTexts | Callable[[], ParallelTexts],
    *,
    pivot: str = "en",
    progress: Callable[[str, int, int | None], None] | None = None,
) -> FairnessReport:
    """Measure a vocabulary on texts of many languages, in two passes.

    Memory holds the subword counts of the pivot's groups and, per language, of the groups shared with it.

    Args:
        tokenizer: the vocabulary.
        texts: `(language, text, group)` that can be iterated twice, or a function that returns a new
            iterable. Use text that the vocabulary was not trained on.
        pivot: the language to compare with; without a text of it every parity is None.
        progress: called with the number of texts measured.

    Raises:
        TokenizerError: no text, an iterator that can be read only once, or text that is not Unicode.
    """
    pivot_counts: defaultdict[Hashable, list[int]] = defaultdict(list)
    for batch in _batches(row for row in start(texts) if row[0] == pivot and row[2] is not None):
        for (_, _, group), ids in zip(batch, tokenizer.encode_batch([row[1] for row in batch]), strict=True):
            pivot_counts[group].append(len(ids))
    is_spelled = tokenizer.is_byte()
    is_spelled[_WHITE_SPACE_BYTES] = False
    tallies: dict[str, _Tally] = {}
    done = 0
    for batch in _batches(start(texts)):
        rows = tokenizer.encode_batch([text for _, text, _ in batch])
        for (language, text, group), ids, back in zip(batch, rows, tokenizer.decode_batch(rows), strict=True):
            tally = tallies.setdefault(language, _Tally())
            tally.add(text, ids, back, int(is_spelled[ids].sum()))
            if group in pivot_counts:
                tally.groups[group].append(len(ids))
        done += len(batch)
        if progress is not None:
            progress("measuring fairness", done, None)
    if not tallies:
        raise TokenizerError("texts: expected at least one text, got none")
    measured = [tally.row(language, pivot_counts) for language, tally in tallies.items()]
    measured.sort(key=lambda row: (-(row.parity or 0.0), -(row.tokens_per_character or 0.0), row.language))
    return FairnessReport(pivot=pivot, tokenizer=_described(tokenizer), rows=tuple(measured))


class _Tally:
    """Amounts of one language, and the subwords of its texts by group."""

    def __init__(self) -> None:
        self.amounts: Counter[str] = Counter()
        self.groups: defaultdict[Hashable, list[int]] = defaultdict(list)

    def add(self, text: str, ids: Ids, back: str, spelled: int) -> None:
        self.amounts.update(
            texts=1,
            characters=len(text),
            bytes=len(text.encode()),
            words=len(text.split()),
            letters=sum(map(str.isalpha, text)),
            unspaced=0 if text.isascii() else sum(map(is_unspaced, text)),
            tokens=len(ids),
            spelled=spelled,
            unknown=int(np.count_nonzero(ids == UNK_ID)),
            lost=back != text,
        )

    def row(self, language: str, pivot_counts: Mapping[Hashable, list[int]]) -> LanguageFairness:
        amounts = self.amounts
        tokens, n_bytes = amounts["tokens"], amounts["bytes"]
        spaced = 2 * amounts["unspaced"] < amounts["letters"]
        shared = sum(fmean(pivot_counts[group]) for group in self.groups)
        return LanguageFairness(
            language=language,
            texts=amounts["texts"],
            characters=amounts["characters"],
            bytes=n_bytes,
            tokens=tokens,
            tokens_per_word=_ratio(tokens, amounts["words"]) if spaced else None,
            tokens_per_character=_ratio(tokens, amounts["characters"]),
            tokens_per_byte=_ratio(tokens, n_bytes),
            parity=_ratio(sum(map(fmean, self.groups.values())), shared),
            parity_groups=len(self.groups),
            byte_fallback=_ratio(amounts["spelled"], n_bytes) or 0.0,
            unknown=_ratio(amounts["unknown"], tokens) or 0.0,
            round_trip_loss=amounts["lost"] / amounts["texts"],
        )


def _ratio(amount: float, of: float) -> float | None:
    return amount / of if of else None


def _batches(rows: ParallelTexts) -> Iterator[list[tuple[str, str, Hashable | None]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _described(tokenizer: Tokenizer) -> str:
    normalization = (
        "not normalised" if tokenizer.normalization == "identity" else tokenizer.normalization.upper()
    )
    name = {"unigram": "Unigram", "bpe": "BPE"}[tokenizer.model]
    return f"{name}, {tokenizer.vocab_size:,} pieces, {normalization}, {tokenizer.fingerprint()[:12]}"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
