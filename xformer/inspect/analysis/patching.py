"""Activation patching: states of a translation put into a sentence, and what moves.

A base text runs with some of its activations replaced by those that the model had for a source text, at
aligned tokens (Meng et al. 2022; Zhang and Nanda 2024). Where the metric goes towards the source's, the
patched place carries some of what tells the texts apart. A place without effect may carry it too, beside
others.

Shapes: L layers, H heads, G groups of links.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.analysis.patching_metrics import Metric, recovered
from xformer.inspect.interventions import Intervention, freeze_attention, patch
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace

Link = tuple[int, int]
"""A token of the base text, and the token of the source text whose state it gets."""

_BEFORE_ATTENTION = ("resid_pre", "attn.in")


@dataclass(frozen=True)
class PatchingEffect:
    """What patches did to a metric.

    Attributes:
        metric: its name.
        base: its value without patches.
        source: its value for the source text.
        patched: (L, G) or (L, H) fp64: its value with each patch; nan where none was made.
    """

    metric: str
    base: float
    source: float
    patched: Tensor

    @property
    def recovered(self) -> Tensor:
        """As `patched`, on a scale on which 0 is the base run and 1 the source run; see `recovered`."""
        return recovered(self.patched, self.base, self.source)


def patch_tokens(
    subject: Subject,
    base: TokenisedText,
    source: TokenisedText,
    groups: Sequence[Link | Sequence[Link]],
    metric: Metric,
    *,
    site: str = "resid_post",
    hold_attention: bool = False,
    at_once: int = 32,
) -> PatchingEffect:
    """Patch each layer's states at each token, or at each group of tokens.

    Args:
        subject: the model.
        base: the text that is patched.
        source: the text that states come from.
        groups: G links, or groups of links that are patched together.
        metric: what is measured.
        site: the activation, without its layer: `resid_post`, `attn.out`, `mlp.out`, ….
        hold_attention: whether attention behind the patch keeps the weights it has without, so that only what
            is passed on moves, not where it is looked for.
        at_once: patched copies of the text in one pass.

    Returns:
        Of (L, G).

    Raises:
        InputError: a link lies outside the texts, a token of the base gets two states, or there is no such
            activation.
    """
    together = [_group(one) for one in groups]
    for links in together:
        check_links(links, base, source)

    def patched(theirs: Trace, layer: int, group: int, copy: int) -> Intervention:
        return patch_of(theirs, f"layers.{layer}.{site}", together[group], copy)

    return _sweep(subject, base, source, len(together), patched, metric, site, hold_attention, at_once)


def patch_heads(
    subject: Subject,
    base: TokenisedText,
    source: TokenisedText,
    links: Sequence[Link],
    metric: Metric,
    *,
    hold_attention: bool = False,
    at_once: int = 32,
) -> PatchingEffect:
    """Patch the output of each head, at all aligned tokens together.

    Args:
        subject: the model.
        base: the text that is patched.
        source: the text that outputs come from.
        links: which tokens get which output.
        metric: what is measured.
        hold_attention: as in `patch_tokens`.
        at_once: as in `patch_tokens`.

    Returns:
        Of (L, H).

    Raises:
        InputError: as `patch_tokens`.
    """
    check_links(links, base, source)

    def patched(theirs: Trace, layer: int, head: int, copy: int) -> Intervention:
        return patch_of(theirs, f"layers.{layer}.attn.heads", links, copy, head)

    heads = subject.config.n_heads
    return _sweep(subject, base, source, heads, patched, metric, "attn.heads", hold_attention, at_once)


def patch_of(
    theirs: Trace, name: str, links: Sequence[Link], copy: int, heads: int | None = None
) -> Intervention:
    """The patch of one copy of the base text, from the only text of another trace.

    Args:
        theirs: the trace of the source text.
        name: of the activation.
        links: which token gets the state of which.
        copy: number of the copy that is patched.
        heads: one head; None for all.
    """
    ours, others = [link[0] for link in links], [link[1] for link in links]
    return patch(name, theirs, texts=copy, tokens=ours, heads=heads, source_text=0, source_tokens=others)


def check_links(links: Sequence[Link], base: TokenisedText, source: TokenisedText) -> None:
    """Check that links join tokens that exist, and give each token of the base one state.

    Raises:
        InputError: they do not.
    """
    if not links:
        raise InputError("links: expected an aligned token or more, got none")
    for ours, theirs in links:
        if not (0 <= ours < len(base) and 0 <= theirs < len(source)):
            there = f"tokens 0 to {len(base) - 1} and 0 to {len(source) - 1}"
            raise InputError(f"links: expected pairs of {there}, got {ours}-{theirs}")
    if len({ours for ours, _ in links}) < len(links):
        raise InputError("links: expected one source token for each base token, got two for one")


def blocks(count: int, size: int) -> list[list[int]]:
    """Numbers from 0 in blocks of a size."""
    return [list(range(begin, min(begin + size, count))) for begin in range(0, count, size)]


def _sweep(
    subject: Subject,
    base: TokenisedText,
    source: TokenisedText,
    columns: int,
    patched: Callable[[Trace, int, int, int], Intervention],
    metric: Metric,
    site: str,
    hold_attention: bool,
    at_once: int,
) -> PatchingEffect:
    """Run each patch on a copy of the base text of its own, layer by layer."""
    layers = subject.config.n_layers
    found = torch.full((layers, columns), float("nan"), dtype=torch.float64)
    size = max(1, min(at_once, columns))
    weights = ["layers.*.attn.weights"] if hold_attention else []
    with (
        subject.trace([source], keep=[*metric.keep, f"layers.*.{site}"]) as theirs,
        subject.trace([base] * size, keep=[*metric.keep, *weights]) as ours,
    ):
        before, goal = float(metric.base(ours)[0]), float(metric.source(theirs)[0])
        for layer in range(layers):
            first = layer if site in _BEFORE_ATTENTION else layer + 1
            held = freeze_attention(list(range(first, layers)), ours) if hold_attention else []
            for block in blocks(columns, size):
                changes = [patched(theirs, layer, column, copy) for copy, column in enumerate(block)]
                # Always as many copies: attention that is held is that of the copy of the same number.
                copies = [base] * size
                with subject.trace(copies, keep=metric.keep, interventions=[*changes, *held]) as moved:
                    found[layer, block] = metric.base(moved)[: len(block)]
    return PatchingEffect(metric.name, before, goal, found)


def _group(links: Link | Sequence[Link]) -> list[Link]:
    """One link, or several, as a list."""
    pairs: list[Link] = []
    for one in links:
        if isinstance(one, int):
            return [(int(links[0]), int(links[1]))]  # type: ignore[arg-type]
        pairs.append((int(one[0]), int(one[1])))
    return pairs
