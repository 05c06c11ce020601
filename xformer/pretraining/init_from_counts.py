"""What a model knows before its first step, because it can be counted.

How often a token occurs in which language is read off the training split in seconds; by gradients, a few
hundred hidden tokens a step, it takes hours. So a model starts with

- the log frequencies of all tokens as the bias of its output;
- what each token says about the language in those coordinates of its embedding that no sentence's vector is
  made of: log p(token | language) / p(token), over all languages, rotated to as few coordinates as there are.
  Averaged over a text that is the evidence of a naive Bayes classifier of languages; multiplied with the
  evidence of a text by a tied output, it raises the tokens of that text's language;
- a first attention that is the mean over the text, so that every token has that evidence from the start.

None of it moves a sentence's vector, which is the mean of its tokens' first coordinates: to every token of
a text the attention adds that mean itself.

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
"""How many tokens of a language the frequencies of all languages weigh as much as."""

_MOST = 4.0
"""Largest log ratio, either way: a token's absence from a small language says little."""

_SCALE = 0.25
"""Standard deviation of the coordinates: about that of the others once they are trained."""


@torch.no_grad()
def start_from_counts(model: MultilingualModel, counts: NDArray[np.int64]) -> None:
    """Set a new model's output bias, its embedding's last coordinates and its first attention.

    Args:
        model: with its initial weights. One without a bias at its output, without coordinates of its own
            beside a sentence's vector, or without `zero_init_residual`, has that part left as it is.
        counts: (L, V) how often each token occurs in each language of the training split.
    """
    config = model.config
    if model.masked_lm.bias is not None:
        once_more = counts.sum(axis=0) + 1.0
        log_probs = torch.from_numpy(np.log(once_more / once_more.sum())).float()
        init_output_from_unigram(model.masked_lm, log_probs)
    if config.pooled_dim < config.d_model:
        features = torch.from_numpy(language_features(counts, config.d_model - config.pooled_dim))
        columns = model.encoder.token_embedding[:, config.pooled_dim :][:, : features.shape[1]]
        columns.copy_(_SCALE * features)
    if config.zero_init_residual and config.n_layers:
        init_attention_as_mean(model.encoder.layers[0].get_submodule("attn"))


def language_features(counts: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """What each token says about the language.

    Args:
        counts: (L, V).
        width: most coordinates.

    Returns:
        (V, min(width, L)): the (V, L) log ratios log p(t | l) / p(t), less each language's mean, along the
        directions in which they vary most; of unit variance all together. Zero for special tokens.
    """
    share = (counts.sum(axis=0) + 1.0) / (counts.sum() + counts.shape[1])
    in_language = (counts + _PSEUDO_TOKENS * share) / (counts.sum(axis=1, keepdims=True) + _PSEUDO_TOKENS)
    ratios = np.clip(np.log(in_language / share), -_MOST, _MOST).T
    text = ratios[FIRST_BYTE_ID:]
    text = text - text.mean(axis=0)
    _, directions = np.linalg.eigh(text.T @ text)
    chosen = directions[:, ::-1][:, :width]
    # An eigenvector may point either way; a fixed one makes the start the same everywhere.
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.sign(chosen[largest, np.arange(chosen.shape[1])])
    features = np.zeros((counts.shape[1], chosen.shape[1]))
    features[FIRST_BYTE_ID:] = text @ chosen
    deviation = features[FIRST_BYTE_ID:].std()
    return features / deviation if deviation > 0 else features
