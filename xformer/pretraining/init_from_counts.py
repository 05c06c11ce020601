"""Initialisation from counts: the token counts of the training split set some of a model's first weights.

Counting each token in each language takes seconds; learning the same by gradients, with a few hundred masked
tokens a step, takes hours. So a model starts with

- the log frequencies of all tokens as the bias of its output;
- language features of each token, in those coordinates of its embedding that sentence vectors do not use:
  log p(token | language) / p(token) of all languages, projected to the number of these coordinates. Their
  mean over a text is the evidence of a naive Bayes classifier of languages. A tied output multiplies this
  mean by the features of each token, and so raises the logits of the tokens of the text's language;
- a first attention that computes the mean over the text, so that each token has that evidence.

Sentence vectors do not change: such a vector is the mean of its tokens' first coordinates, and the attention
adds this mean to each of them.

Shapes: L languages, V vocabulary, C d_model, D width of a sentence's vector.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.model.init import init_attention_as_mean, init_output_from_unigram
from xformer.model.multilingual import MultilingualModel
from xformer.tokenizer.special import FIRST_BYTE_ID

_PSEUDO_TOKENS = 1_000.0
"""Weight of the overall frequencies when those of one language are estimated, in tokens."""

_MAX_LOG_RATIO = 4.0
"""Largest absolute log ratio. That a small language lacks a token is weak evidence."""

_SCALE = 0.25
"""Standard deviation of the features: about that of the other coordinates after training."""


@torch.no_grad()
def init_from_counts(model: MultilingualModel, counts: NDArray[np.int64]) -> None:
    """Set a new model's output bias, its embedding's last coordinates and its first attention.

    Args:
        model: with its initial weights. A part is skipped if the model has no bias at its output, no
            coordinates beside those of sentence vectors, or no `zero_init_residual`.
        counts: (L, V) counts of each token in each language of the training split.
    """
    config = model.config
    if model.masked_lm.bias is not None:
        smoothed = counts.sum(axis=0) + 1.0
        log_probs = torch.from_numpy(np.log(smoothed / smoothed.sum())).float()
        init_output_from_unigram(model.masked_lm, log_probs)
    if config.pooled_dim < config.d_model:
        features = torch.from_numpy(language_features(counts, config.d_model - config.pooled_dim))
        columns = model.encoder.token_embedding[:, config.pooled_dim :][:, : features.shape[1]]
        columns.copy_(_SCALE * features)
    if config.zero_init_residual and config.n_layers:
        init_attention_as_mean(model.encoder.layers[0].get_submodule("attn"))


def language_features(counts: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """Language features of each token: principal components of its log ratios.

    Args:
        counts: (L, V).
        width: largest number of components.

    Returns:
        (V, min(width, L)): the (V, L) log ratios log p(t | l) / p(t), without each language's mean, projected
        on the directions of largest variance, and scaled to unit variance. Zero for special tokens.
    """
    share = (counts.sum(axis=0) + 1.0) / (counts.sum() + counts.shape[1])
    in_language = (counts + _PSEUDO_TOKENS * share) / (counts.sum(axis=1, keepdims=True) + _PSEUDO_TOKENS)
    ratios = np.clip(np.log(in_language / share), -_MAX_LOG_RATIO, _MAX_LOG_RATIO).T
    text = ratios[FIRST_BYTE_ID:]
    text = text - text.mean(axis=0)
    _, directions = np.linalg.eigh(text.T @ text)
    chosen = directions[:, ::-1][:, :width]
    # The sign of an eigenvector is arbitrary; a fixed sign gives the same weights on all machines.
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.sign(chosen[largest, np.arange(chosen.shape[1])])
    features = np.zeros((counts.shape[1], chosen.shape[1]))
    features[FIRST_BYTE_ID:] = text @ chosen
    deviation = features[FIRST_BYTE_ID:].std()
    return features / deviation if deviation > 0 else features
