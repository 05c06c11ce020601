"""The masked-LM logit lens: what each layer would predict, if the head read its residual stream.

nostalgebraist 2020, "interpreting GPT: the logit lens". With r_l the residual stream after l blocks, N the
final norm (where the model has one) and W the masked-LM head

    z_l = W(N(r_l)),    p_l = softmax(z_l)

For l = L these are the model's own predictions. The head was trained on the last layer alone: an early layer
that predicts nothing may hold the answer in directions that the head does not read (Belrose et al. 2023,
"Eliciting Latent Predictions from Transformers with the Tuned Lens"). A low probability does not show that
the layer lacks the answer.

The softmax is over all V rows of the head, special pieces included, as in the loss and in bits per byte.

Shapes: S rows (tokens), C d_model, V vocabulary, L layers, k pieces, N texts, K languages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from xformer.data.reporting import ProgressCallback
from xformer.embedding.encode import length_batches
from xformer.errors import InputError
from xformer.inspect.analysis.hidden import hide
from xformer.inspect.analysis.statistics import Mean, Numbers, mean_over_texts, texts_of
from xformer.inspect.layout import indices
from xformer.inspect.names import layer_name
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Studied, Trace

Head = Callable[[Tensor], Tensor]
"""Rows of the residual stream (S, C) to logits (S, V): the final norm, then the masked-LM head."""

LOGITS_AT_ONCE = 1 << 24
"""Numbers in a block of logits: 64 MiB in fp32."""


@dataclass(frozen=True)
class Predictions:
    """What a layer predicts at S tokens.

    Attributes:
        pieces: (S, k) int64, ids of the most probable pieces, most probable first.
        probabilities: (S, k) float32, theirs.
        probability: (S,) float32 of the right piece.
        bits: (S,) float32, `−log₂` of it.
        rank: (S,) float32 of the right piece, from 1. Equally probable pieces share the mean of their ranks,
            so that a layer that knows nothing ranks the right one in the middle.
    """

    pieces: Tensor
    probabilities: Tensor
    probability: Tensor
    bits: Tensor
    rank: Tensor


def predictions(
    head: Head, states: Tensor, targets: Tensor, *, k: int = 5, vocabulary: int, at_once: int = LOGITS_AT_ONCE
) -> Predictions:
    """The lens at one layer, in memory that does not grow with S · V.

    Args:
        head: from `lens_head`.
        states: (S, C) of the residual stream after the layer.
        targets: (S,) int64, the right pieces.
        k: number of pieces, at most V.
        vocabulary: V, rows of the head; it decides how many rows are taken at once.
        at_once: most logits in memory, at least a row's.

    Returns:
        On the host.
    """
    blocks = list(_blocks(head, states, targets, min(k, vocabulary), max(1, at_once // vocabulary)))
    if not blocks:
        nothing = torch.empty(0)
        none = torch.empty(0, min(k, vocabulary))
        return Predictions(none.long(), none, nothing, nothing, nothing)
    return Predictions(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


def _blocks(
    head: Head, states: Tensor, targets: Tensor, k: int, rows: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    for some, right in zip(states.split(rows), targets.split(rows), strict=True):
        with torch.no_grad():
            logits = head(some)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        total = logits.logsumexp(-1)
        its = logits.gather(1, right[:, None])
        log_p = its[:, 0] - total
        above, equal = (logits > its).sum(-1), (logits == its).sum(-1)
        rank = above + (equal + 1) / 2
        best = logits.topk(k)
        found = (
            best.indices,
            (best.values - total[:, None]).exp().float(),
            log_p.exp().float(),
            (-log_p / math.log(2)).float(),
            rank.float(),
        )
        yield tuple(part.cpu() for part in found)  # type: ignore[misc]


def lens_names(subject: Studied) -> tuple[str, ...]:
    """The activations that the lens reads, L+1: before the first block, and after each."""
    return ("embeddings", *(layer_name(layer, "resid_post") for layer in range(subject.config.n_layers)))


def lens_head(subject: Studied) -> Head:
    """The final norm and the masked-LM head of a model.

    Raises:
        InputError: it has no masked LM.
    """
    head, encoder = subject.masked_lm, subject.network.encoder
    if head is None:
        raise InputError(f"{subject.name}: it has no masked LM, so there is no logit lens")

    def logits(states: Tensor) -> Tensor:
        rows = torch.arange(len(states), device=states.device)
        with subject.computing():
            found: Tensor = head(encoder.final_norm(states), rows, encoder.token_embedding)
        return found

    return logits


def logit_lens(
    trace: Trace, text: int = 0, *, tokens: Any = None, targets: Sequence[int] | None = None, k: int = 5
) -> tuple[Predictions, ...]:
    """What each layer would predict at tokens of one text.

    >>> with subject.trace("Open the <mask>") as t:  # doctest: +SKIP
    ...     for layer, found in enumerate(logit_lens(t, tokens=-1)):
    ...         print(layer, [subject.piece(piece) for piece in found.pieces[0].tolist()])

    Args:
        trace: it kept `embeddings` and each layer's `resid_post`.
        text: its number.
        tokens: which tokens, one or several; None for all.
        targets: the right piece of each; None for those that the text shows.
        k: number of pieces.

    Returns:
        L+1, before the first block and after each.

    Raises:
        InputError: the model has no masked LM, an activation was not kept, or there is no such text, token or
            piece.
    """
    vocabulary = trace.subject.config.rows
    if not 1 <= k <= vocabulary:
        raise InputError(f"k: expected 1 to {vocabulary} pieces, got {k}")
    picked = indices("tokens", tokens, len(trace["embeddings"][text]), "tokens")
    right = trace.texts[text].ids[picked].tolist() if targets is None else list(targets)
    if len(right) != len(picked) or not all(0 <= piece < vocabulary for piece in right):
        raise InputError(
            f"targets: expected {len(picked)} ids of pieces below {vocabulary}, one a token; got {right}"
        )
    return _layers(trace, [(text, picked)], right, k)


@dataclass(frozen=True)
class LanguageLens:
    """The lens over hidden tokens of many texts: means over the hidden tokens of each text.

    Attributes:
        language: the tag of each text.
        bits: (N, L+1) `−log₂ p` of the right piece.
        probability: (N, L+1) p of the right piece.
        top1: (N, L+1) share of tokens whose right piece is the most probable.
        log_rank: (N, L+1) `log₂` of the right piece's rank; 0 for the first.
        left_out: number of texts of which no token was hidden.
    """

    language: tuple[str, ...]
    bits: Numbers
    probability: Numbers
    top1: Numbers
    log_rank: Numbers
    left_out: int

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags, sorted."""
        return tuple(sorted(set(self.language)))

    def mean(
        self, what: Literal["bits", "probability", "top1", "log_rank"], language: str | None = None
    ) -> Mean:
        """Mean (L+1) over the texts of a language; None for all texts.

        Raises:
            InputError: there is no text in this language.
        """
        values: Numbers = getattr(self, what)
        return mean_over_texts(values[texts_of(language, self.language)])


def lens_by_language(
    subject: Subject,
    texts: Sequence[str | TokenisedText],
    languages: Sequence[str] | None = None,
    *,
    rate: float = 0.15,
    seed: int = 0,
    batch_tokens: int = 4096,
    progress: ProgressCallback | None = None,
) -> LanguageLens:
    """How early each language's hidden tokens are predicted.

    Args:
        subject: a model with a masked LM.
        texts: N texts.
        languages: a tag for each; None for none.
        rate: share of each text's tokens to hide.
        seed: of the choice (`hide`).
        batch_tokens: most tokens in a batch.
        progress: called with ("logit lens", texts done, texts in all).

    Raises:
        InputError: the model has no masked LM or no mask, an option is out of range, or no token is hidden.
    """
    lens_head(subject)
    hidden = hide(subject.tokenised(texts), languages, mask_id=subject.mask_id, rate=rate, seed=seed)
    n_states = subject.config.n_layers + 1
    bits, probability, top1, log_rank = (np.zeros((len(hidden), n_states)) for _ in range(4))
    done = 0
    for numbers in length_batches(np.array([len(one.text) for one in hidden]), batch_tokens):
        some = [hidden[number] for number in numbers]
        targets = np.concatenate([one.targets for one in some]).tolist()
        with subject.trace([one.text for one in some], keep=lens_names(subject)) as trace:
            places = [(number, one.places.tolist()) for number, one in enumerate(some)]
            found = _layers(trace, places, targets, k=1)
        sizes = [len(one.places) for one in some]
        for state, its in enumerate(found):
            first = (its.pieces[:, 0] == torch.tensor(targets)).float()
            for table, values in (
                (bits, its.bits), (probability, its.probability), (top1, first), (log_rank, its.rank.log2()),
            ):  # fmt: skip
                table[numbers, state] = [float(part.double().mean()) for part in values.split(sizes)]
        done += len(some)
        if progress:
            progress("logit lens", done, len(hidden))
    tags = tuple(one.language for one in hidden)
    return LanguageLens(tags, bits, probability, top1, log_rank, len(texts) - len(hidden))


def _layers(
    trace: Trace, places: Sequence[tuple[int, Sequence[int]]], targets: Sequence[int], k: int
) -> tuple[Predictions, ...]:
    """The lens of each state (L+1) at tokens of several texts, one text after the other."""
    subject = trace.subject
    head, right = lens_head(subject), torch.tensor(targets, dtype=torch.int64, device=subject.device)
    found = []
    for name in lens_names(subject):
        states = torch.cat([trace[name][text][list(tokens)] for text, tokens in places]).detach()
        found.append(predictions(head, states, right, k=k, vocabulary=subject.config.rows))
    return tuple(found)
