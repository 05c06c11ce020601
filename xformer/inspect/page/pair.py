"""A sentence beside its translation: where their tokens are alike, and where one attends to the other.

Letters: a and b tokens of the two texts, L layers, H heads, C width of a state.

Likeness is the cosine of the tokens' states, each text read alone, before the first block and after each.
Attention is that of both texts read as one sequence, A and then B: the rows of A over the columns of B, and
the other way round. An encoder-decoder has cross-attention instead, from B, the target, to A, the source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import Traced
from xformer.inspect.page.payload import JSON
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText

BUDGET = 1_000_000
"""Bytes that attention between the two texts may take in a page, before base64, which adds a third."""


def joined(a: TokenisedText, b: TokenisedText) -> tuple[TokenisedText, NDArray[np.int64], NDArray[np.int64]]:
    """Both texts as one, and where the tokens of each lie in it.

    A special token that begins both texts, such as `[CLS]`, begins the joined one once; it is then a token of
    both. What a tokenizer puts at the end of a text, such as `[SEP]`, stays between them.

    Returns:
        The joined text, and the places (a) and (b) of the tokens of A and of B.
    """
    once = bool(len(a.ids) and len(b.ids) and a.special[0] and a.ids[0] == b.ids[0])
    kept = slice(1 if once else 0, None)
    text = f"{a.text} {b.text}"
    shift, words = len(a.text) + 1, max((*a.words, -1)) + 1
    both = TokenisedText(
        text,
        np.concatenate([a.ids, b.ids[kept]]),
        (*a.pieces, *b.pieces[kept]),
        (*a.spans, *((start + shift, end + shift) for start, end in b.spans[kept])),
        (*a.special, *b.special[kept]),
        (*a.words, *(word + words if word >= 0 else -1 for word in b.words[kept])),
    )
    places = np.arange(len(b.ids)) + len(a.ids) - int(once)
    if once:
        places[0] = 0
    return both, np.arange(len(a.ids)), places


def likeness(trace: Traced, a: int, b: int) -> list[NDArray[np.float32]]:
    """Cosines (a, b) of the states of two texts in a trace, before the first block and after each."""
    layers = range(trace.subject.config.n_layers)
    names = ["embeddings", *(f"layers.{layer}.resid_post" for layer in layers)]
    found = []
    for name in names:
        one, other = (F.normalize(trace[name][text].detach().double(), dim=-1) for text in (a, b))
        found.append((one @ other.T).clamp(-1, 1).float().cpu().numpy())
    return found


def pair(
    subject: Subject, trace: Traced, blobs: Blobs, *, texts: tuple[int, int] = (0, 1), budget: int = BUDGET
) -> JSON:
    """The part `pair` of a run.

    Args:
        subject: the model, which reads the joined texts.
        trace: holds both texts and `embeddings` and `resid_post` of all layers.
        blobs: takes the arrays.
        texts: numbers of A and B in the trace and in the run's texts.
        budget: bytes that the attention of all heads may take.

    Returns:
        `kind`: "joined-encoder"; an encoder-decoder would say "encoder-decoder" and have `b_to_a` alone;
        `texts`; `cosine`, a blob (a, b) of int8, 127 for 1, for each of L + 1 states; `a_to_b` and `b_to_a`,
        (L, H) numbers of blobs of weights (a, b) and (b, a); `crossing` (L, H, 2), the mean share of
        attention that tokens of A give to B, and of B to A; `error`, the largest difference between a weight
        as shown and as computed; `notes`.
    """
    one, other = (trace.texts[text] for text in texts)
    both, at_a, at_b = joined(one, other)
    layers, heads = subject.config.n_layers, subject.config.n_heads
    each = budget // max(1, 2 * layers * heads)
    ways: dict[str, list[list[int]]] = {"a_to_b": [], "b_to_a": []}
    crossing = np.zeros((layers, heads, 2))
    worst, notes = 0.0, _notes(one, other, trace)
    with subject.trace([both], keep=["layers.*.attn.weights"]) as pass_of_both:
        notes += [note for note in pass_of_both.notes if note not in notes]
        for layer in range(layers):
            weights = pass_of_both[f"layers.{layer}.attn.weights"][0].float().cpu().numpy()
            for way, (rows, columns) in enumerate(((at_a, at_b), (at_b, at_a))):
                numbers = []
                for head in range(heads):
                    block = np.ascontiguousarray(weights[head][np.ix_(rows, columns)])
                    number, made = blobs.add_weights(block, each)
                    numbers.append(number)
                    worst = max(worst, float(np.abs(made.decode() - block).max(initial=0)))
                    crossing[layer, head, way] = _crossing(weights[head], rows, columns)
                ways[("a_to_b", "b_to_a")[way]].append(numbers)
    return {
        "kind": "joined-encoder",
        "texts": list(texts),
        "cosine": [blobs.add(np.rint(127 * found).astype(np.int8)) for found in likeness(trace, *texts)],
        **ways,
        "crossing": crossing.tolist(),
        "error": worst,
        "notes": notes,
    }


def _crossing(weights: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
    """The mean share that queries of one text give to the other's tokens; a shared token is of neither."""
    shared = np.intersect1d(rows, columns)
    own, others = np.setdiff1d(rows, shared), np.setdiff1d(columns, shared)
    return float(weights[np.ix_(own, others)].sum(axis=1).mean()) if own.size else 0.0


def _notes(a: TokenisedText, b: TokenisedText, trace: Traced) -> list[str]:
    found = [
        "A model that was never trained on two texts at once may do there what it does nowhere else.",
    ]
    total, most = len(a.ids) + len(b.ids), trace.subject.max_length
    longer = f"Together they have {total} tokens, more than the {most} of training."
    return [*found, longer] if total > most else found
