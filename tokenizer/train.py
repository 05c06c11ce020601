"""Vocabulary training with SentencePiece, on a bounded, balanced and reproducible sample."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sentencepiece import SentencePieceTrainer

from .balance import LabelledTexts, LanguageShare, draw_sample, plan_sample, start
from .errors import TokenizerError, VocabularySizeError
from .model import Tokenizer
from .normalize import normalize
from .options import Normalization, TokenizerOptions, suitable_vocabulary
from .proto import with_rounded_scores
from .special import BOS_ID, EOS_ID, MASK_ID, PAD_ID, SPECIAL_PIECES, UNK_ID
from .training_process import train_apart

Progress = Callable[[str, int, int | None], None]
"""Called with the name of the work, the units done, and the units in all (None: unknown)."""

T = TypeVar("T")

_REPORT_EVERY = 4096

_APART = 1 << 22
"""Bytes of text from which training takes ten seconds or more: a process of its own is worth its start."""

SCORE_STEP = 2.0**-10
"""Scores of a unigram model are multiples of this, in nats.

Sums of such numbers are exact in float32 up to 2¹⁴, which a text of a thousand pieces reaches. So where two
cuts are equally probable, as of a run of one letter, no rounding decides between them, but the order in which
they are found: it is the same in all releases of SentencePiece, and in `tokenizers`, which adds in float64.
"""

# SentencePiece skips lines with these characters, or uses them as its own marks: NUL, tab (boundary), U+2585
# (unknown character) and U+2581 (space). In training they become spaces; in encoding they become byte pieces.
_RESERVED = re.compile("[\x00\t\u2581\u2585]")


def train_tokenizer(
    texts: LabelledTexts,
    options: TokenizerOptions | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    on_plan: Callable[[Mapping[str, LanguageShare]], None] | None = None,
) -> Tokenizer:
    """Train a shared vocabulary on text of many languages.

    Args:
        texts: `(language, text)` pairs that can be iterated twice, or a function that returns a new iterable.
        options: by default those of `TokenizerOptions`.
        path: where to write the model, atomically; None to return it only.
        progress: called while counting, reading and training; see `train_apart` for larger samples.
        on_plan: called with the share of each language before training starts.

    Returns:
        The tokenizer.

    Raises:
        VocabularySizeError: the vocabulary size is too large for the text or too small for its characters;
            `fit_tokenizer` finds one that fits.
        TokenizerError: no text, or text that is not Unicode.
    """
    options = options or TokenizerOptions()
    report = progress or (lambda stage, done, total: None)
    plan = plan_sample(
        lambda: _counted(start(texts), "counting texts", None, report),
        alpha=options.alpha,
        sample_bytes=options.sample_bytes,
        max_repeats=options.max_repeats,
    )
    if on_plan is not None:
        on_plan(plan)
    if options.vocabulary_size is None:
        n_bytes = sum(share.bytes for share in plan.values())
        options = replace(options, vocabulary_size=suitable_vocabulary(n_bytes))
    assert options.vocabulary_size is not None
    drawn = _counted(
        draw_sample(texts, plan, options.seed),
        "sampling texts",
        sum(share.draws for share in plan.values()),
        report,
    )
    sentences = _sentences(drawn, options.normalization, options.max_sentence_bytes)
    apart = min(options.sample_bytes, sum(share.bytes for share in plan.values())) >= _APART
    # SentencePiece replaces exceptions of its iterator by its own; the original one is kept here.
    failures: list[BaseException] = []
    try:
        model = (
            train_apart(sentences, _settings(options), report)
            if apart
            else _train_here(_watched(sentences, report, failures), _settings(options))
        )
    except (RuntimeError, ValueError, OSError) as error:
        if failures:
            raise failures[0] from None
        raise _explained(error, options) from error
    if options.model == "unigram":
        model = with_rounded_scores(model, SCORE_STEP)
    tokenizer = Tokenizer.from_bytes(model, normalization=options.normalization)
    if tokenizer.vocab_size != options.vocabulary_size:
        # Only with BPE, which runs out of merges without an error.
        raise _too_many_pieces(options, tokenizer.vocab_size)
    if not apart:
        report("training vocabulary", tokenizer.vocab_size, tokenizer.vocab_size)
    if path is not None:
        tokenizer.save(path)
    return tokenizer


def _settings(options: TokenizerOptions) -> dict[str, Any]:
    """The arguments of SentencePiece's trainer, but for its input and output."""
    assert options.vocabulary_size is not None
    return {
        "model_type": options.model,
        "vocab_size": options.vocabulary_size,
        "character_coverage": options.character_coverage,
        # In long lines without spaces, the space in front is so rare that the coverage would drop it.
        "required_chars": "\u2581",
        "max_sentencepiece_length": options.max_piece_characters,
        "num_threads": options.threads,
        # SentencePiece's default is a million candidates for any size. Ten per piece halve the time and,
        # on 52 languages with 16,384 pieces, describe unseen text better: 3.18 bits per byte, not 3.20.
        "seed_sentencepiece_size": 10 * options.vocabulary_size,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": True,
        "bos_id": BOS_ID,
        "pad_id": PAD_ID,
        "eos_id": EOS_ID,
        "unk_id": UNK_ID,
        "bos_piece": SPECIAL_PIECES[BOS_ID],
        "pad_piece": SPECIAL_PIECES[PAD_ID],
        "eos_piece": SPECIAL_PIECES[EOS_ID],
        "unk_piece": SPECIAL_PIECES[UNK_ID],
        "control_symbols": SPECIAL_PIECES[MASK_ID],
        # SentencePiece must use the whole sample in its order.
        "input_sentence_size": 0,
        "shuffle_input_sentence": False,
        "max_sentence_length": 2 * options.max_sentence_bytes,
    }


def _train_here(sentences: Iterator[str], settings: dict[str, Any]) -> bytes:
    model = io.BytesIO()
    SentencePieceTrainer.train(sentence_iterator=sentences, model_writer=model, minloglevel=2, **settings)
    return model.getvalue()


def _counted(items: Iterable[T], stage: str, total: int | None, report: Progress) -> Iterator[T]:
    done = 0
    for item in items:
        yield item
        done += 1
        if done % _REPORT_EVERY == 0:
            report(stage, done, total)
    report(stage, done, done)


def _watched(sentences: Iterator[str], report: Progress, failures: list[BaseException]) -> Iterator[str]:
    try:
        yield from sentences
    except BaseException as error:
        failures.append(error)
        raise
    # SentencePiece reads all sentences and then trains without any report.
    report("training vocabulary", 0, None)


def _sentences(texts: Iterable[str], normalization: Normalization, max_bytes: int) -> Iterator[str]:
    """Lines for SentencePiece: normalised, without its reserved characters, at most `max_bytes` long."""
    for text in texts:
        for line in normalize(text, normalization).split("\n"):
            clean = _RESERVED.sub(" ", line).strip(" \r")
            if not clean:
                continue
            if 4 * len(clean) <= max_bytes or len(clean.encode()) <= max_bytes:
                yield clean
            else:
                yield from _cut(clean, max_bytes)


def _cut(line: str, max_bytes: int) -> Iterator[str]:
    """Cut a long line before a space in the last half of a chunk, or else between characters."""
    at_most = max_bytes // 4
    begin = 0
    while begin < len(line):
        end = min(begin + at_most, len(line))
        if end < len(line):
            space = line.rfind(" ", begin + at_most // 2, end + 1)
            if space > begin:
                end = space
            else:
                while end > begin + 1 and unicodedata.combining(line[end]):
                    end -= 1
        if piece := line[begin:end].strip(" "):
            yield piece
        begin = end


def _explained(error: Exception, options: TokenizerOptions) -> TokenizerError:
    """The error of SentencePiece in terms of the option to change."""
    message = str(error)
    if found := re.search(r"Vocabulary size too high.*?<= (\d+)", message, re.DOTALL):
        return _too_many_pieces(options, int(found[1]))
    if found := re.search(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)", message):
        return VocabularySizeError(
            f"vocabulary_size: {options.vocabulary_size} cannot hold a piece for each frequent character of "
            f"this text; expected at least {found[1]}, or a character_coverage below "
            f"{options.character_coverage}",
            least=int(found[1]),
        )
    return TokenizerError(f"texts: SentencePiece could not train on them: {message.strip()}")


def _too_many_pieces(options: TokenizerOptions, most: int) -> VocabularySizeError:
    return VocabularySizeError(
        f"vocabulary_size: {options.vocabulary_size} is more than this text can fill; "
        f"expected at most {most}, or more text",
        most=most,
    )
