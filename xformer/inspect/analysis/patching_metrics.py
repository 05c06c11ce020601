"""What is measured while states are patched, and on which scale.

Shapes: B texts of a trace, V vocabulary, W width of a sentence's vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.errors import InputError
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace


@dataclass(frozen=True)
class Metric:
    """One number for each text of a trace.

    Attributes:
        name: for titles.
        base: from a trace of copies of the text that is patched to (B,) fp64.
        source: the same for the text that states come from, whose masked token may stand elsewhere.
        keep: what a trace must keep for it.
    """

    name: str
    base: Callable[[Trace], Tensor]
    source: Callable[[Trace], Tensor]
    keep: tuple[str, ...] = ()


def recovered(patched: Tensor, base: float, source: float) -> Tensor:
    """How much of the way from the base run to the source run a patch has gone.

    (patched - base) / (source - base), after Zhang and Nanda (2024, section 2): 0 if nothing moved, 1 if the
    metric is that of the source run; it may go below and beyond. nan where both runs have the same metric but
    for rounding (a hundred thousandth of it), so that there is no way to go.

    Args:
        patched: metrics of patched runs, any shape.
        base: that of the run without patches.
        source: that of the run whose states were put in.
    """
    if math.isclose(base, source, rel_tol=1e-5):
        return torch.full_like(patched, float("nan"))
    return (patched - base) / (source - base)


def logit_difference(toward: int, away: int, *, base_token: int, source_token: int) -> Metric:
    """The logit of one answer less that of another, at a masked token.

    The metric that Zhang and Nanda (2024) recommend. Other than a probability it also shows what speaks
    against an answer, and it is linear in what the output layer reads.

    Args:
        toward: id of the answer that is right in the source.
        away: id of the answer that is right in the base.
        base_token: place of the mask in the base text.
        source_token: place of the mask in the source text.
    """

    def difference(logits: Tensor) -> Tensor:
        return _answer(logits, toward) - _answer(logits, away)

    return _at_mask("logit difference", difference, base_token, source_token)


def probability(answer: int, *, base_token: int, source_token: int) -> Metric:
    """The probability of an answer at a masked token (Meng et al. 2022, section 2.1).

    Args:
        answer: its id.
        base_token: place of the mask in the base text.
        source_token: place of the mask in the source text.
    """
    return _at_mask(
        "probability", lambda logits: _answer(logits.softmax(dim=-1), answer), base_token, source_token
    )


def cosine_to(vector: Tensor) -> Metric:
    """The cosine of a sentence's vector to another, most often its translation's.

    Args:
        vector: (W,) as `trace["sentence"][0]`. Of the source run itself the metric is 1, if the vector is the
            source's.
    """
    theirs = vector.detach().double()

    def value(trace: Trace) -> Tensor:
        return F.cosine_similarity(trace["sentence"].packed.detach().double(), theirs[None], dim=1)

    return Metric("cosine", value, value, ("sentence",))


def mask(text: TokenisedText, token: int, mask_id: int | None) -> TokenisedText:
    """The text with one of its tokens hidden.

    Args:
        text: the text.
        token: the token's place, from 0.
        mask_id: `Subject.mask_id`.

    Raises:
        InputError: the model's tokenizer has no mask, or there is no such token.
    """
    if mask_id is None:
        raise InputError("mask: this model's tokenizer has no token that hides others")
    if not 0 <= token < len(text):
        raise InputError(f"token: expected 0 to {len(text) - 1}, got {token}")
    ids = text.ids.copy()
    ids[token] = mask_id
    return text.with_ids(ids)


def _at_mask(name: str, value: Callable[[Tensor], Tensor], base_token: int, source_token: int) -> Metric:
    """A metric of the logits (V,) at one token of each text."""

    def at(token: int) -> Callable[[Trace], Tensor]:
        def of(trace: Trace) -> Tensor:
            rows = [trace.logits(text, token)[0] for text in range(len(trace.texts))]
            return value(torch.stack(rows).detach().double())

        return of

    return Metric(name, at(base_token), at(source_token))


def _answer(rows: Tensor, answer: int) -> Tensor:
    if not 0 <= answer < rows.shape[-1]:
        raise InputError(f"answer: expected a token id from 0 to {rows.shape[-1] - 1}, got {answer}")
    return rows[..., answer]
