"""Greedy search and sampling: one token at a time, without a way back.

A draw is a function of (seed, source, sample, position): the same in whatever batch a source is read.

Shapes: G groups (sources) of W samples each, K columns of logits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xformer.data.counter_rng import random_bits, uniform
from xformer.generation.decoding import Decoding
from xformer.generation.options import GenerationOptions, Hypothesis


def sample(decoding: Decoding, options: GenerationOptions, numbers: Sequence[int]) -> list[list[Hypothesis]]:
    """Draw `n_best` targets for each source, or take the likeliest token each time.

    Args:
        decoding: a batch whose prefixes are read.
        options: what to draw from, and limits.
        numbers: of the sources, for the random numbers.

    Returns:
        For each source its targets: in the order of the draws.
    """
    end, width = decoding.model.end_id, options.n_best
    found: list[list[list[int]]] = [[[] for _ in range(width)] for _ in numbers]
    log_p = np.zeros((len(numbers), width))
    ended = np.zeros((len(numbers), width), dtype=bool)
    logits = decoding.logits.repeat_interleave(width, 0)
    if width > 1:
        decoding.expand(width)
    for position in range(options.max_length):
        groups = decoding.groups
        columns = _choose(logits, options, [numbers[g] for g in groups], position)
        tokens = decoding.tokens(columns).view(len(groups), width)
        if options.scores:
            chosen = logits.gather(1, columns[:, None])[:, 0] - logits.logsumexp(1)
            alive = ~ended[groups]
            log_p[groups] += np.where(alive, chosen.view(len(groups), width).double().cpu().numpy(), 0.0)
        for group, row in zip(groups, tokens.tolist(), strict=True):
            for number, token in enumerate(row):
                if token == end:
                    ended[group, number] = True
                elif not ended[group, number]:
                    found[group][number].append(token)
        left = [place for place, group in enumerate(groups) if not ended[group].all()]
        if not left or position + 1 == options.max_length:
            break
        if decoding.may_leave(len(groups) - len(left)):
            decoding.keep(left)
            tokens = tokens[torch.tensor(left, device=tokens.device)]
        decoding.advance(tokens)
        logits = decoding.logits
    return [
        [_hypothesis(row, float(p), bool(is_ended), options) for row, p, is_ended in zip(*its, strict=True)]
        for its in zip(found, log_p, ended, strict=True)
    ]


def _choose(logits: Tensor, options: GenerationOptions, numbers: Sequence[int], position: int) -> Tensor:
    """(G·W,) columns: the likeliest, or drawn by inverting the distribution function."""
    if options.method == "greedy":
        return logits.argmax(1)
    share = kept_probabilities(logits, options).double().cumsum(1)
    samples = np.arange(options.n_best)
    bits = random_bits(options.seed, np.asarray(numbers)[:, None], samples, position)
    drawn = torch.from_numpy(uniform(bits).ravel()).to(logits.device)
    # The last sum is not quite 1, and the first token whose sum is larger than the number is never one of 0.
    return torch.searchsorted(share, (drawn * share[:, -1])[:, None], right=True)[:, 0]


def kept_probabilities(logits: Tensor, options: GenerationOptions) -> Tensor:
    """The probabilities that are drawn from, up to a factor for each row; 0 for tokens that are left out.

    Temperature comes first, then top-k, top-p of what is left, and min-p.

    Args:
        logits: (R, K).
        options: temperature, top_k, top_p and min_p.

    Returns:
        (R, K).
    """
    logits = logits / options.temperature
    if options.top_k is not None and options.top_k < logits.shape[1]:
        lowest = logits.topk(options.top_k)[0][:, -1:]
        logits = logits.masked_fill(logits < lowest, -torch.inf)
    share = torch.softmax(logits, 1)
    if options.top_p < 1:
        ordered, order = share.sort(dim=1, descending=True, stable=True)
        before = ordered.cumsum(1) - ordered
        kept = torch.zeros_like(share, dtype=torch.bool).scatter(1, order, before < options.top_p)
        share = share.masked_fill(~kept, 0.0)
    if options.min_p > 0:
        share = share.masked_fill(share < options.min_p * share.amax(1, keepdim=True), 0.0)
    return share


def _hypothesis(tokens: list[int], log_p: float, ended: bool, options: GenerationOptions) -> Hypothesis:
    log_p = log_p if options.scores else math.nan
    length = max(1, len(tokens) + ended)
    return Hypothesis(tuple(tokens), log_p, log_p / length**options.length_penalty, ended)
