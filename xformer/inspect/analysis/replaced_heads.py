"""A measure of texts with each head in turn replaced, and its gradient by each head.

Shapes: N texts, B of them in a batch, n tokens of one, R tokens of a batch, K languages, L layers, H heads,
D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from xformer.data.reporting import ProgressCallback
from xformer.embedding.encode import length_batches
from xformer.errors import InputError
from xformer.inspect.analysis.statistics import Numbers
from xformer.inspect.interventions import Intervention, ablate, replace
from xformer.inspect.names import layer_name
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace

Replacement = Literal["zero", "mean", "language"]
"""What stands in for a head's output: zeros; its mean over all tokens of all texts, or over those of the
text's language."""

Measure = Callable[[Trace, Sequence[int]], Tensor]
"""From a trace and the numbers of its texts, values of each text."""

_HEADS = "layers.*.attn.heads"


def gate_gradient(heads: Tensor, gradient: Tensor) -> Tensor:
    """`Σ_n o_n · ∂F/∂o_n`, the derivative by a factor on each head.

    Args:
        heads: (n, H, D) outputs o.
        gradient: (n, H, D) of F by them.

    Returns:
        (H,) float64.
    """
    return torch.einsum("nhd,nhd->h", heads.double(), gradient.double())


def gate_gradients(trace: Trace) -> Tensor:
    """`gate_gradient` of each text and layer, (N, L, H), of a trace after `backward`."""
    layers = []
    for layer in range(trace.subject.config.n_layers):
        name = layer_name(layer, "attn.heads")
        heads, slopes = trace[name], trace.gradient(name)
        layers.append([gate_gradient(heads[text].detach(), slopes[text]) for text in range(len(heads))])
    return torch.stack([torch.stack(texts) for texts in layers], dim=1).cpu()


def measure_heads(
    subject: Subject,
    texts: Sequence[TokenisedText],
    languages: Sequence[str],
    keep: str,
    value: Measure,
    slopes: Measure,
    how: Sequence[Replacement],
    batch_tokens: int,
    progress: ProgressCallback | None,
) -> tuple[Numbers, Numbers, dict[str, Numbers]]:
    """A measure of each text: untouched, by gradient, and with each head replaced.

    Args:
        subject: the model.
        texts: N texts.
        languages: a tag for each.
        keep: the activation that `value` asks a trace for.
        value: (B,) the measure of a trace's texts.
        slopes: (B, L, H) the importance by gradient, of a trace with gradients that kept the heads' outputs.
        how: the ways of replacing a head.
        batch_tokens: most tokens in a batch.
        progress: called with ("head importance", passes over a batch done, passes in all).

    Returns:
        The measure (N,), that by gradient (N, L, H), and its change by each way of replacing (N, L, H).

    Raises:
        InputError: a way is unknown, or a text has no tokens.
    """
    for one in how:
        if one not in get_args(Replacement):
            raise InputError(f"how: expected {', '.join(get_args(Replacement))}; got {one!r}")
    if empty := [number for number, text in enumerate(texts) if not len(text)]:
        raise InputError(f"texts[{empty[0]}]: expected a text, it has no tokens")
    n_layers, n_heads = subject.config.n_layers, subject.config.n_heads
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    batches = list(length_batches(lengths, batch_tokens))
    untouched = np.zeros(len(texts))
    gradient = np.zeros((len(texts), n_layers, n_heads))
    change: dict[str, Numbers] = {one: np.zeros_like(gradient) for one in how}
    tags, language = np.unique(np.array(languages, dtype=object), return_inverse=True)
    sums = torch.zeros(len(tags), n_layers, n_heads, subject.config.d_head, dtype=torch.float64)
    done, in_all = 0, len(batches) * (1 + n_layers * n_heads * len(how))

    def told() -> None:
        nonlocal done
        done += 1
        if progress:
            progress("head importance", done, in_all)

    for numbers in batches:
        with subject.trace([texts[n] for n in numbers], keep=[_HEADS, keep], gradients=True) as trace:
            gradient[numbers] = slopes(trace, numbers.tolist()).numpy()
            untouched[numbers] = value(trace, numbers.tolist()).cpu().numpy()
            for layer in range(n_layers):
                outputs = trace[layer_name(layer, "attn.heads")]
                for text, its in enumerate(language[numbers]):
                    sums[its, layer] += outputs[text].detach().double().sum(0).cpu()
        told()
    n_tokens = torch.from_numpy(np.bincount(language, weights=lengths))
    for numbers in batches:
        its = torch.from_numpy(np.repeat(language[numbers], lengths[numbers]))
        for change_of, layer, head, intervention in _replacements(how, sums, n_tokens, its):
            with subject.trace([texts[n] for n in numbers], keep=keep, interventions=[intervention]) as trace:
                found = value(trace, numbers.tolist()).cpu().numpy()
            change[change_of][numbers, layer, head] = found - untouched[numbers]
            told()
    return untouched, gradient, change


def _replacements(
    how: Sequence[Replacement], sums: Tensor, n_tokens: Tensor, language: Tensor
) -> Iterator[tuple[str, int, int, Intervention]]:
    """How, layer, head and the intervention, for each head.

    Args:
        how: the ways of replacing.
        sums: (K, L, H, D) of the heads' outputs over the tokens of each language.
        n_tokens: (K,) float64.
        language: (R,) number of the language of each token of the batch, one text after the other.
    """
    overall, own = sums.sum(0) / n_tokens.sum(), sums / n_tokens[:, None, None, None]
    for one in how:
        for layer in range(sums.shape[1]):
            name = layer_name(layer, "attn.heads")
            for head in range(sums.shape[2]):
                if one == "zero":
                    yield one, layer, head, ablate(name, heads=head)
                else:
                    value = overall[layer, head] if one == "mean" else own[language, layer, head][:, None]
                    yield one, layer, head, replace(name, value, heads=head)
