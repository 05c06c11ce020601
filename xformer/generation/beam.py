"""Beam search: the likeliest targets among those that begin likely (Graves 2012; Wu et al. 2016).

Shapes: G groups (sources) of W hypotheses each, K columns of logits, t tokens so far.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from xformer.generation.decoding import Decoding
from xformer.generation.options import GenerationOptions, Hypothesis

BLOCK = 64
"""Columns of a block of logits that is searched as a whole."""


@dataclass
class _Ended:
    """The hypotheses of one source that have ended, best first.

    Attributes:
        best: the best `n_best`.
        number: of all.
    """

    best: list[Hypothesis] = field(default_factory=list)
    number: int = 0

    def add(self, hypothesis: Hypothesis, n_best: int) -> None:
        self.number += 1
        self.best.append(hypothesis)
        self.best.sort(key=lambda one: -one.score)
        del self.best[n_best:]


def beam_search(decoding: Decoding, options: GenerationOptions) -> list[list[Hypothesis]]:
    """Search.

    At each step the 2W likeliest continuations of a source's hypotheses are looked at. Those that end, among
    the first W, are results; of the others the first W go on.

    Args:
        decoding: a batch whose prefixes are read.
        options: width, ranking and limits.

    Returns:
        For each source its best hypotheses, best first.
    """
    width, end = options.beam, decoding.model.end_id
    logits = decoding.logits
    ended = [_Ended() for _ in decoding.groups]
    scores = logits.new_zeros(len(ended), 1)
    history = torch.zeros(len(ended), 1, 0, dtype=torch.int64, device=logits.device)
    done: set[int] = set()
    for length in range(1, options.max_length + 1):
        values, parents, tokens = _candidates(decoding, decoding.logits, scores, 2 * width)
        ends = tokens == end
        finish = ends[:, :width] & values[:, :width].isfinite()
        if bool(finish.any()):
            penalty = _penalties(decoding, options)
            for place, rank in finish.nonzero().tolist():
                group, parent = decoding.groups[place], int(parents[place, rank])
                if group not in done:
                    found = history[place, parent].tolist()
                    log_p, extra = float(values[place, rank]), float(penalty[place, parent])
                    ended[group].add(_hypothesis(found, log_p, length, extra, True, options), options.n_best)
        scores, picks = values.masked_fill(ends, -torch.inf).topk(width)
        parents, tokens = parents.gather(1, picks), tokens.gather(1, picks)
        history = torch.cat((_gather(history, parents), tokens[..., None]), 2)
        best = scores[:, 0].tolist()
        done |= {
            group
            for group, highest in zip(decoding.groups, best, strict=True)
            if _is_done(ended[group], highest, length, options)
        }
        left = [place for place, group in enumerate(decoding.groups) if group not in done]
        if length == options.max_length:
            _cut(decoding, options, ended, (left, scores, parents, history))
            break
        if not left:
            break
        if decoding.n_hypotheses == 1 and width > 1:
            decoding.expand(width)
            parents = torch.zeros_like(parents)
        if decoding.may_leave(len(decoding.groups) - len(left)):
            decoding.keep(left)
            rows = torch.tensor(left, device=scores.device)
            scores, parents, tokens, history = (x[rows] for x in (scores, parents, tokens, history))
        decoding.advance(tokens, parents if width > 1 else None)
    return [one.best for one in ended]


def _candidates(
    decoding: Decoding, logits: Tensor, scores: Tensor, number: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest continuations of each source (G, 2W): log probabilities, hypotheses and tokens.

    Where there are fewer, the last have probability 0.

    Args:
        decoding: knows the tokens of columns.
        logits: (G·W, K); overwritten.
        scores: (G, W), log probabilities so far.
        number: 2W.
    """
    rows, per_row = scores.shape[1], min(number, logits.shape[1])
    top, columns = likeliest(logits, per_row)
    # The largest logit is known: the sum needs no pass to find it. The logits are not needed again.
    total = logits.sub_(top[:, :1]).exp_().sum(1, keepdim=True)
    added = (top - top[:, :1] - total.log_()).view(len(scores), rows, per_row)
    values = (scores[..., None] + added).flatten(1)
    if values.shape[1] > number:
        values, chosen = values.topk(number)
    else:
        values, chosen = values.sort(dim=1, descending=True, stable=True)
    tokens = decoding.tokens(columns).view(len(scores), -1).gather(1, chosen)
    parents = chosen // per_row
    if (missing := number - values.shape[1]) > 0:
        values = torch.nn.functional.pad(values, (0, missing), value=-torch.inf)
        tokens, parents = (torch.nn.functional.pad(x, (0, missing)) for x in (tokens, parents))
    return values, parents, tokens


def likeliest(logits: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The largest logits of each row, and their columns: `logits.topk(number)` in two stages.

    What is among the largest lies in one of the `number` blocks with the largest maxima, so a vocabulary is
    read once, and only these blocks are searched.

    Args:
        logits: (R, K).
        number: at most K.

    Returns:
        Both (R, number). Of equal logits any may be left out.
    """
    rows, width = logits.shape
    blocks = width // BLOCK
    if blocks <= 2 * number or logits.device.type != "cpu":
        return logits.topk(number)
    whole = logits[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK))
    chosen = whole.amax(2).topk(number, sorted=False)[1]
    columns = (chosen[..., None] * BLOCK + torch.arange(BLOCK)).flatten(1)
    rest = torch.arange(blocks * BLOCK, width).expand(rows, -1)
    columns = torch.cat((columns, rest), 1)
    top, places = logits.gather(1, columns).topk(number)
    return top, columns.gather(1, places)


def _penalties(decoding: Decoding, options: GenerationOptions) -> Tensor:
    """β Σ_i log min(Σ_j a_ij, 1) of each hypothesis, (G, W)."""
    if not options.coverage_penalty:
        return decoding.logits.new_zeros(len(decoding.groups), decoding.n_hypotheses)
    return options.coverage_penalty * decoding.coverage_penalty()


def _hypothesis(
    tokens: list[int], log_p: float, length: int, penalty: float, is_ended: bool, options: GenerationOptions
) -> Hypothesis:
    score = log_p / length**options.length_penalty + penalty
    return Hypothesis(tuple(tokens), log_p, score, is_ended)


def _is_done(ended: _Ended, highest: float, length: int, options: GenerationOptions) -> bool:
    """Whether no further hypothesis is wanted.

    Args:
        ended: those of the source.
        highest: log probability of the likeliest one that goes on.
        length: of those that go on.
        options: how they are ranked.
    """
    if highest == -torch.inf:
        return True
    if options.early_stopping:
        return ended.number >= options.beam
    if len(ended.best) < options.n_best:
        return False
    # Probabilities only fall, and the penalty of coverage is at most 0. Divided by a power of the length, a
    # negative number is largest at the greatest length.
    return highest / options.max_length**options.length_penalty <= ended.best[-1].score


def _cut(
    decoding: Decoding,
    options: GenerationOptions,
    ended: list[_Ended],
    running: tuple[list[int], Tensor, Tensor, Tensor],
) -> None:
    """Take hypotheses at the greatest length as they are."""
    left, scores, parents, history = running
    penalties = _penalties(decoding, options).gather(1, parents)
    for place in left:
        for rank, log_p in enumerate(scores[place].tolist()):
            if log_p > -torch.inf:
                found, extra = history[place, rank].tolist(), float(penalties[place, rank])
                one = _hypothesis(found, log_p, options.max_length, extra, False, options)
                ended[decoding.groups[place]].add(one, options.n_best)


def _gather(history: Tensor, parents: Tensor) -> Tensor:
    return history.gather(1, parents[..., None].expand(*parents.shape, history.shape[2]))
