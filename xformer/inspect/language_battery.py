"""Languages beside one another: how alike their texts are at each layer, and which units each has for itself.

Shapes: E texts, N messages, K languages, L layers, C d_model, F d_ff, H heads, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xformer.data.languages import likely_script
from xformer.data.reporting import ProgressCallback
from xformer.errors import InputError
from xformer.geometry.similarity import (
    LayerSimilarity,
    language_similarity,
    mean_states,
    shuffled_baseline,
)
from xformer.inspect.analysis.selectivity import (
    Selectivity,
    Use,
    active_tokens,
    head_sizes,
    selectivity,
    typical_size,
)
from xformer.inspect.battery import blocks
from xformer.inspect.subject import Subject
from xformer.inspect.texts import TextSample
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace
from xformer.model.int8_linear import Int8Linear

_BLOCK_BYTES = 1 << 27
_LEAST_USE = 0.01
"""A neuron that no language has active on one token in a hundred is left out."""


@dataclass(frozen=True)
class LanguageTable:
    """What languages share and what they don't.

    Attributes:
        name: of the model.
        source: of the texts.
        languages: tags.
        scripts: of each language, `?` where it is not known.
        left_out: languages that share too few messages with the others.
        messages: N, the same in each language.
        similarity: after the embeddings and after each block, L + 1.
        chance: the same, with each language's messages in an order of their own.
        neurons: feed-forward neurons (L·F units) by `language`, and by `script` where there are several.
        heads: heads (L·H units), likewise.
        layers: L.
    """

    name: str
    source: str
    languages: tuple[str, ...]
    scripts: tuple[str, ...]
    left_out: tuple[str, ...]
    messages: int
    similarity: tuple[LayerSimilarity, ...]
    chance: tuple[LayerSimilarity, ...]
    neurons: dict[str, Selectivity]
    heads: dict[str, Selectivity]
    layers: int

    def labels(self, kind: str) -> tuple[str, ...]:
        """Names of the labels of `language` or `script`, in their order."""
        return self.languages if kind == "language" else tuple(dict.fromkeys(self.scripts))


def measure_languages(
    subject: Subject,
    sample: TextSample,
    *,
    left_out: tuple[str, ...] = (),
    alpha: float = 0.05,
    shuffles: int = 200,
    block_bytes: int = _BLOCK_BYTES,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> LanguageTable:
    """Compare languages on messages that all of them have.

    Texts go through the model in blocks. Kept of each are means of its states, (L + 1)·C numbers, and the
    use of each unit, L·(F + H).

    Args:
        subject: the model.
        sample: the same messages in each language (`sample_parallel`).
        left_out: languages that share too few messages; only reported.
        alpha: chance that any unit is wrongly called selective.
        shuffles: of the labels.
        block_bytes: about what a block's activations may take.
        seed: of shuffles.
        progress: called with (what, done, in all).

    Raises:
        InputError: there are no two languages with the same messages, four or more that the model can read,
            or it is in int8.
    """
    if any(isinstance(part, Int8Linear) for part in subject.network.modules()):
        raise InputError("languages: an int8 model has no plain weights of its heads; use dtype fp32")
    texts, messages = _readable(subject, sample)
    languages = sample.languages
    scripts = tuple(likely_script(tag) or "?" for tag in languages)
    states, neurons, heads = _traced(subject, texts, block_bytes, seed, progress)
    vectors = [
        dict(zip(languages, layer.split(messages), strict=True)) for layer in states.transpose(0, 1).double()
    ]
    tokens = torch.tensor([len(text) for text in texts])
    language = torch.arange(len(languages)).repeat_interleave(messages)
    names = tuple(dict.fromkeys(scripts))
    script = torch.tensor([names.index(one) for one in scripts]).repeat_interleave(messages)
    kinds = {"language": (language, len(languages))}
    if len(names) > 1:
        kinds["script"] = (script, len(names))

    def select(amount: Tensor, least_use: float, what: str) -> dict[str, Selectivity]:
        found = {}
        for done, (kind, (labels, n_labels)) in enumerate(kinds.items()):
            if progress is not None:
                progress(f"shuffle labels of {what}", done, len(kinds))
            found[kind] = selectivity(
                Use(amount, tokens),
                labels,
                n_labels,
                alpha=alpha,
                shuffles=shuffles,
                least_use=least_use,
                seed=seed,
            )
        return found

    return LanguageTable(
        name=subject.name,
        source=sample.source,
        languages=languages,
        scripts=scripts,
        left_out=left_out,
        messages=messages,
        similarity=tuple(map(language_similarity, vectors)),
        chance=tuple(shuffled_baseline(layer, seed) for layer in vectors),
        neurons=select(neurons, _LEAST_USE, "neurons"),
        heads=select(heads, 0.0, "heads"),
        layers=subject.config.n_layers,
    )


def _readable(subject: Subject, sample: TextSample) -> tuple[list[TokenisedText], int]:
    """The messages that the model can read in all languages: language by language; and their number."""
    groups = [list(texts) for texts in sample.texts.values()]
    if len(groups) < 2 or any(one != groups[0] for one in groups):
        raise InputError(f"{sample.source}: expected two languages or more, with the same messages in each")
    tokenised = [[subject.tokenise(text) for text in texts.values()] for texts in sample.texts.values()]
    kept = [
        all(0 < len(text) <= subject.max_length and not all(text.special) for text in texts)
        for texts in zip(*tokenised, strict=True)
    ]
    if sum(kept) < 4:
        raise InputError(
            f"{sample.source}: expected four messages or more of at most {subject.max_length} tokens in all"
            f" of {', '.join(sample.languages)}, found {sum(kept)}"
        )
    found = [text for texts in tokenised for text, keep in zip(texts, kept, strict=True) if keep]
    return found, sum(kept)


def _traced(
    subject: Subject,
    texts: Sequence[TokenisedText],
    block_bytes: int,
    seed: int,
    progress: ProgressCallback | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean states (E, L + 1, C), active tokens of neurons (E, L·F) and sizes of heads (E, L·H), in fp32."""
    layers = range(subject.config.n_layers)
    keep = ["embeddings", "layers.*.resid_post", "layers.*.mlp.act", "layers.*.attn.heads"]
    # In an order of chance, each block has texts of all languages; the first gives neurons' usual sizes.
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [texts[place] for place in order]
    parameters = dict(subject.network.encoder.named_parameters())
    outputs = [parameters[f"layers.{layer}.attn.Wo.weight"].detach() for layer in layers]
    levels: list[Tensor] | None = None
    states, neurons, heads = [], [], []
    for block in blocks(subject, shuffled, keep, block_bytes):
        with subject.trace(block, keep=keep) as trace:
            pass
        if subject.config.gated and levels is None:
            levels = [typical_size(_each(trace, f"layers.{layer}.mlp.act")) for layer in layers]
        counted = [~torch.tensor(text.special) for text in block]
        names = ["embeddings", *(f"layers.{layer}.resid_post" for layer in layers)]
        means = [
            mean_states(_each(trace, name), [one.to(subject.device) for one in counted]) for name in names
        ]
        states.append(torch.stack(means, dim=1).float().cpu())
        for number in range(len(block)):
            acts = [trace[f"layers.{layer}.mlp.act"][number] for layer in layers]
            if levels is None:
                active = [active_tokens(act) for act in acts]
            else:
                active = [active_tokens(act.abs(), level) for act, level in zip(acts, levels, strict=True)]
            wrote = [
                head_sizes(trace[f"layers.{layer}.attn.heads"][number], outputs[layer]) for layer in layers
            ]
            neurons.append(torch.cat(active).float().cpu())
            heads.append(torch.cat(wrote).float().cpu())
        if progress is not None:
            progress("languages", len(neurons), len(texts))
    back = torch.argsort(torch.tensor(order))
    return torch.cat(states)[back], torch.stack(neurons)[back], torch.stack(heads)[back]


def _each(trace: Trace, name: str) -> list[Tensor]:
    activation = trace[name]
    return [activation[text] for text in range(len(activation))]
