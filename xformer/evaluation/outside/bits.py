"""Bits per byte on outside text, beside unigram models of the training text and the untrained model."""

from __future__ import annotations

import numpy as np

from xformer.data.reporting import ProgressCallback
from xformer.embedding.encode import evaluation_mode
from xformer.embedding.worker_threads import encoding_threads, tokens_for_each
from xformer.evaluation.bits_per_byte import (
    BitsPerByte,
    HiddenTokens,
    Surprisal,
    bits_per_byte,
    model_surprisal,
)
from xformer.evaluation.evaluate import untrained_model
from xformer.evaluation.outside.bootstrap import amount
from xformer.evaluation.outside.report import LanguageBits, OutsideBits
from xformer.evaluation.outside.subject import MODEL, UNTRAINED, Subject
from xformer.evaluation.outside.texts import OutsideTexts
from xformer.evaluation.unigram import Unigram
from xformer.model.multilingual import MultilingualModel

MOST_TEXTS = 2_000
"""Of a language, for bits per byte: they cost the most time, and are steady long before."""


def outside_bits(
    subject: Subject, texts: OutsideTexts, seen: set[str], progress: ProgressCallback | None
) -> OutsideBits | None:
    """Bits per byte of the model and its baselines, on at most `MOST_TEXTS` different texts of a language."""
    shards, device = texts.shards.subset(texts.for_bits(MOST_TEXTS)), subject.device
    threads = encoding_threads(device)
    hidden = HiddenTokens(
        shards, seed=subject.seed, batch_tokens=tokens_for_each(subject.batch_tokens, threads, device)
    )
    byte_lengths = subject.tokenizer.byte_lengths()

    def measured(surprisal: Surprisal, what: str, on: int = 1) -> BitsPerByte:
        what = f"bits per byte: {what}"
        return bits_per_byte(surprisal, hidden, byte_lengths, progress=progress, what=what, threads=on)

    def of_model(model: MultilingualModel, n_layers: int | None, what: str) -> BitsPerByte:
        with evaluation_mode(model):
            return measured(model_surprisal(model, n_layers=n_layers, device=device), what, threads)

    unigram = Unigram.fit(subject.train, progress=progress).with_languages(len(shards.languages))
    found = {
        MODEL: of_model(subject.model, None, "model"),
        "unigram": measured(unigram.surprisal, "unigram of each language"),
        "blind_unigram": measured(unigram.blind().surprisal, "unigram of all languages"),
    }
    if subject.baselines:
        untrained, n_layers = untrained_model(subject.model, subject.seed)
        found[UNTRAINED] = of_model(untrained.to(device), n_layers, "untrained model")
    languages: dict[str, LanguageBits] = {}
    for number in np.flatnonzero(found[MODEL].n_bytes).tolist():
        tag = shards.languages[number]
        bits = {
            name: float(one.by_language[number])
            for name, one in found.items()
            if tag in seen or name != "unigram"
        }
        languages[tag] = LanguageBits(tag in seen, int(found[MODEL].n_tokens[number]), bits)
    known = {tag: one for tag, one in languages.items() if one.seen}
    if not languages:
        return None
    names = list(found) if known else []
    return OutsideBits(
        rate=hidden.rate,
        texts=len(shards),
        most_texts=MOST_TEXTS,
        languages=languages,
        means={name: amount([one.bits[name] for one in known.values()], subject.seed) for name in names},
        below_unigram=[tag for tag, one in known.items() if one.below_unigram],
        not_below_unigram=[tag for tag, one in known.items() if not one.below_unigram],
    )
