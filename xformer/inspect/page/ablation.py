"""What a text loses with each head: the change of its masked-token loss, or of its vector.

Letters: n tokens of the text, m hidden tokens, L layers, H heads.

Each of m tokens is hidden in turn, in a copy of the text of its own, and the loss is the mean of -ln p of the
hidden tokens. A head is ablated by making its output zero before the output projection mixes the heads. With
`f` the loss, the effect of a head is `f(without it) - f(as it is)`: positive where the head helps. Without a
masked LM, `f` is 1 minus the cosine between the text's vector and the one as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.inspect.interventions import Intervention, ablate
from xformer.inspect.page.payload import JSON
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.progress import Progress

BATCH_TOKENS = 8192
MOST_HIDDEN = 32


def ablation(
    subject: Subject,
    text: TokenisedText,
    *,
    most_hidden: int = MOST_HIDDEN,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress | None = None,
) -> JSON:
    """The part `ablation` of a run, for one text.

    Args:
        subject: the model.
        text: its tokens.
        most_hidden: the most tokens that are hidden; of a longer text, so many evenly spread ones.
        batch_tokens: the most tokens of a pass, unless the copies of one head have more.
        progress: shows how many heads are done.

    Returns:
        `measure`, "loss" or "vector"; `hidden`, places of the hidden tokens; `base`, the loss in nats as it
        is, or 0; `effects` (L, H). For a text without a token to hide or to pool, only `why`.
    """
    places = hidden_places(text, most_hidden)
    if not places:
        return {"why": "the text has no token to hide: all are special"}
    mask = subject.mask_id if subject.masked_lm is not None else None
    with_loss = mask is not None
    copies = [text] if mask is None else masked_copies(text, places, mask)
    rows = places if with_loss else None
    base = _measure(subject, copies, rows, text, ())
    reference = None if with_loss else base
    per_pass = max(1, batch_tokens // sum(len(one.ids) for one in copies))
    layers, heads = subject.config.n_layers, subject.config.n_heads
    effects = np.zeros((layers, heads))
    for layer in range(layers):
        for some in _groups(heads, per_pass):
            changed = _measure(subject, copies * len(some), rows, text, _without(layer, some, len(copies)))
            effects[layer, some] = _effects(changed, base, reference, len(some))
        if progress is not None:
            progress("ablating heads", (layer + 1) * heads, layers * heads)
    return {
        "measure": "loss" if with_loss else "vector",
        "hidden": places if with_loss else [],
        "base": float(base.mean()) if with_loss else 0.0,
        "effects": effects.tolist(),
    }


def hidden_places(text: TokenisedText, most: int) -> list[int]:
    """Places of at most `most` tokens that are not special, evenly spread over the text."""
    places = [place for place, special in enumerate(text.special) if not special]
    if len(places) <= most:
        return places
    return [places[number * len(places) // most] for number in range(most)]


def masked_copies(text: TokenisedText, places: Sequence[int], mask: int) -> list[TokenisedText]:
    """A copy of the text for each place, with the token there hidden."""
    copies = []
    for place in places:
        ids = text.ids.copy()
        ids[place] = mask
        copies.append(text.with_ids(ids))
    return copies


def _groups(heads: int, size: int) -> Iterator[list[int]]:
    for first in range(0, heads, size):
        yield list(range(first, min(first + size, heads)))


def _without(layer: int, heads: Sequence[int], copies: int) -> tuple[Intervention, ...]:
    """One head of the layer less in each run of `copies` texts."""
    return tuple(
        ablate(f"layers.{layer}.attn.heads", heads=head, texts=list(range(at * copies, (at + 1) * copies)))
        for at, head in enumerate(heads)
    )


def _measure(
    subject: Subject,
    texts: Sequence[TokenisedText],
    rows: Sequence[int] | None,
    text: TokenisedText,
    interventions: Sequence[Intervention],
) -> Tensor:
    """Losses (texts) of the hidden tokens in nats, fp64; without hidden tokens the vectors (texts, W)."""
    if rows is None:
        with subject.trace(list(texts), keep=["sentence"], interventions=interventions) as trace:
            return torch.stack([trace["sentence"][one] for one in range(len(texts))]).double().cpu()
    head = subject.masked_lm
    if head is None:
        raise ValueError("a masked-token loss needs a masked LM")
    with subject.trace(list(texts), keep=["final"], interventions=interventions) as trace, torch.no_grad():
        which = [rows[one % len(rows)] for one in range(len(texts))]
        states = torch.stack([trace["final"][one][row] for one, row in enumerate(which)])
        selected, table = (
            torch.arange(len(which), device=states.device),
            subject.network.encoder.token_embedding,
        )
        with subject.computing():
            logits = head(states, selected, table)
        targets = torch.tensor([int(text.ids[row]) for row in which], device=states.device)
        return F.cross_entropy(logits.float(), targets, reduction="none").double().cpu()


def _effects(changed: Tensor, base: Tensor, reference: Tensor | None, heads: int) -> NDArray[np.float64]:
    if reference is None:
        return (changed.view(heads, -1).mean(1) - base.mean()).numpy()
    return (1 - F.cosine_similarity(changed, reference, dim=1)).numpy()
