"""The battery: what each head of a model looks at, over the texts of a corpus, by language.

Shapes: E texts, n tokens of a text, K languages, L layers, H heads, S scores (`patterns.SCORES`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xformer.data.reporting import ProgressCallback
from xformer.errors import InputError
from xformer.inspect.analysis.importance import HeadImportance, masked_importance, sentence_importance
from xformer.inspect.analysis.language_spread import LanguageSpread, language_means, language_spread
from xformer.inspect.analysis.patterns import SCORES, UNITS, delimiters, head_scores, rarest, uniform_scores
from xformer.inspect.analysis.replaced_heads import Replacement
from xformer.inspect.subject import Subject
from xformer.inspect.texts import TextSample
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.weights import AttentionWeights

SHARES = tuple(name for name in SCORES if name not in UNITS)
"""The scores that are shares of a head's weight."""

_BLOCK_BYTES = 1 << 27
"""About what the activations of one block of texts take."""
_WEIGHTS_AT_ONCE = 1 << 22
"""Weights (heads × rows × keys) that are computed at a time."""


@dataclass(frozen=True)
class HeadTable:
    """Scores of all heads, means over texts.

    Attributes:
        name: of the model.
        source: of the texts.
        languages: tags; one empty tag where languages are not known.
        texts: number of texts of each language.
        tokens: number of tokens in all.
        left_out: texts without tokens, or longer than the model was trained on.
        scores: (K, L, H, S) fp64; NaN where no text of a language has the score.
        uniform: (K, S) what a head would have that attends to all tokens alike: it depends on how long texts
            are, and so on the language.
        spread: of the shares less those of a uniform head, (L·H, shares); None with fewer than two languages.
        disagreement: the largest difference between weights times values and the fused kernel's output.
    """

    name: str
    source: str
    languages: tuple[str, ...]
    texts: tuple[int, ...]
    tokens: int
    left_out: int
    scores: Tensor
    uniform: Tensor
    spread: LanguageSpread | None
    disagreement: float

    @property
    def mean(self) -> Tensor:
        """(L, H, S) means over languages, each of the same weight."""
        return self.scores.nanmean(dim=0)

    @property
    def uniform_mean(self) -> Tensor:
        """(S,) the uniform head's, over languages."""
        return self.uniform.nanmean(dim=0)


def measure_heads(
    subject: Subject,
    sample: TextSample,
    *,
    block_bytes: int = _BLOCK_BYTES,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> HeadTable:
    """Score every head on every text.

    Texts go through the model in blocks, and weights are computed some rows at a time: kept of each text are
    its scores, and the square of its length is never in memory. Rare tokens are those that are rare among
    these texts.

    Args:
        subject: the model.
        sample: the texts.
        block_bytes: about what a block's activations may take.
        seed: of the shuffles that say what chance gives.
        progress: called with ("heads", texts done, texts in all).

    Raises:
        InputError: no text is left that the model can read.
    """
    tokenised, labels, left_out = _tokenised(subject, sample)
    counts = np.bincount(np.concatenate([one.ids for one in tokenised]))
    config, found, even = subject.config, [], []
    disagreement, done = 0.0, 0
    for block in blocks(subject, tokenised, "layers.*.attn.weights", block_bytes):
        with subject.trace(block, keep="layers.*.attn.weights") as trace:
            layers: list[AttentionWeights] = [
                trace[f"layers.{layer}.attn.weights"] for layer in range(config.n_layers)
            ]
        for number, text in enumerate(block):
            marks = _marks(text, counts)
            scores = [
                head_scores(_rows(weights, number, len(text), config.n_heads), *marks) for weights in layers
            ]
            found.append(torch.stack(scores).transpose(1, 2).cpu())
            even.append(uniform_scores(*marks))
        disagreement = max(disagreement, *(one.disagreement or 0.0 for one in layers))
        done += len(block)
        if progress is not None:
            progress("heads", done, len(tokenised))
    per_text, uniform, language = torch.stack(found), torch.stack(even), torch.tensor(labels)
    n_languages = len(sample.languages)
    return HeadTable(
        name=subject.name,
        source=sample.source,
        languages=sample.languages,
        texts=tuple(torch.bincount(language, minlength=n_languages).tolist()),
        tokens=sum(map(len, tokenised)),
        left_out=left_out,
        scores=language_means(per_text, language, n_languages),
        uniform=language_means(uniform, language, n_languages),
        spread=_spread(per_text, uniform, language, n_languages, seed),
        disagreement=disagreement,
    )


def measure_importance(
    subject: Subject, sample: TextSample, *, seed: int = 0, progress: ProgressCallback | None = None
) -> HeadImportance:
    """How much the model needs each head, by language: for hidden tokens, or for its sentence vectors.

    It takes one or two passes over all texts for each head. Heads are replaced by their mean output; where
    there are several languages, also by that over the text's own language, so that they keep what they say of
    the language.

    Args:
        subject: the model; of one without a masked LM, sentence vectors are looked at.
        sample: the texts.
        seed: of the hidden tokens.
        progress: called with ("head importance", passes over a batch done, passes in all).

    Raises:
        InputError: no text is left that the model can read.
    """
    texts, labels, _ = _tokenised(subject, sample)
    hides = subject.masked_lm is not None and subject.mask_id is not None
    measure = masked_importance if hides else sentence_importance
    tags = [sample.languages[label] for label in labels]
    how: list[Replacement] = ["mean", "language"] if len(set(tags)) > 1 else ["mean"]
    return measure(subject, texts, tags, how=how, seed=seed, progress=progress)


def blocks(
    subject: Subject, texts: Sequence[TokenisedText], keep: str | Sequence[str], block_bytes: int
) -> Iterator[list[TokenisedText]]:
    """Texts in blocks whose traces take about so many bytes; a text that is larger is a block of its own.

    Args:
        subject: the model.
        texts: in their order.
        keep: what will be traced.
        block_bytes: of a block.
    """
    block: list[TokenisedText] = []
    size = 0
    for text in texts:
        own = subject.trace_bytes([text], keep)
        if block and size + own > block_bytes:
            yield block
            block, size = [], 0
        block.append(text)
        size += own
    if block:
        yield block


def _tokenised(subject: Subject, sample: TextSample) -> tuple[list[TokenisedText], list[int], int]:
    """The texts that the model can read, the number of each one's language, and how many are left out."""
    found: list[TokenisedText] = []
    labels: list[int] = []
    for number, texts in enumerate(sample.texts.values()):
        for text in texts.values():
            tokens = subject.tokenise(text)
            if 0 < len(tokens) <= subject.max_length:
                found.append(tokens)
                labels.append(number)
    if not found:
        raise InputError(
            f"{sample.source}: expected texts of 1 to {subject.max_length} tokens, found none among"
            f" {len(sample):,}"
        )
    return found, labels, len(sample) - len(found)


def _marks(text: TokenisedText, counts: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """The ids of a text's tokens, which of them of a text are delimiters, and which are the rarest."""
    delimiter = delimiters([text.text[a:b] for a, b in text.spans], text.special)
    return torch.tensor(text.ids), delimiter, rarest(torch.from_numpy(counts[text.ids]), ~delimiter)


def _rows(weights: AttentionWeights, text: int, n: int, n_heads: int) -> Iterator[Tensor]:
    """The weights of a text, some rows at a time."""
    step = max(1, _WEIGHTS_AT_ONCE // (n * n_heads))
    for begin in range(0, n, step):
        yield weights.text(text, rows=list(range(begin, min(n, begin + step))))


def _spread(
    per_text: Tensor, uniform: Tensor, language: Tensor, n_languages: int, seed: int
) -> LanguageSpread | None:
    """The spread of the shares, less what the lengths of texts and their delimiters alone give."""
    if len(torch.unique(language)) < 2:
        return None
    own = [SCORES.index(name) for name in SHARES]
    beyond = (per_text - uniform[:, None, None])[..., own].flatten(1, 2)
    return language_spread(beyond, language, n_languages, seed=seed)
