"""Evaluation of a model on a held-out split, beside its baselines.

Shapes: E texts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.languages import language_name
from xformer.data.reporting import ProgressCallback
from xformer.data.shards import TokenShards
from xformer.embedding.encode import SentenceEncoder, encode_tokens, evaluation_mode
from xformer.embedding.worker_threads import encoding_threads, tokens_for_each
from xformer.errors import InputError
from xformer.evaluation.bag import TrainedBag
from xformer.evaluation.bits_per_byte import BitsPerByte, HiddenTokens, bits_per_byte, model_surprisal
from xformer.evaluation.plan import EvaluationPlan, RetrievalTexts
from xformer.evaluation.report import EvaluationReport, LanguageScores, MaskedLMScores, RetrievalScores
from xformer.evaluation.retrieval import Retrieval
from xformer.evaluation.sentence_layer import choose_sentence_layer
from xformer.evaluation.unigram import Unigram
from xformer.model.multilingual import MultilingualModel
from xformer.runs.sentence_layer import SentenceLayer
from xformer.tokenizer import Tokenizer


def evaluate_model(
    model: MultilingualModel,
    tokenizer: Tokenizer,
    train: TokenShards,
    plan: EvaluationPlan,
    *,
    bag: TrainedBag | None,
    sentence_layer: SentenceLayer | None = None,
    step: int = 0,
    rate: float = 0.15,
    seed: int = 0,
    batch_tokens: int | None = None,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
) -> EvaluationReport:
    """Measure retrieval and bits per byte of a model and of its baselines.

    Args:
        model: lies on `device`.
        tokenizer: of the shards.
        train: the split that the unigram model counts.
        plan: what to measure on.
        bag: the baseline of retrieval; None where it could not be trained.
        sentence_layer: the layer for retrieval; None to choose it with the plan's dev texts.
        step: optimizer steps that the model has taken; only reported.
        rate: share of tokens hidden for bits per byte, whatever the model was trained with.
        seed: of the hidden tokens and of the untrained model.
        batch_tokens: most tokens in a batch; None for what is fast on the device.
        device: where to compute.
        progress: called with (what, texts done, texts in all).

    Raises:
        InputError: the training split belongs to another corpus.
    """
    held_out, texts = plan.held_out, plan.texts
    if train.languages != held_out.languages:
        raise InputError("evaluation: expected two splits of one corpus, their languages differ")
    untrained, untrained_layers = untrained_model(model, seed)
    seconds: dict[str, float] = {}

    def retrieve(
        encoder: SentenceEncoder,
        texts: RetrievalTexts,
        what: str,
        device: torch.device | str = device,
        n_layers: int | None = None,
    ) -> Retrieval:
        vectors = encode_tokens(
            encoder,
            texts.sequences(),
            batch_tokens=batch_tokens,
            n_layers=n_layers,
            device=device,
            progress=progress,
            what=f"retrieval: {what}",
        )
        return texts.retrieval(vectors)

    if sentence_layer is None:
        with _timed(seconds, "layer"):
            sentence_layer = choose_sentence_layer(
                model, plan.dev_texts, step=step, batch_tokens=batch_tokens, device=device, progress=progress
            )
    layer, by_layer = sentence_layer.layer, sentence_layer.dev_top1_by_layer
    found: dict[str, Retrieval] = {}
    if texts is not None:
        with _timed(seconds, "retrieval"):
            found[""] = retrieve(model, texts, "model", device, layer)
        with _timed(seconds, "retrieval_baselines"):
            if bag is not None:
                found["bag_"] = retrieve(bag.bag, texts, "bag of subwords", "cpu")
            encoder = untrained.to(device)
            found["untrained_"] = retrieve(encoder, texts, "untrained model", device, untrained_layers)
    threads = encoding_threads(device)
    hidden = HiddenTokens(held_out, rate, seed, tokens_for_each(batch_tokens, threads, device))
    byte_lengths = tokenizer.byte_lengths()

    def bits_of(one: MultilingualModel, n_layers: int | None, what: str) -> BitsPerByte:
        surprisal, what = model_surprisal(one, n_layers=n_layers, device=device), f"bits per byte: {what}"
        with evaluation_mode(one):
            return bits_per_byte(
                surprisal, hidden, byte_lengths, progress=progress, what=what, threads=threads
            )

    with _timed(seconds, "bits_per_byte"):
        bits = {"": bits_of(model, None, "model")}
    with _timed(seconds, "bits_per_byte_baselines"):
        unigram = Unigram.fit(train, progress=progress)
        bits["unigram_"] = bits_per_byte(unigram.surprisal, hidden, byte_lengths)
        bits["blind_unigram_"] = bits_per_byte(unigram.blind().surprisal, hidden, byte_lengths)
        bits["untrained_"] = bits_of(untrained.to(device), untrained_layers, "untrained model")
    if texts is None:
        compared = np.arange(len(held_out.languages))
    else:
        compared = np.array([texts.pivot, *(one.language for one in found[""].languages)])
    return EvaluationReport(
        split=held_out.info.split,
        split_sha256=held_out.info.split_sha256,
        step=step,
        texts=len(held_out),
        messages=len(np.unique(held_out.group)),
        seed=seed,
        retrieval=_retrieval_scores(found, texts, layer, by_layer) if texts is not None else None,
        mlm=_masked_lm_scores(bits, hidden, compared),
        bag=bag.record if bag is not None else None,
        seconds=seconds,
        names={tag: language_name(tag) for tag in held_out.languages},
        left_out=plan.left_out,
    )


def untrained_model(model: MultilingualModel, seed: int) -> tuple[MultilingualModel, int | None]:
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
    found: Mapping[str, Retrieval], texts: RetrievalTexts, layer: int, by_layer: list[float]
) -> RetrievalScores:
    """The scores of the model and, under their prefixes, of its baselines."""
    names, model = texts.shards.languages, found[""]
    languages: dict[str, LanguageScores] = {}
    for row in zip(*(each.languages for each in found.values()), strict=True):
        one = row[0]
        directions = {"to_pivot_": one.to_pivot, "from_pivot_": one.from_pivot}
        of_one: dict[str, Any] = {
            f"{prefix}{score}": getattr(scores, score)
            for prefix, scores in (*zip(found, row, strict=True), *directions.items())
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
    scores: dict[str, Any] = {}
    for prefix, each in bits.items():
        by_tag = {names[number]: float(each.by_language[number]) for number in present}
        scores |= {f"{prefix}bits_per_byte": by_tag, f"{prefix}mean_bits_per_byte": each.mean(compared)}
        scores[f"{prefix}overall_bits_per_byte"] = each.overall
    hidden_tokens = {names[number]: int(model.n_tokens[number]) for number in present}
    return MaskedLMScores(rate=hidden.rate, hidden_tokens=hidden_tokens, **scores)
