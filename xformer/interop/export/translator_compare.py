"""Compare an exported translator, opened by transformers, with its run: ids, logits, translations.

Shapes: B texts, S tokens of a source, T of a target, V rows of the embedding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xformer.data.translated import direction_named
from xformer.errors import InputError
from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions
from xformer.interop.export.fuzz import SCRIPTS, fuzzed_lines
from xformer.interop.export.ids import IdComparison
from xformer.interop.export.packages import require_packages
from xformer.interop.export.quiet import quiet
from xformer.interop.huggingface.translation_tokenizer import found_in_text, tag_of
from xformer.model.packed import pack
from xformer.model.seq2seq import Seq2Seq
from xformer.progress import Progress
from xformer.tokenizer import Tokenizer
from xformer.translation.evaluate import kept_translations
from xformer.translation.load import TranslationRun
from xformer.translation.train import never_generated

BEAMS = (1, 4)
_LARGEST_ERROR = 1e-5
"""Of logits, as a share of the largest."""
_REAL, _MADE, _BATCH, _LINES_AT_ONCE = 48, 16, 16, 1_000
"""Texts of the run and made up that are translated, in batches; lines whose ids are compared at once."""
_LONGEST_MADE = 24
"""Tokens of a text that is made up: what it becomes may never end."""


@dataclass(frozen=True)
class TranslatorComparison:
    """What was compared, and how far apart it was.

    Attributes:
        versions: of the libraries.
        test_lines: test texts of the run whose token ids were compared.
        fuzzed_lines: that were made up.
        scripts: in these.
        ties: lines where two cuts are equally probable, and the libraries take different ones.
        texts: that were translated, greedily and with a beam of 4.
        logits_error: largest difference, as a share of the largest.
        rounded: translations that differ in float32 and are the same in float64.
    """

    versions: dict[str, str]
    test_lines: int
    fuzzed_lines: int
    scripts: int
    ties: int
    texts: int
    logits_error: float
    rounded: int


@dataclass(frozen=True)
class _Text:
    """A text to translate, and the language to write."""

    text: str
    target: str

    @property
    def tagged(self) -> str:
        return f"{tag_of(self.target)} {self.text}"


def compare_translator(
    opened: TranslationRun, folder: Path, n_lines: int, progress: Progress
) -> TranslatorComparison:
    """Compare a folder with its run.

    Args:
        opened: the run.
        folder: what was written.
        n_lines: random lines on which token ids are compared.
        progress: what is done.

    Raises:
        InputError: they differ, by more than rounding or a tie of two cuts; the message names the text.
    """
    versions = require_packages(("transformers", "tokenizers"), "hf")
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    targets, real = opened.config.translation.targets, _test_texts(opened)
    lines = (line for line in fuzzed_lines(0, n_lines, [one.text for one in real]))
    names = found_in_text(targets)
    # A line with nothing but white space is not translated.
    lines = (line for line in lines if line.strip() and not any(name in line for name in names))
    made = [_Text(line, target) for line, target in zip(lines, cycle(targets), strict=False)]
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ties = _compare_ids(opened, tokenizer, [*real, *made], progress)
        short = (one for one in made if len(opened.tokenizer.encode(one.text)) <= _LONGEST_MADE)
        chosen = [*real[:: max(1, len(real) // _REAL)][:_REAL], *islice(short, _MADE)]
        model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        pair = _Pair(opened, tokenizer, model)
        error, rounded = 0.0, 0
        for begin in range(0, len(chosen), _BATCH):
            some = chosen[begin : begin + _BATCH]
            error = max(error, pair.logits_error(some))
            rounded += sum(pair.compare_translations(some, beam) for beam in BEAMS)
            progress("compare translations", begin + len(some), len(chosen))
    return TranslatorComparison(
        versions, len(real), len(made), len(SCRIPTS), ties, len(chosen), error, rounded
    )


def _test_texts(opened: TranslationRun) -> list[_Text]:
    """The test texts that the run keeps and can read; none if it was not tested."""
    run, names = opened.run, found_in_text(opened.config.translation.targets)
    if not (run.translations.is_dir() and any(run.translations.glob("*.jsonl"))):
        return []
    found = [
        _Text(pair.source, direction_named(name).target)
        for name, pairs in kept_translations(run).items()
        for pair in pairs
    ]
    return [one for one in found if one.text.strip() and not any(name in one.text for name in names)]


def _compare_ids(opened: TranslationRun, theirs: Any, texts: Sequence[_Text], progress: Progress) -> int:
    """The number of ties."""
    assert isinstance(opened.tokenizer, Tokenizer)
    found, vocabulary = IdComparison(opened.tokenizer, masks=False), opened.vocabulary
    for begin in range(0, len(texts), _LINES_AT_ONCE):
        some = texts[begin : begin + _LINES_AT_ONCE]
        rows = theirs([one.tagged for one in some], verbose=False)["input_ids"]
        for one, row in zip(some, rows, strict=True):
            around, expected = [*row[:1], *row[-1:]], [vocabulary.tag(one.target), vocabulary.end]
            if around != expected:
                raise InputError(
                    f"token ids of the exported tokenizer differ: {one.tagged!r} begins and ends with"
                    f" {around} there, expected {expected}. Nothing was written"
                )
        found.add([one.text for one in some], [row[1:-1] for row in rows])
        progress("compare ids", begin + len(some), len(texts))
    return len(found.ties)


class _Pair:
    """A run's model and the one that transformers opened."""

    def __init__(self, opened: TranslationRun, tokenizer: Any, model: Any) -> None:
        self._opened, self._tokenizer, self._theirs = opened, tokenizer, model
        self._never = never_generated(opened.tokenizer, opened.vocabulary)

    @torch.no_grad()
    def logits_error(self, texts: Sequence[_Text]) -> float:
        """The largest difference of logits, given our translations.

        Raises:
            InputError: it is too large.
        """
        sources, pad = self._sources(texts), self._theirs.config.pad_token_id
        ours, end = self._opened.model, self._opened.vocabulary.end
        targets = [[*tokens, end] for tokens in self._translated(ours, sources, BEAMS[-1])]
        hidden = ours(pack(sources, sort=False), pack(targets, sort=False))
        before = _padded([[pad, *target[:-1]] for target in targets], pad)
        out: Tensor = self._theirs(**self._inputs(sources), decoder_input_ids=before).logits  # (B, T, V+1)
        rows = torch.cat([row[: len(target)] for row, target in zip(out, targets, strict=True)])
        kept = [token for token in range(self._opened.vocabulary.rows) if token not in self._never]
        mine = ours.logits(hidden)[:, kept]
        error = float((mine - rows[:, kept]).abs().max() / mine.abs().max())
        if not error <= _LARGEST_ERROR:
            raise InputError(
                f"logits of the exported model differ by {error:.1e} of the largest, expected at most"
                f" {_LARGEST_ERROR:.0e}; first text of the batch: {texts[0].tagged!r}. Nothing was written"
            )
        return error

    def compare_translations(self, texts: Sequence[_Text], beam: int) -> int:
        """How many translations differ by rounding alone.

        Raises:
            InputError: one differs, in float64 as well.
        """
        sources = self._sources(texts)
        ours = self._translated(self._opened.model, sources, beam)
        theirs = self._generated(self._theirs, sources, beam)
        differ = [
            number for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)) if mine != other
        ]
        if differ:
            # Where two continuations are as good as equally probable, rounding decides in float32.
            some = [sources[number] for number in differ]
            exact = self._translated(copy.deepcopy(self._opened.model).double(), some, beam)
            their_exact = self._generated(copy.deepcopy(self._theirs).double(), some, beam)
            for number, mine, other in zip(differ, exact, their_exact, strict=True):
                self._require_same(texts[number], beam, mine, other)
        for one, tokens in zip(texts, ours, strict=True):
            here = self._opened.tokenizer.decode(tokens)
            there = self._tokenizer.decode([*tokens, self._opened.vocabulary.end], skip_special_tokens=True)
            # Of bytes that are not all UTF-8 we write what is; `tokenizers` writes one such sign for each.
            broken = all("\ufffd" in text for text in (here, there))
            if here != there and not broken:
                raise InputError(
                    f"{one.tagged!r}: its translation is written {here!r} here and {there!r} by the exported"
                    " tokenizer. Nothing was written"
                )
        return len(differ)

    def _require_same(self, one: _Text, beam: int, ours: list[int], theirs: list[int]) -> None:
        if ours != theirs:
            decode = self._opened.tokenizer.decode
            raise InputError(
                f"{one.tagged!r} with a beam of {beam}: expected {decode(ours)!r} from the exported model,"
                f" got {decode([token for token in theirs if token < self._opened.vocabulary.pieces])!r}."
                " Nothing was written"
            )

    def _sources(self, texts: Sequence[_Text]) -> list[list[int]]:
        encode, source = self._opened.tokenizer.encode, self._opened.vocabulary.source
        return [source(encode(one.text), one.target) for one in texts]

    def _inputs(self, sources: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        pad = self._theirs.config.pad_token_id
        ids = _padded(sources, pad)
        return {"input_ids": ids, "attention_mask": (ids != pad).long()}

    def _translated(self, model: Seq2Seq, sources: list[list[int]], beam: int) -> list[list[int]]:
        length = self._opened.config.translation.room(max(map(len, sources)))
        options = GenerationOptions(beam=beam, max_length=length, suppress=self._never)
        return [list(its[0].tokens) for its in generate(model, sources, options)]

    def _generated(self, model: Any, sources: list[list[int]], beam: int) -> list[list[int]]:
        """What transformers generates, up to the end."""
        length, end = (
            self._opened.config.translation.room(max(map(len, sources))),
            self._opened.vocabulary.end,
        )
        found = []
        with torch.no_grad():
            # All but the width and the length is as `generation_config.json` says.
            rows = model.generate(
                **self._inputs(sources),
                num_beams=beam,
                early_stopping=beam > 1,
                max_length=None,
                max_new_tokens=length,
            )
        for row in rows[:, 1:].tolist():
            ends = [place for place, token in enumerate(row) if token in (end, model.config.pad_token_id)]
            found.append(row[: ends[0]] if ends else row)
        return found


def _padded(rows: Sequence[Sequence[int]], pad: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
