"""Neurons and heads that one language or one script uses, beside what chance gives.

Shapes: E texts, K languages (or scripts), U units: neurons or heads.

A neuron is active on a token if its activation is above a level. With p[k, u] the share of the tokens of
language k on which u is active, and its shares q[k, u] = p[k, u] / sum_k p[k, u]:

    LAPE[u] = - sum_k q[k, u] log q[k, u]

Language activation probability entropy, Tang et al. (2024), "Language-Specific Neurons": low if few languages
use the unit, log K if all do alike. Of heads, p is the mean size of what they write.

Tang et al. take the lowest 1% whatever they are: some 1% of neurons are then "language-specific" in any
model. Here a unit counts only if it beats chance: the labels of whole texts are shuffled, each unit's entropy
is compared with its own mean and deviation over the shuffles, and the threshold is what the most extreme of
all units exceeds in a share `alpha` of the shuffles (Westfall and Young 1993). So the chance that even one
unit is wrongly called selective is `alpha`. Texts are shuffled and not tokens, because tokens of a text are
alike.

What selectivity is not: use by one language alone does not say that the language needs the unit; ablate it
(`xformer.inspect`). Words of one language alone make neurons of that word selective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Use:
    """How much each text uses each unit.

    Attributes:
        amount: (E, U) sums over the text's tokens: of active tokens, or of sizes.
        tokens: (E,) tokens of each text.
    """

    amount: Tensor
    tokens: Tensor

    def by(self, labels: Tensor, n_labels: int) -> Tensor:
        """The mean use per token of each label's texts: (K, U) fp64.

        Args:
            labels: (E,) numbers from 0 to K - 1.
            n_labels: K.
        """
        member = torch.nn.functional.one_hot(labels, n_labels).T
        # Counts of tokens are whole numbers, and their sums exact in fp32 as well.
        sums = (member.to(self.amount.dtype) @ self.amount).double()
        return sums / (member @ self.tokens.long())[:, None].clamp(min=1)


@dataclass(frozen=True)
class Selectivity:
    """Which units a label has for itself.

    Attributes:
        use: (K, U) mean use per token.
        entropy: (U,) LAPE in nats; NaN for a unit that nothing uses.
        score: (U,) how many deviations the entropy lies below its mean over shuffles.
        threshold: the score that a unit must exceed.
        selective: (U,) bool: labels differ in their use, beyond chance. With many texts most units do.
        own: (U,) bool: selective, and its label uses the unit some times as much as any other does.
        uncorrected: how many units have a lower entropy than all but a share `alpha` of their own shuffles.
        by_chance: how many would, if labels meant nothing: that share of the units that were looked at.
    """

    use: Tensor
    entropy: Tensor
    score: Tensor
    threshold: float
    selective: Tensor
    own: Tensor
    uncorrected: int
    by_chance: float

    @property
    def shares(self) -> Tensor:
        """Each label's share of a unit's use: (K, U)."""
        return _shares(self.use)

    @property
    def label(self) -> Tensor:
        """(U,) the label that uses each unit most."""
        return self.use.argmax(dim=0)


def active_tokens(activations: Tensor, level: Tensor | float = 0.0) -> Tensor:
    """On how many tokens of a text each neuron is active: (U,) fp64.

    Args:
        activations: (n, U), such as `trace["layers.3.mlp.act"][i]`.
        level: (U,) or one for all: a token counts if the activation is larger. Tang et al. take 0 for what
            comes out of the non-linearity. The product of gate and value of a gated unit has either sign:
            give its size, and `typical_size` as the level.
    """
    return (activations > level).sum(dim=0).double()


def typical_size(activations: Sequence[Tensor]) -> Tensor:
    """Root mean square of each neuron over the tokens of several texts: (U,) fp64.

    Args:
        activations: for each text (n, U).
    """
    total = torch.stack([one.double().square().sum(0) for one in activations]).sum(0)
    return (total / max(1, sum(len(one) for one in activations))).sqrt()


def head_sizes(heads: Tensor, output: Tensor) -> Tensor:
    """Length of what each head writes into the residual stream, summed over a text's tokens: (H,) fp64.

    Args:
        heads: (n, H, D) outputs of the heads, `trace["layers.3.attn.heads"][i]`.
        output: (C, H·D) weight of the attention's output projection, `Wo.weight`.
    """
    _n, count, size = heads.shape
    parts = output.double().reshape(len(output), count, size)
    return torch.einsum("nhd,chd->nhc", heads.double(), parts).norm(dim=-1).sum(dim=0)


def activation_entropy(use: Tensor) -> Tensor:
    """LAPE in nats: (U,) of mean use (K, U); NaN where nothing uses the unit."""
    shares = _shares(use)
    return torch.special.entr(shares).sum(dim=0)


def selectivity(
    use: Use,
    labels: Tensor,
    n_labels: int,
    *,
    alpha: float = 0.05,
    shuffles: int = 200,
    least_use: float = 0.0,
    times: float = 2.0,
    seed: int = 0,
) -> Selectivity:
    """Find the units that few labels use, by entropy, corrected for the number of units; and those of one
    alone.

    Args:
        use: of each text.
        labels: (E,) language or script of each text, from 0 to K - 1.
        n_labels: K.
        alpha: chance that any unit is wrongly called selective.
        shuffles: of the labels; at least 1 / alpha.
        least_use: a unit is left out if no label's mean use is larger; so Tang et al. leave out neurons that
            are hardly ever active.
        times: how much more than any other label must use a unit that it has for itself.
        seed: of the shuffles.

    Raises:
        ValueError: there are fewer than two labels, the labels don't fit the texts, or the shuffles are too
            few for alpha.
    """
    if len(labels) != len(use.amount) or n_labels < 2:
        raise ValueError(
            f"selectivity: expected {len(use.amount)} labels of 2 kinds or more, got {len(labels)}"
        )
    if not 0 < alpha < 1 or (shuffles + 1) * alpha < 1:
        raise ValueError(f"shuffles: expected at least 1 / alpha for alpha {alpha}, got {shuffles}")
    mean_use = use.by(labels, n_labels)
    generator = torch.Generator().manual_seed(seed)
    orders = (torch.randperm(len(labels), generator=generator) for _ in range(shuffles))
    entropy = activation_entropy(mean_use)
    by_chance = [activation_entropy(use.by(labels[order], n_labels)) for order in orders]
    # The true labels are one order among all: with them in mean and deviation, the test keeps its level.
    every = torch.stack([entropy, *by_chance])
    mean, deviation = every.mean(dim=0), every.std(dim=0)
    # Of a unit whose entropy no order changes nothing can be said.
    counted = (mean_use.max(dim=0).values > least_use) & (deviation > 1e-9)
    scores = torch.where(counted, (mean - every) / deviation, -torch.inf)
    highest = mean_use.topk(2, dim=0).values
    largest = scores[1:].max(dim=1).values.sort(descending=True).values
    threshold = float(largest[int(alpha * (shuffles + 1)) - 1])
    rank = (every <= entropy).double().mean(dim=0)
    return Selectivity(
        use=mean_use,
        entropy=entropy,
        score=scores[0],
        threshold=threshold,
        selective=scores[0] > threshold,
        own=(scores[0] > threshold) & (highest[0] >= times * highest[1]),
        uncorrected=int(((rank <= alpha) & counted).sum()),
        by_chance=alpha * int(counted.sum()),
    )


def _shares(use: Tensor) -> Tensor:
    return use / use.sum(dim=0)
