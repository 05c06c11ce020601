"""Words of a sentence and of its translation, aligned by each layer's states and by each head's attention.

States are compared in the coordinates that sentence vectors are pooled from. Others, where a model has some
(`pooled_dim_fraction`), hold what differs between languages.

Shapes: L layers, H heads, n and m tokens of the left and the right text, N words of a text, C d_model, W the
coordinates that are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.analysis.alignment_links import Links
from xformer.inspect.analysis.word_alignment import (
    Symmetrisation,
    attention_of_words,
    best_of_columns,
    best_of_rows,
    cosines,
    itermax,
    links_of_words,
    mutual_argmax,
    mutual_softmax,
    symmetrise,
)
from xformer.inspect.analysis.words import split_words, words_of_spans
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.tokenizer.special import EOS_ID, SPECIAL_PIECES

Method = Literal["argmax", "itermax", "softmax"]
Unit = Literal["word", "token"]
Pair = tuple[str, str]

_PAIRS_AT_ONCE = 32


def state_names(layers: int) -> list[str]:
    """The L + 1 names of the residual stream before the first layer and after each."""
    return ["layers.0.resid_pre", *(f"layers.{layer}.resid_post" for layer in range(layers))]


def links_of_states(left: Tensor, right: Tensor, method: Method = "argmax") -> Links:
    """Token links of the states of two texts.

    Args:
        left: (n, W).
        right: (m, W).
        method: `argmax` and `itermax` of cosines (Jalili Sabet et al. 2020), `softmax` of inner products (Dou
            and Neubig 2021).

    Raises:
        InputError: `method` is none of these.
    """
    wide = torch.promote_types(left.dtype, torch.float32)
    left, right = left.to(wide), right.to(wide)
    if method == "argmax":
        return mutual_argmax(cosines(left, right))
    if method == "itermax":
        return itermax(((1 + cosines(left, right)) / 2).clamp(min=0))
    if method == "softmax":
        return mutual_softmax(left @ right.T)
    raise InputError(f"method: expected argmax, itermax or softmax, got {method!r}")


def align_by_states(
    subject: Subject,
    pairs: Sequence[Pair],
    method: Method = "argmax",
    *,
    unit: Unit = "word",
    layers: Sequence[int] | None = None,
) -> list[list[Links]]:
    """Align the words of each pair by the states after each layer.

    Args:
        subject: the model.
        pairs: sentences and their translations.
        method: see `links_of_states`.
        unit: `word`: a word's state is the mean of its tokens'. `token`: tokens are aligned, and words linked
            where any of their tokens are. Both from Jalili Sabet et al. (2020, section 3.1).
        layers: numbers of layers that have been run, from 0 to L; None for all of these.

    Returns:
        For each of `layers` the links of each pair.

    Raises:
        InputError: there is no such layer, method or unit.
    """
    if unit not in get_args(Unit):
        raise InputError(f"unit: expected word or token, got {unit!r}")
    every, width = state_names(subject.config.n_layers), subject.config.pooled_dim
    if wrong := [layer for layer in layers or () if not 0 <= layer < len(every)]:
        raise InputError(f"layers: expected 0 to {len(every) - 1}, got {wrong[0]}")
    names = every if layers is None else [every[layer] for layer in layers]
    found: list[list[Links]] = [[] for _ in names]
    for block in _blocks(pairs):
        texts = [_Words.of(subject.tokenise(text)) for pair in block for text in pair]
        with subject.trace([one.text for one in texts], keep=names) as trace:
            for layer, name in enumerate(names):
                states = trace[name]
                for k in range(0, len(texts), 2):
                    left, right = texts[k], texts[k + 1]
                    ours, theirs = states[k][:, :width], states[k + 1][:, :width]
                    if unit == "word":
                        links = links_of_states(left.means(ours), right.means(theirs), method)
                        found[layer].append(
                            frozenset((i, j) for i, j in links if i in left.words and j in right.words)
                        )
                    else:
                        links = links_of_states(ours[left.tokens], theirs[right.tokens], method)
                        found[layer].append(links_of_words(links, left.words, right.words))
    return found


def align_tokens(
    subject: Subject,
    left: TokenisedText,
    right: TokenisedText,
    *,
    layer: int | None = None,
    method: Method = "argmax",
) -> list[tuple[int, int]]:
    """Align the tokens of two texts by their states, as links for patching.

    Args:
        subject: the model.
        left: the first text.
        right: the second one.
        layer: number of layers that have been run; None for the layer of sentence vectors, or the last.
        method: see `links_of_states`.

    Returns:
        Places of tokens, left and right, in order. Tokens such as `[CLS]` have none.

    Raises:
        InputError: there is no such layer.
    """
    layers = subject.config.n_layers
    chosen = (subject.layer if subject.layer is not None else layers) if layer is None else layer
    if not 0 <= chosen <= layers:
        raise InputError(f"layer: expected 0 to {layers}, got {chosen}")
    name = state_names(layers)[chosen]
    ours, theirs = _Words.of(left).tokens, _Words.of(right).tokens
    with subject.trace([left, right], keep=name) as trace:
        left_states, right_states = (trace[name][text][:, : subject.config.pooled_dim] for text in (0, 1))
        links = links_of_states(left_states[ours], right_states[theirs], method)
    return sorted((ours[i], theirs[j]) for i, j in links)


def align_by_attention(
    subject: Subject, pairs: Sequence[Pair], how: Symmetrisation = "intersection"
) -> list[list[list[Links]]]:
    """Align the words of each pair by the attention of each head, in one sequence of both texts.

    A left word is linked to the right word that it attends to most, and the other way round; `how` makes one
    alignment of both. Attention is summed over the tokens of a key's word and averaged over a query's.

    Args:
        subject: the model.
        pairs: sentences and their translations.
        how: see `symmetrise`.

    Returns:
        For each of L layers and H heads, the links of each pair.
    """
    layers, heads = subject.config.n_layers, subject.config.n_heads
    found: list[list[list[Links]]] = [[[] for _ in range(heads)] for _ in range(layers)]
    for block in _blocks(pairs):
        joined = [join(subject.tokenise(left), subject.tokenise(right)) for left, right in block]
        with subject.trace([one.text for one in joined], keep=["layers.*.attn.weights"]) as trace:
            for layer in range(layers):
                weights = trace[f"layers.{layer}.attn.weights"]
                for k, pair in enumerate(joined):
                    there, back = pair.between(weights[k])
                    for head in range(heads):
                        found[layer][head].append(
                            symmetrise(best_of_rows(there[head]), best_of_columns(back[head].T), how)
                        )
    return found


@dataclass(frozen=True)
class JoinedPair:
    """A sentence and its translation as one sequence.

    Attributes:
        text: both, as the model reads them.
        left: places of the left text's tokens, special ones left out.
        right: the same of the right text's.
        left_words: the word of each of `left`, counted in the left text.
        right_words: the same for the right text.
    """

    text: TokenisedText
    left: tuple[int, ...]
    right: tuple[int, ...]
    left_words: tuple[int, ...]
    right_words: tuple[int, ...]

    def between(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Attention of left words to right ones, (H, N, M), and of right words to left ones, (H, M, N).

        Args:
            weights: (H, n, n) of the sequence.
        """
        left, right = list(self.left), list(self.right)
        there = weights[:, left][:, :, right]
        back = weights[:, right][:, :, left]
        return (
            attention_of_words(there, self.left_words, self.right_words),
            attention_of_words(back, self.right_words, self.left_words),
        )


def join(left: TokenisedText, right: TokenisedText) -> JoinedPair:
    """Put two texts into one sequence, as encoders of pairs read them: `[CLS] left [SEP] right [SEP]`.

    Where texts have no special tokens, `</s>` stands between them, as in translation language modelling here.
    Positions are counted through, and both texts are of the first segment.
    """
    added = [_is_added(right, k) for k in range(len(right))]
    between = [] if len(left) and _is_added(left, -1) else [EOS_ID]
    begin = added.index(False) if False in added else len(right)
    gap = len(left) + len(between) - begin
    shift, word_shift = len(left.text) + 1, max(left.words, default=-1) + 1
    text = TokenisedText(
        text=f"{left.text}\n{right.text}",
        ids=np.concatenate([left.ids, np.array(between, dtype=np.int64), right.ids[begin:]]),
        pieces=(*left.pieces, *(SPECIAL_PIECES[i] for i in between), *right.pieces[begin:]),
        spans=(
            *left.spans,
            *((shift - 1, shift - 1) for _ in between),
            *((start + shift, end + shift) for start, end in right.spans[begin:]),
        ),
        special=(*left.special, *(True for _ in between), *right.special[begin:]),
        words=(
            *left.words,
            *(-1 for _ in between),
            *(word + word_shift if word >= 0 else -1 for word in right.words[begin:]),
        ),
    )
    ours, theirs = _Words.of(left), _Words.of(right)
    return JoinedPair(
        text, tuple(ours.tokens), tuple(token + gap for token in theirs.tokens), ours.words, theirs.words
    )


@dataclass(frozen=True)
class _Words:
    """The tokens that a text's characters gave, the word of each by `split_words`, the number of words."""

    text: TokenisedText
    tokens: list[int]
    words: tuple[int, ...]
    count: int

    @classmethod
    def of(cls, text: TokenisedText) -> _Words:
        tokens = [k for k in range(len(text)) if not _is_added(text, k)]
        spans = [text.spans[k] for k in tokens]
        words = split_words(text.text)
        return cls(text, tokens, words_of_spans(spans, words), len(words))

    def means(self, states: Tensor) -> Tensor:
        """(N, W) in at least fp32: the mean of each word's tokens; zeros for a word that has none.

        Args:
            states: (n, W) of all tokens of the text.
        """
        states = states[self.tokens].to(torch.promote_types(states.dtype, torch.float32))
        shares = torch.zeros(self.count, len(self.tokens), dtype=states.dtype, device=states.device)
        for token, word in enumerate(self.words):
            if word >= 0:
                shares[word, token] = 1
        return (shares / shares.sum(dim=1, keepdim=True).clamp(min=1)) @ states


def _is_added(text: TokenisedText, token: int) -> bool:
    """Whether a token stands for no character of the text, as `[CLS]`; an unknown word's token does."""
    start, end = text.spans[token]
    return text.special[token] and start == end


def _blocks(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
        yield pairs[begin : begin + _PAIRS_AT_ONCE]
