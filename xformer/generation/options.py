"""What is generated, and how: the settings of generation and its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xformer.storage.rules import COUNT, COUNT_OR_NONE, FROM_ZERO, NOT_NEGATIVE, Rule, check, one_of, require

Method = Literal["greedy", "beam", "sample"]


@dataclass(frozen=True)
class GenerationOptions:
    """The settings of generation, checked when they are made.

    Attributes:
        method: `greedy` takes the likeliest token each time, `beam` searches for the likeliest target, and
            `sample` draws.
        max_length (tokens): after which a target is cut, its end included and a forced prefix not.
        beam (hypotheses): width of the beam.
        n_best (hypotheses): how many are returned of a beam, or drawn.
        length_penalty: α; hypotheses are ranked by log P / |Y|^α, |Y| the number of tokens (end included,
            prefix not). 0 ranks by probability, 1 by the mean of the tokens.
        coverage_penalty: β; β Σ_i log min(Σ_j a_ij, 1) is added, with a_ij the attention of target token j to
            source token i: the mean over the heads of the last layer (Wu et al. 2016, equation 14).
        early_stopping: a beam search ends when as many hypotheses have ended as the beam is wide. Otherwise
            it ends when no hypothesis that goes on can rank among the best.
        temperature: of sampling; logits are divided by it.
        top_k (tokens): sample among the likeliest; None for all (Fan et al. 2018).
        top_p: sample among the fewest likeliest tokens that have this probability together (Holtzman et al.
            2020).
        min_p: sample among tokens of at least this share of the largest probability (Nguyen et al. 2024).
        seed: of sampling.
        scores: compute the probabilities of greedy targets, too; it takes another pass over the logits.
        suppress: ids that are never generated.
    """

    method: Method = "beam"
    max_length: int = 256
    beam: int = 4
    n_best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    early_stopping: bool = True
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    scores: bool = True
    suppress: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        share = Rule(lambda x: 0 < x <= 1, "a probability in (0, 1]")
        rules = [
            (one_of(Method), "method"),
            (COUNT, "max_length beam n_best"),
            (COUNT_OR_NONE, "top_k"),
            (NOT_NEGATIVE, "length_penalty coverage_penalty"),
            (Rule(lambda x: 0 < x < float("inf"), "a finite positive number"), "temperature"),
            (share, "top_p"),
            (Rule(lambda x: 0 <= x <= 1, "a share in [0, 1]"), "min_p"),
            (FROM_ZERO, "seed"),
        ]
        check(self, "generation", rules)
        within = self.method != "beam" or self.n_best <= self.beam
        require(within, "generation.n_best", self.n_best, f"at most the beam's width, {self.beam}")
        one = self.method != "greedy" or self.n_best == 1
        require(one, "generation.n_best", self.n_best, "1, since greedy search finds one target")


@dataclass(frozen=True)
class Hypothesis:
    """A target.

    Attributes:
        tokens: without the start, the forced prefix and the end.
        log_probability: of these tokens and the end in nats, given source and prefix; NaN if not asked for.
        score: what hypotheses are ranked by.
        ended: whether it has its end; otherwise it was cut.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    ended: bool
