"""Which tokens a prediction rests on: attention beside gradient beside integrated gradients.

Three scores of each token of a text, for one number F that the model gives:

* **attention**: the mean of the attention weights over layers and heads, in the row of the predicted token;
  for sentence vectors the mean over all rows. That a weight is large does not show that F depends on it (Jain
  and Wallace 2019, "Attention is not Explanation"; Wiegreffe and Pinter 2019, "Attention is not not
  Explanation").
* **gradient**: input × gradient, `Σ_c x_nc ∂F/∂x_nc`, with x_n the output of the embedding layer at token n
  (Shrikumar, Greenside, Shcherbina and Kundaje 2016).
* **integrated**: integrated gradients (Sundararajan, Taly and Yan 2017), from a baseline to x. They add up to
  F minus F of the baseline; the number of points is chosen until they do (`analysis.integrate`).

The baseline is the text with the mask in the place of each token that is not special. Zeros can be asked
for, too; but a norm makes nearly the same of any fraction of a vector, so all of F changes close to zero,
where few points of the path lie.

Where the embedding layer adds embeddings of pairs of neighbours (`bigrams`), its output at a token tells of
the tokens beside it. So the hidden token itself can have a large score: there what its neighbours say of it
comes in.

How far the three agree is part of the result.

Shapes: n tokens of a text, C d_model, m points of a path, W width of a sentence's vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.analysis.integrate import Integrated, integrate
from xformer.inspect.analysis.lens import LOGITS_AT_ONCE
from xformer.inspect.analysis.statistics import Numbers, rank_correlation
from xformer.inspect.interventions import replace
from xformer.inspect.layout import indices
from xformer.inspect.names import layer_name
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace

Baseline = Literal["mask", "zero"]
"""What says nothing: each token but special ones as the mask, or zeros."""

Value = Callable[[Trace], tuple[Tensor, Tensor]]
"""Of a trace of m texts: the sum of F over them with its gradient, and F of each (m,)."""


@dataclass(frozen=True)
class Attribution:
    """Scores of the tokens of one text.

    Attributes:
        text: as the model read it.
        what: what F is.
        token: number of the predicted token; None for sentence vectors.
        target: id of the predicted piece; None for sentence vectors.
        attention: (n,) from 0; they sum to 1.
        gradient: (n,) input × gradient.
        integrated: (n,) integrated gradients.
        path: how they were computed: F, F of the baseline, points, error and its bound.
    """

    text: TokenisedText
    what: str
    token: int | None
    target: int | None
    attention: Numbers
    gradient: Numbers
    integrated: Numbers
    path: Integrated

    def agreement(self, *, special: bool = False) -> dict[tuple[str, str], float]:
        """Rank correlation of the sizes of each two scores over the tokens.

        Args:
            special: count special tokens and the predicted one, too. In the baseline they are what they are
                in the text, so their integrated gradients are near zero; attention often goes to them.

        Returns:
            By the names of the two; NaN where fewer than two tokens are left, or all scores are equal.
        """
        counted = np.array(
            [special or not (own or number == self.token) for number, own in enumerate(self.text.special)]
        )
        scores = {"attention": self.attention, "gradient": self.gradient, "integrated": self.integrated}
        return {
            (a, b): rank_correlation(np.abs(scores[a])[counted], np.abs(scores[b])[counted])
            for a, b in combinations(scores, 2)
        }


def attribute_prediction(
    subject: Subject,
    text: str | TokenisedText,
    token: int,
    target: int | None = None,
    *,
    layers: list[int] | None = None,
    baseline: Baseline = "mask",
    tolerance: float = 0.01,
    max_steps: int = 256,
    batch_tokens: int = 4096,
) -> Attribution:
    """Which tokens the masked LM predicts a piece from; F is its log-probability in nats.

    Args:
        subject: a model with a masked LM.
        text: one text. Its token `token` is hidden, if it is not the mask already.
        token: its number; negative ones count from the end.
        target: id of the piece; None for what was hidden, or for the most probable piece where the text has
            the mask itself.
        layers: whose attention is averaged; None for all.
        baseline: of the integrated gradients.
        tolerance: as in `integrate`.
        max_steps: as in `integrate`.
        batch_tokens: most tokens in a pass.

    Raises:
        InputError: the model has no masked LM or no mask, there is no such token, piece or layer, the token
            is a special one, or an option is unknown.
    """
    read = _one(subject, text)
    head, table, mask = subject.masked_lm, subject.network.encoder.embeddings.tok_embeddings, subject.mask_id
    if head is None or mask is None:
        lacks = "masked LM" if head is None else "mask token"
        raise InputError(f"{subject.name}: it has no {lacks}; attribute_similarity asks sentence vectors")
    (token,) = indices("token", token, len(read), "tokens")
    before = int(read.ids[token])
    if before != mask:
        if read.special[token]:
            raise InputError(f"token: expected one of the text's own, {token} is {read.pieces[token]}")
        ids = read.ids.copy()
        ids[token] = mask
        pieces = [*read.pieces]
        pieces[token] = subject.piece(mask)
        read = read.with_ids(ids, tuple(pieces))
    if target is None:
        target = before if before != mask else _most_probable(subject, read, token)
    (target,) = indices("target", target, subject.config.rows, "pieces")

    def value(trace: Trace) -> tuple[Tensor, Tensor]:
        final = trace["final"]
        rows = torch.stack([final[number][token] for number in range(len(final))])
        with torch.enable_grad(), subject.computing():
            mean, items = head.loss(rows, table, torch.full((len(rows),), target, device=rows.device))
        return -mean * len(rows), -items

    at_once = min(batch_tokens // len(read), LOGITS_AT_ONCE // subject.config.rows)
    path = _path(subject, read, "final", value, baseline, tolerance, max_steps, max(1, at_once))
    what = f"log p of {subject.piece(target)} at token {token} (nats)"
    return _scores(subject, read, what, token, target, layers, path)


def attribute_similarity(
    subject: Subject,
    text: str | TokenisedText,
    other: str | TokenisedText | Tensor | NDArray[np.floating],
    *,
    layers: list[int] | None = None,
    baseline: Baseline = "mask",
    tolerance: float = 0.01,
    max_steps: int = 256,
    batch_tokens: int = 4096,
) -> Attribution:
    """Which tokens make a text's vector like another's, its translation's say; F is their cosine.

    Args:
        subject: any model.
        text: one text.
        other: another text, or a vector (W,).
        layers: whose attention is averaged; None for those that the vector depends on.
        baseline: of the integrated gradients.
        tolerance: as in `integrate`.
        max_steps: as in `integrate`.
        batch_tokens: most tokens in a pass.

    Raises:
        InputError: the vector has another width, there is no such layer, or an option is unknown.
    """
    read = _one(subject, text)
    if isinstance(other, str | TokenisedText):
        with subject.trace(other, keep="sentence") as theirs:
            direction = theirs["sentence"][0].detach()
    else:
        direction = torch.as_tensor(other, device=subject.device)
    if direction.shape != (subject.config.pooled_dim,):
        width = subject.config.pooled_dim
        raise InputError(f"other: expected a vector of {width} numbers, got shape {tuple(direction.shape)}")

    def value(trace: Trace) -> tuple[Tensor, Tensor]:
        vectors = trace["sentence"].packed
        with torch.enable_grad():
            cosines = torch.cosine_similarity(vectors, direction.to(vectors), dim=-1)
        return cosines.sum(), cosines.detach()

    path = _path(
        subject, read, "sentence", value, baseline, tolerance, max_steps, max(1, batch_tokens // len(read))
    )
    if layers is None:
        layers = list(range(subject.config.n_layers if subject.layer is None else subject.layer))
    return _scores(subject, read, "cosine of sentence vectors", None, None, layers, path)


def _one(subject: Subject, text: str | TokenisedText) -> TokenisedText:
    several = subject.tokenised(text)
    if len(several) != 1 or not len(several[0]):
        raise InputError(f"text: expected one text that has tokens, got {text!r}")
    return several[0]


def _most_probable(subject: Subject, text: TokenisedText, token: int) -> int:
    with subject.trace(text, keep="final") as trace:
        return int(trace.logits(0, token)[0].argmax())


def _path(
    subject: Subject,
    text: TokenisedText,
    keep: str,
    value: Value,
    baseline: Baseline,
    tolerance: float,
    max_steps: int,
    at_once: int,
) -> Integrated:
    """Integrated gradients by the output of the embedding layer."""
    if baseline not in get_args(Baseline):
        raise InputError(f"baseline: expected {' or '.join(get_args(Baseline))}, got {baseline!r}")
    if not tolerance > 0 or max_steps < 16:
        raise InputError(f"expected tolerance above 0 and max_steps from 16, got {tolerance} and {max_steps}")
    x = _embedded(subject, text)
    if baseline == "mask":
        if subject.mask_id is None:
            raise InputError(f"{subject.name}: its tokenizer has no mask token; use baseline='zero'")
        start = _embedded(subject, text.with_ids(np.where(text.special, text.ids, subject.mask_id)))
    else:
        start = torch.zeros_like(x)

    def slopes(points: Tensor) -> tuple[Tensor, Tensor]:
        # As many tokens each, so they are packed in the order given.
        put = replace("embeddings", points.flatten(0, 1))
        with subject.trace(
            [text] * len(points), keep=["embeddings", keep], interventions=[put], gradients=True
        ) as trace:
            total, each = value(trace)
            trace.backward(total)
            return each, trace.gradient("embeddings").packed.view_as(points)

    return integrate(slopes, x, start, tolerance=tolerance, max_steps=max_steps, at_once=at_once)


def _embedded(subject: Subject, text: TokenisedText) -> Tensor:
    """(n, C)."""
    with subject.trace(text, keep="embeddings") as trace:
        found: Tensor = trace["embeddings"][0]
        return found


def _scores(
    subject: Subject,
    text: TokenisedText,
    what: str,
    token: int | None,
    target: int | None,
    layers: list[int] | None,
    path: Integrated,
) -> Attribution:
    """The three together; attention is that of the untouched model."""
    picked = indices("layers", layers, subject.config.n_layers, "layers")
    total = torch.zeros(len(text), dtype=torch.float64)
    for layer in picked:
        name = layer_name(layer, "attn.weights")
        with subject.trace(text, keep=name) as trace:
            weights = trace[name]
            if token is None:
                received = weights.statistics()[0].received
                total += received.double().mean(-1).cpu() / len(text)
            else:
                total += weights.text(0, rows=token).double().mean((0, 1)).cpu()
    attention = (total / max(1, len(picked))).numpy()
    gradient, integrated = (scores.cpu().numpy() for scores in (path.gradient, path.scores))
    return Attribution(text, what, token, target, attention, gradient, integrated, path)
