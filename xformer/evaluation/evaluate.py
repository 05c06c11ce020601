"""A model on a held-out split, beside its baselines.

Shapes: E texts, C vector width, L languages, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.shards import TokenShards
from xformer.embedding.encode import Progress, SentenceEncoder, encode_texts
from xformer.errors import InputError
from xformer.evaluation.bag import TrainedBag
from xformer.evaluation.bits_per_byte import BitsPerByte, HiddenTokens, bits_per_byte, model_surprisal
from xformer.evaluation.report import EvaluationReport, LanguageScores, MaskedLMScores, RetrievalScores
from xformer.evaluation.retrieval import Retrieval, one_text_a_group, retrieval
from xformer.evaluation.unigram import Unigram
from xformer.model.config import ModelConfig
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
    progress: Progress | None = None,
) -> EvaluationReport:
    """Measure retrieval and bits per byte.

    Args:
        model: lies on `device`.
        tokenizer: of the shards.
        train: what the unigram model counts.
        held_out: what is measured on.
        pivot: tag of the language that the others are compared with.
        bag: the baseline of retrieval.
        dev: chooses after how many blocks vectors are taken for retrieval, as XTREME takes a middle layer (Hu
            et al. 2020): where these texts retrieve best. None: after all.
        step: how far the model was trained; only reported.
        rate: share of tokens hidden for bits per byte, the same for every model however it was trained.
        seed: of which tokens are hidden, and of the untrained model.
        min_messages: fewest messages with which a language counts; None for 100, or half of the split's where
            that is fewer.
        batch_tokens: most tokens in a batch.
        device: where to compute.
        progress: called with (what, texts done, texts in all).

    Raises:
        InputError: no language has enough messages beside the pivot, or the two splits are not one corpus.
    """
    if train.languages != held_out.languages:
        raise InputError("evaluation: expected two splits of one corpus, their languages differ")
    texts = _Texts.of(held_out, pivot, min_messages)
    untrained = _Untrained.like(model, seed)
    clock = _Clock()

    def retrieve(
        encoder: SentenceEncoder,
        who: str,
        device: torch.device | str,
        n_layers: int | None = None,
        shards: TokenShards = held_out,
        texts: _Texts = texts,
    ) -> Retrieval:
        vectors = encode_texts(
            encoder,
            shards.take(texts.examples),
            batch_tokens=batch_tokens,
            n_layers=n_layers,
            device=device,
            progress=progress,
            what=f"retrieval: {who}",
        )
        group, language = shards.group[texts.examples], shards.language[texts.examples]
        return retrieval(
            vectors, group, language, texts.pivot, text=texts.identity, min_messages=texts.min_messages
        )

    by_layer: list[float] = []
    if dev is not None:
        with clock.of("layer"):
            asked = _Texts.of(dev, pivot, None)
            for layer in range(model.config.n_layers + 1):
                who = f"dev, {layer} of {model.config.n_layers} blocks"
                by_layer.append(retrieve(model, who, device, layer, dev, asked).mean_top1)
    layer = int(np.argmax(by_layer)) if by_layer else model.config.n_layers
    with clock.of("retrieval"):
        found = retrieve(model, "model", device, layer)
    with clock.of("retrieval_baselines"):
        by_bag = retrieve(bag.bag, "bag of subwords", "cpu")
        by_untrained = retrieve(untrained.model.to(device), "untrained model", device, untrained.n_layers)
    question, byte_lengths = HiddenTokens(held_out, rate, seed, batch_tokens), tokenizer.byte_lengths()
    with clock.of("bits_per_byte"):
        surprisal = model_surprisal(model, device=device)
        bits = bits_per_byte(
            surprisal, question, byte_lengths, progress=progress, what="bits per byte: model"
        )
    with clock.of("bits_per_byte_baselines"):
        unigram = Unigram.fit(train, progress=progress)
        unigram_bits = bits_per_byte(unigram.surprisal, question, byte_lengths)
        blind_bits = bits_per_byte(unigram.blind().surprisal, question, byte_lengths)
        surprisal = model_surprisal(untrained.model, n_layers=untrained.n_layers, device=device)
        what = "bits per byte: untrained model"
        untrained_bits = bits_per_byte(surprisal, question, byte_lengths, progress=progress, what=what)

    names = held_out.languages
    return EvaluationReport(
        split=held_out.info.split,
        split_sha256=held_out.info.split_sha256,
        step=step,
        texts=len(held_out),
        messages=len(np.unique(held_out.group)),
        seed=seed,
        retrieval=_retrieval_scores(found, by_bag, by_untrained, texts, names, layer, by_layer),
        mlm=_masked_lm_scores(
            bits, unigram_bits, blind_bits, untrained_bits, found, texts.pivot, rate, names
        ),
        bag=bag.record,
        seconds=clock.seconds,
    )


@dataclass(frozen=True)
class _Texts:
    """What retrieval is measured on.

    Attributes:
        examples: (E,) whole texts, one a group and language.
        identity: (E,) equal for texts that are the same.
        pivot: the pivot's number.
        min_messages: as settled.
    """

    examples: NDArray[np.int64]
    identity: NDArray[np.int64]
    pivot: int
    min_messages: int

    @classmethod
    def of(cls, shards: TokenShards, pivot: str, min_messages: int | None) -> _Texts:
        if pivot not in shards.languages:
            raise InputError(f"data.pivot: expected one of {', '.join(shards.languages)}; got {pivot!r}")
        number = shards.languages.index(pivot)
        whole = np.flatnonzero(np.asarray(shards.n_chunks) == 1)
        group, language = shards.group[whole], shards.language[whole]
        examples = whole[one_text_a_group(group, language, shards.record[whole])]
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
        numbers: dict[bytes, int] = {}
        identity = [numbers.setdefault(shards[int(example)].tobytes(), len(numbers)) for example in examples]
        return cls(examples, np.array(identity), number, min_messages)


@dataclass(frozen=True)
class _Untrained:
    """The model before its first step, its masked-LM bias at zero.

    Attributes:
        model: newly initialised.
        n_layers: how many blocks need to be run.
    """

    model: MultilingualModel
    n_layers: int | None

    @classmethod
    def like(cls, model: MultilingualModel, seed: int) -> _Untrained:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = MultilingualModel(model.config, model.pooling.kind)
        return cls(fresh, 0 if _begins_as_identity(model.config) else None)


def _begins_as_identity(config: ModelConfig) -> bool:
    """Whether untrained blocks add exactly zero, so that running them would only cost time."""
    return config.zero_init_residual and config.norm_position == "pre"


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 2)


def _retrieval_scores(
    found: Retrieval,
    by_bag: Retrieval,
    by_untrained: Retrieval,
    texts: _Texts,
    names: tuple[str, ...],
    layer: int,
    by_layer: list[float],
) -> RetrievalScores:
    languages = {
        names[one.language]: LanguageScores(
            messages=one.messages,
            top1=one.top1,
            to_pivot_top1=one.to_pivot.top1,
            from_pivot_top1=one.from_pivot.top1,
            mrr=one.mrr,
            to_pivot_mrr=one.to_pivot.mrr,
            from_pivot_mrr=one.from_pivot.mrr,
            bag_top1=bag.top1,
            bag_mrr=bag.mrr,
            untrained_top1=untrained.top1,
            untrained_mrr=untrained.mrr,
        )
        for one, bag, untrained in zip(found.languages, by_bag.languages, by_untrained.languages, strict=True)
    }
    return RetrievalScores(
        pivot=names[texts.pivot],
        candidates=found.candidates,
        min_messages=texts.min_messages,
        layer=layer,
        dev_top1_by_layer=by_layer,
        mean_top1=found.mean_top1,
        bag_mean_top1=by_bag.mean_top1,
        untrained_mean_top1=by_untrained.mean_top1,
        mean_mrr=found.mean_mrr,
        bag_mean_mrr=by_bag.mean_mrr,
        untrained_mean_mrr=by_untrained.mean_mrr,
        languages=languages,
        left_out={names[number]: messages for number, messages in found.left_out.items()},
    )


def _masked_lm_scores(
    model: BitsPerByte,
    unigram: BitsPerByte,
    blind: BitsPerByte,
    untrained: BitsPerByte,
    found: Retrieval,
    pivot: int,
    rate: float,
    names: tuple[str, ...],
) -> MaskedLMScores:
    asked = np.flatnonzero(model.n_bytes).tolist()
    if not asked:
        raise InputError("evaluation: no token was hidden; the split has too little text for bits per byte")

    def named(bits: BitsPerByte) -> dict[str, float]:
        return {names[number]: float(bits.by_language[number]) for number in asked}

    counted = np.array([pivot, *(one.language for one in found.languages)])
    return MaskedLMScores(
        rate=rate,
        hidden_tokens={names[number]: int(model.n_tokens[number]) for number in asked},
        bits_per_byte=named(model),
        unigram_bits_per_byte=named(unigram),
        blind_unigram_bits_per_byte=named(blind),
        untrained_bits_per_byte=named(untrained),
        mean_bits_per_byte=model.mean(counted),
        unigram_mean_bits_per_byte=unigram.mean(counted),
        blind_unigram_mean_bits_per_byte=blind.mean(counted),
        untrained_mean_bits_per_byte=untrained.mean(counted),
        overall_bits_per_byte=model.overall,
        unigram_overall_bits_per_byte=unigram.overall,
        blind_unigram_overall_bits_per_byte=blind.overall,
        untrained_overall_bits_per_byte=untrained.overall,
    )
