"""How much each head matters: by gradient and by ablation, for each language.

Two measures of a text.

* **Masked tokens**: the mean loss L of its hidden tokens, in nats. With ξ_lh a factor on the output of head
  h of layer l, 1 in the model as it is:
  - by gradient (Michel, Levy and Neubig 2019, "Are Sixteen Heads Really Better than One?", equation 2):
    `|∂L/∂ξ_lh| = |Σ_n o_n · ∂L/∂o_n|`, with o_n the head's output at token n. The size is taken of each text,
    so that texts do not cancel. They divide by the norm over a layer's heads; here values stay in nats.
  - by ablation: `L(head replaced) − L`, positive where the head helps.
* **Sentence vector**, for models without a masked LM: `1 − cos(v′, v)`, with v the vector of the untouched
  model.
  - by ablation: its value with the head replaced.
  - by gradient: its first derivative is zero, as the untouched vector is its own nearest. With J = ∂v/∂ξ, the
    second order is `½ |J − (J·v̂) v̂|² / |v|²`, what 1 − cos would be at ξ = 0 if v moved along a line. It is
    estimated by random signs r (Hutchinson 1989): `½ E (∂(r·v̂)/∂ξ)²`.

A replaced head gives zeros; its mean output over all tokens of all texts (`mean`), so that only what differs
from token to token is lost; or its mean over the tokens of the text's language (`language`), so that what it
says of the language stays, and only what differs within a language is lost.

Gradient and ablation need not agree: a gradient is the slope where all is well, and other heads may take over
what a missing head did. How far they agree is part of the result.

Shapes: N texts, n tokens of one, L layers, H heads, D head size, S hidden tokens, K languages, W width of a
sentence's vector, R probes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xformer.data.counter_rng import random_bits
from xformer.data.reporting import ProgressCallback
from xformer.errors import InputError
from xformer.inspect.analysis.hidden import HiddenText, hide
from xformer.inspect.analysis.replaced_heads import Replacement, gate_gradients, measure_heads
from xformer.inspect.analysis.statistics import Mean, Numbers, mean_over_texts, rank_correlation, texts_of
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace


@dataclass(frozen=True)
class HeadImportance:
    """The importance of each head for each text.

    Attributes:
        measure: what was measured, with its unit.
        language: the tag of each text.
        untouched: (N,) the measure in the model as it is.
        gradient: (N, L, H) by gradient, from 0.
        change: by how a head was replaced, (N, L, H): the measure with the head replaced, minus untouched.
        left_out: number of texts of which no token was hidden.
    """

    measure: str
    language: tuple[str, ...]
    untouched: Numbers
    gradient: Numbers
    change: Mapping[str, Numbers]
    left_out: int = 0

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags, sorted."""
        return tuple(sorted(set(self.language)))

    def by_gradient(self, language: str | None = None) -> Mean:
        """Mean (L, H) over the texts of a language; None for all texts.

        Raises:
            InputError: there is no text in this language.
        """
        return mean_over_texts(self.gradient[texts_of(language, self.language)])

    def by_ablation(self, how: str, language: str | None = None) -> Mean:
        """Mean change (L, H) over the texts of a language; None for all texts.

        Raises:
            InputError: there is no text in this language, or heads were not replaced in this way.
        """
        return mean_over_texts(self._change(how, language))

    def size_by_ablation(self, how: str, language: str | None = None) -> Mean:
        """Mean size (L, H) of the change, of each text taken without its sign, as by gradient."""
        return mean_over_texts(np.abs(self._change(how, language)))

    def agreement(self, how: str, language: str | None = None) -> float:
        """Rank correlation over all heads between gradient and size of the change."""
        return rank_correlation(self.by_gradient(language).value, self.size_by_ablation(how, language).value)

    def between_languages(self, how: str) -> Numbers:
        """(K, K) rank correlations of the mean change over all heads: do languages need the same heads?"""
        means = [self.by_ablation(how, tag).value for tag in self.languages]
        return np.array([[rank_correlation(a, b) for b in means] for a in means])

    def _change(self, how: str, language: str | None) -> Numbers:
        if how not in self.change:
            raise InputError(f"how: expected one of {', '.join(self.change) or 'none'}, got {how!r}")
        return self.change[how][texts_of(language, self.language)]


def masked_importance(
    subject: Subject,
    texts: Sequence[str | TokenisedText],
    languages: Sequence[str] | None = None,
    *,
    rate: float = 0.15,
    seed: int = 0,
    how: Sequence[Replacement] = ("zero", "mean"),
    batch_tokens: int = 4096,
    progress: ProgressCallback | None = None,
) -> HeadImportance:
    """The importance of each head for the loss of hidden tokens.

    It takes one pass forward and back, and one pass forward for each head and each way of replacing it.

    Args:
        subject: a model with a masked LM.
        texts: N texts.
        languages: a tag for each; None for none.
        rate: share of each text's tokens to hide.
        seed: of the choice (`hide`).
        how: the ways of replacing a head.
        batch_tokens: most tokens in a batch.
        progress: called with ("head importance", passes over a batch done, passes in all).

    Raises:
        InputError: the model has no masked LM or no mask, an option is unknown, or no token is hidden.
    """
    if subject.masked_lm is None:
        raise InputError(f"{subject.name}: it has no masked LM; sentence_importance measures its vectors")
    hidden = hide(subject.tokenised(texts), languages, mask_id=subject.mask_id, rate=rate, seed=seed)

    def losses(trace: Trace, numbers: Sequence[int]) -> Tensor:
        return hidden_losses(trace, [hidden[number] for number in numbers])[1]

    def slopes(trace: Trace, numbers: Sequence[int]) -> Tensor:
        some = [hidden[number] for number in numbers]
        n_hidden = torch.tensor([len(one.places) for one in some], dtype=torch.float64)
        mean, _ = hidden_losses(trace, some)
        # Texts do not see one another, so the gradient of the sum over all holds that of each text.
        trace.backward(mean * float(n_hidden.sum()))
        return (gate_gradients(trace) / n_hidden[:, None, None]).abs()

    tags, shown = tuple(one.language for one in hidden), [one.text for one in hidden]
    found = measure_heads(subject, shown, tags, "final", losses, slopes, how, batch_tokens, progress)
    return HeadImportance("masked-token loss (nats)", tags, *found, left_out=len(texts) - len(hidden))


def sentence_importance(
    subject: Subject,
    texts: Sequence[str | TokenisedText],
    languages: Sequence[str] | None = None,
    *,
    probes: int = 16,
    seed: int = 0,
    how: Sequence[Replacement] = ("zero", "mean"),
    batch_tokens: int = 4096,
    progress: ProgressCallback | None = None,
) -> HeadImportance:
    """The importance of each head for the direction of the sentence vector. Heads behind its layer have none.

    Args:
        subject: any model.
        texts: N texts.
        languages: a tag for each; None for none.
        probes: R, random directions of the estimate by gradient; its relative error for one text is about
            √(2/R) at most, and is averaged over texts.
        seed: of the directions.
        how: the ways of replacing a head.
        batch_tokens: most tokens in a batch.
        progress: as in `masked_importance`.

    Raises:
        InputError: an option is unknown, or there is no text.
    """
    several = subject.tokenised(texts)
    if probes < 1:
        raise InputError(f"probes: expected a whole number from 1, got {probes}")
    if languages is not None and len(languages) != len(several):
        raise InputError(f"languages: expected one for each of {len(several)} texts, got {len(languages)}")
    untouched: dict[int, Tensor] = {}

    def away(trace: Trace, numbers: Sequence[int]) -> Tensor:
        vectors = trace["sentence"].packed.detach().double()
        for vector, number in zip(vectors, numbers, strict=True):
            untouched.setdefault(number, vector)  # the first pass is that of the untouched model
        kept = torch.stack([untouched[number] for number in numbers])
        return 1 - torch.cosine_similarity(vectors, kept, dim=-1)

    def slopes(trace: Trace, numbers: Sequence[int]) -> Tensor:
        away(trace, numbers)
        with torch.enable_grad():
            unit = torch.nn.functional.normalize(trace["sentence"].packed, dim=-1)
        total = torch.zeros((), dtype=torch.float64)
        for probe in range(probes):
            signs = torch.stack([_signs(unit.shape[1], seed, number, probe) for number in numbers]).to(unit)
            with torch.enable_grad():
                along = (unit * signs).sum()
            trace.backward(along)
            total = total + gate_gradients(trace).square() / (2 * probes)
        return total

    tags = ("",) * len(several) if languages is None else tuple(languages)
    found = measure_heads(subject, several, tags, "sentence", away, slopes, how, batch_tokens, progress)
    return HeadImportance("1 - cosine of the sentence vector", tags, *found)


def hidden_losses(trace: Trace, hidden: Sequence[HiddenText]) -> tuple[Tensor, Tensor]:
    """The loss of the hidden tokens of a trace that kept `final`; logits are never all in memory.

    Args:
        trace: of the texts of `hidden`.
        hidden: N texts.

    Returns:
        The mean over all hidden tokens in nats, with a gradient where the trace has one; and the mean of each
        text (N,), float64, without.
    """
    subject, final = trace.subject, trace["final"]
    head, table = subject.masked_lm, subject.network.encoder.embeddings.tok_embeddings
    if head is None:
        raise InputError(f"{subject.name}: it has no masked LM")
    rows = [final[number][torch.from_numpy(one.places)] for number, one in enumerate(hidden)]
    right = torch.from_numpy(np.concatenate([one.targets for one in hidden])).to(subject.device)
    with torch.set_grad_enabled(final.packed.requires_grad), subject.computing():
        mean, items = head.loss(torch.cat(rows), table, right)
    parts = items.double().cpu().split([len(one.places) for one in hidden])
    return mean, torch.stack([part.mean() for part in parts])


def _signs(width: int, seed: int, text: int, probe: int) -> Tensor:
    """(width,) of −1 and 1, the same whatever is computed beside them."""
    bits = random_bits(seed, text, probe, np.arange(width))
    return torch.from_numpy(np.where(bits >> np.uint64(63), 1.0, -1.0))
