"""Evaluation of a model on a held-out split, beside its baselines.

Shapes: E texts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.reporting import ProgressCallback
from xformer.data.shards import TokenShards
from xformer.embedding.encode import SentenceEncoder, encode_texts
from xformer.errors import InputError
from xformer.evaluation.bag import TrainedBag
from xformer.evaluation.bits_per_byte import BitsPerByte, HiddenTokens, bits_per_byte, model_surprisal
from xformer.evaluation.parallel_texts import language_number, one_text_per_group, text_numbers
from xformer.evaluation.report import EvaluationReport, LanguageScores, MaskedLMScores, RetrievalScores
from xformer.evaluation.retrieval import Retrieval, retrieval
from xformer.evaluation.unigram import Unigram
from xformer.model.multilingual import MultilingualModel
from xformer.tokenizer import Tokenizer


def evaluate_model(
    model: MultilingualModel,
    tokenizer: Tokenizer,
    train: TokenShards,
    held_out: TokenShards,
    *,
    pivot: str,
    bag: TrainedBag,
    dev: TokenShards | None = None,
    step: int = 0,
    rate: float = 0.15,
    seed: int = 0,
    min_messages: int | None = None,
    batch_tokens: int = 16_384,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
) -> EvaluationReport:
    """Measure retrieval and bits per byte of a model and of its baselines.

    Args:
        model: lies on `device`.
        tokenizer: of the shards.
        train: the split that the unigram model counts.
        held_out: the split to measure on.
        pivot: tag of the language that the others are compared with.
        bag: the baseline of retrieval.
        dev: the split that chooses the layer for retrieval: the one where these texts retrieve best (XTREME
            also uses a middle layer, Hu et al. 2020). None: the last layer.
        step: optimizer steps that the model has taken; only reported.
        rate: share of tokens hidden for bits per byte, whatever the model was trained with.
        seed: of the hidden tokens and of the untrained model.
        min_messages: a language with fewer messages is left out of retrieval. None: 100, or half of the
            split's messages if that is less.
        batch_tokens: most tokens in a batch.
        device: where to compute.
        progress: called with (what, texts done, texts in all).

    Raises:
        InputError: no language has enough messages beside the pivot, no token was hidden, or the two splits
            belong to different corpora.
    """
    if train.languages != held_out.languages:
        raise InputError("evaluation: expected two splits of one corpus, their languages differ")
    texts = _Texts.of(held_out, pivot, min_messages)
    untrained, untrained_layers = _untrained(model, seed)
    seconds: dict[str, float] = {}

    def retrieve(
        encoder: SentenceEncoder,
        what: str,
        device: torch.device | str = device,
        n_layers: int | None = None,
        texts: _Texts = texts,
    ) -> Retrieval:
        vectors = encode_texts(
            encoder,
            texts.shards.take(texts.examples),
            batch_tokens=batch_tokens,
            n_layers=n_layers,
            device=device,
            progress=progress,
            what=f"retrieval: {what}",
        )
        group, language = texts.shards.group[texts.examples], texts.shards.language[texts.examples]
        return retrieval(
            vectors, group, language, texts.pivot, text=texts.numbers, min_messages=texts.min_messages
        )

    depth = model.config.n_layers
    by_layer: list[float] = []
    if dev is not None:
        with _timed(seconds, "layer"):
            dev_texts = _Texts.of(dev, pivot, None)
            for number in range(depth + 1):
                what = f"dev, {number} of {depth} blocks"
                by_layer.append(retrieve(model, what, device, number, dev_texts).mean_top1)
    layer = int(np.argmax(by_layer)) if by_layer else depth
    with _timed(seconds, "retrieval"):
        found = {"": retrieve(model, "model", device, layer)}
    with _timed(seconds, "retrieval_baselines"):
        found["bag_"] = retrieve(bag.bag, "bag of subwords", "cpu")
        found["untrained_"] = retrieve(untrained.to(device), "untrained model", device, untrained_layers)
    hidden, byte_lengths = HiddenTokens(held_out, rate, seed, batch_tokens), tokenizer.byte_lengths()
    with _timed(seconds, "bits_per_byte"):
        surprisal, what = model_surprisal(model, device=device), "bits per byte: model"
        bits = {"": bits_per_byte(surprisal, hidden, byte_lengths, progress=progress, what=what)}
    with _timed(seconds, "bits_per_byte_baselines"):
        unigram = Unigram.fit(train, progress=progress)
        bits["unigram_"] = bits_per_byte(unigram.surprisal, hidden, byte_lengths)
        bits["blind_unigram_"] = bits_per_byte(unigram.blind().surprisal, hidden, byte_lengths)
        surprisal = model_surprisal(untrained, n_layers=untrained_layers, device=device)
        what = "bits per byte: untrained model"
        bits["untrained_"] = bits_per_byte(surprisal, hidden, byte_lengths, progress=progress, what=what)
    compared = np.array([texts.pivot, *(one.language for one in found[""].languages)])
    return EvaluationReport(
        split=held_out.info.split,
        split_sha256=held_out.info.split_sha256,
        step=step,
        texts=len(held_out),
        messages=len(np.unique(held_out.group)),
        seed=seed,
        retrieval=_retrieval_scores(found, texts, layer, by_layer),
        mlm=_masked_lm_scores(bits, hidden, compared),
        bag=bag.record,
        seconds=seconds,
    )


@dataclass(frozen=True)
class _Texts:
    """The texts that retrieval compares.

    Attributes:
        shards: the split.
        examples: (E,) whole texts, one per group and language.
        numbers: (E,) equal for texts that are the same.
        pivot: number of the pivot language.
        min_messages: a language with fewer is left out.
    """

    shards: TokenShards
    examples: NDArray[np.int64]
    numbers: NDArray[np.int64]
    pivot: int
    min_messages: int

    @classmethod
    def of(cls, shards: TokenShards, pivot: str, min_messages: int | None) -> _Texts:
        number, examples = language_number(shards, pivot), one_text_per_group(shards)
        group, language = shards.group[examples], shards.language[examples]
        in_pivot = group[language == number]
        if min_messages is None:
            min_messages = max(1, min(100, len(in_pivot) // 2))
        shared = np.isin(group, in_pivot) & (language != number)
        messages = np.bincount(language[shared], minlength=len(shards.languages))
        if messages.max() < min_messages:
            raise InputError(
                f"data.pivot: expected a language with at least {min_messages} messages that are also in "
                f"{pivot!r} in the {shards.info.split} split; the most that one has is {messages.max()}"
            )
        return cls(shards, examples, text_numbers(shards.take(examples)), number, min_messages)


def _untrained(model: MultilingualModel, seed: int) -> tuple[MultilingualModel, int | None]:
    """A newly initialised model, its masked-LM bias at zero, and how many of its blocks need to be run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = MultilingualModel(model.config, model.pooling.kind)
    # Blocks that add exactly zero would only cost time.
    begins_as_identity = model.config.zero_init_residual and model.config.norm_position == "pre"
    return fresh, 0 if begins_as_identity else None


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[what] = round(time.monotonic() - began, 2)


def _retrieval_scores(
    found: Mapping[str, Retrieval], texts: _Texts, layer: int, by_layer: list[float]
) -> RetrievalScores:
    """The scores of the model and, under their prefixes, of its baselines."""
    names, model = texts.shards.languages, found[""]
    languages: dict[str, LanguageScores] = {}
    for one, bag, untrained in zip(*(each.languages for each in found.values()), strict=True):
        directions = {"": one, "to_pivot_": one.to_pivot, "from_pivot_": one.from_pivot}
        of_one: dict[str, Any] = {
            f"{prefix}{score}": getattr(scores, score)
            for prefix, scores in (directions | {"bag_": bag, "untrained_": untrained}).items()
            for score in ("top1", "mrr")
        }
        languages[names[one.language]] = LanguageScores(messages=one.messages, **of_one)
    means: dict[str, Any] = {f"{prefix}mean_top1": each.mean_top1 for prefix, each in found.items()}
    means |= {f"{prefix}mean_mrr": each.mean_mrr for prefix, each in found.items()}
    return RetrievalScores(
        pivot=names[texts.pivot],
        candidates=model.candidates,
        min_messages=texts.min_messages,
        layer=layer,
        dev_top1_by_layer=by_layer,
        languages=languages,
        left_out={names[number]: messages for number, messages in model.left_out.items()},
        **means,
    )


def _masked_lm_scores(
    bits: Mapping[str, BitsPerByte], hidden: HiddenTokens, compared: NDArray[np.integer]
) -> MaskedLMScores:
    """The scores of the model and, under their prefixes, of its baselines.

    Args:
        bits: of each, by prefix; the model's is empty.
        hidden: the hidden tokens.
        compared: numbers of the languages that means are over.
    """
    names, model = hidden.shards.languages, bits[""]
    present = np.flatnonzero(model.n_bytes).tolist()
    if not present:
        raise InputError("evaluation: no token was hidden; the split has too little text for bits per byte")
    scores: dict[str, Any] = {}
    for prefix, each in bits.items():
        by_tag = {names[number]: float(each.by_language[number]) for number in present}
        scores |= {f"{prefix}bits_per_byte": by_tag, f"{prefix}mean_bits_per_byte": each.mean(compared)}
        scores[f"{prefix}overall_bits_per_byte"] = each.overall
    hidden_tokens = {names[number]: int(model.n_tokens[number]) for number in present}
    return MaskedLMScores(rate=hidden.rate, hidden_tokens=hidden_tokens, **scores)
