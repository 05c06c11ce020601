"""Interventions: what is changed while a model computes, by the names of activations.

    ablate("layers.1.attn.heads", heads=3)              a head's output becomes zero, a mean, or another's
    patch("layers.2.resid_post", other, tokens=4)       states of another trace, of the same or another run
    scale("layers.0.mlp.out", 0.5)                      times a factor
    replace("layers.3.attn.weights", weights, texts=0)  given values
    steer("layers.2.resid_post", direction, 4.0)        a direction is added
    freeze_attention(None, other)                       attention weights of another trace

Several compose in the order given. A name may be a pattern, such as `layers.*.mlp.out`. `texts`, `tokens`,
`heads` and `dims` say which ones are changed: one number, several, a slice, a mask, or None for all. Of
attention weights, `tokens` are queries and `dims` keys.

Shapes: R chosen tokens, h chosen heads, d chosen dimensions, n tokens of a text, C d_model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, SupportsIndex, get_args, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.activation import chosen
from xformer.inspect.names import part_of

How = Literal["zero", "mean", "resample"]


@runtime_checkable
class Source(Protocol):
    """What interventions ask of the `Trace` that they take values from."""

    def __getitem__(self, name: str, /) -> Any:
        """An activation that it kept."""

    def weights_of(self, name: str, text: int) -> Tensor:
        """Attention weights (H, n, n) of a text."""


@dataclass(frozen=True)
class Site:
    """The place that an intervention changes.

    Attributes:
        name: of the activation.
        axes: of `whole`.
        whole: the activation of all tokens of the pass; of attention weights, that of the text.
        text: number of the text, for attention weights; None otherwise.
        texts: numbers of the chosen texts; None where a pass is no trace.
        heads: as chosen.
        dims: as chosen.
    """

    name: str
    axes: tuple[str, ...]
    whole: Tensor
    text: int | None
    texts: tuple[int, ...] | None
    heads: Any
    dims: Any

    def cut(self, x: Tensor) -> Tensor:
        """The chosen heads and dimensions of a tensor that is like `whole`."""
        wanted = {"head": self.heads, "dim" if "dim" in self.axes else "key": self.dims}
        return chosen(x, self.axes, wanted, self.name)


Change = Callable[[Tensor, Site], Tensor]
"""From the chosen part, (R, h, d) or (R, d), of attention weights (h, R, d), to its new values."""


@dataclass(frozen=True)
class Intervention:
    """One change. Made by the functions of this module.

    Attributes:
        pattern: which activations.
        change: what becomes of the chosen part.
        texts: which texts.
        tokens: which tokens of each.
        heads: which heads.
        dims: which dimensions.
        what: the function that made it, for messages.
        only_in_trace: why it needs a trace's texts; None if any pass will do.
        source: the trace that it takes values from.
    """

    pattern: str
    change: Change
    texts: Any = None
    tokens: Any = None
    heads: Any = None
    dims: Any = None
    what: str = "intervention"
    only_in_trace: str | None = None
    source: Source | None = None

    def __post_init__(self) -> None:
        """Hold selections that can be read once, such as generators, as lists.

        Raises:
            InputError: the pattern is no string, or the source no trace.
        """
        if not isinstance(self.pattern, str):
            raise InputError(f"{self.what}: expected the name of an activation, got {self.pattern!r}")
        if self.source is not None:
            _require_source(self.source, self.what)
        for name in ("texts", "tokens", "heads", "dims"):
            object.__setattr__(self, name, _held(getattr(self, name)))

    @property
    def bound(self) -> str | None:
        """Why it fits the texts of a trace alone; None if any pass will do."""
        if self.texts is not None or self.tokens is not None:
            return "it names texts or tokens"
        return self.only_in_trace


def ablate(
    name: str,
    how: How = "zero",
    *,
    texts: Any = None,
    tokens: Any = None,
    heads: Any = None,
    dims: Any = None,
    reference: Source | None = None,
    seed: int = 0,
) -> Intervention:
    """Take away what an activation says.

    Args:
        name: of the activation, or a pattern.
        how: `zero`; `mean` over tokens; or `resample`, each token gets the activation of another one, drawn
            at random. Attention weights can be made zero only.
        texts: which texts; None for all.
        tokens: which tokens of each.
        heads: which heads.
        dims: which dimensions.
        reference: a trace that kept the activation, over whose tokens the mean is taken, or from which tokens
            are drawn. None for the texts of the pass itself.
        seed: of the draw.

    Raises:
        InputError: `how` is unknown, or the seed is no whole number of 64 bits.
    """
    if how not in get_args(How):
        raise InputError(f"how: expected {', '.join(get_args(How))}; got {how!r}")
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex) or not -(2**63) <= int(seed) < 2**63:
        raise InputError(f"seed: expected a whole number of 64 bits, got {seed!r}")
    drawn_from = int(seed)

    def change(values: Tensor, site: Site) -> Tensor:
        if how == "zero":
            return torch.zeros_like(values)
        if part_of(site.name) == "attn.weights":
            raise InputError(
                f"how: weights of attention can be made zero only, got {how!r}; see freeze_attention"
            )
        among = site.whole if reference is None else reference[site.name].packed.to(site.whole)
        if not len(values):
            return values
        if not len(among):
            raise InputError(f"ablate: the reference has no tokens whose {site.name} could be taken")
        if how == "mean":
            return _spread(site.cut(among.mean(0, keepdim=True)), values, site, "ablate")
        generator = torch.Generator().manual_seed(drawn_from)
        drawn = torch.randint(len(among), (len(values),), generator=generator).to(among.device)
        return site.cut(among.index_select(0, drawn))

    alone = (
        None if how == "zero" or reference is not None else f"how={how!r} needs a reference in any other pass"
    )
    return Intervention(name, change, texts, tokens, heads, dims, "ablate", alone, reference)


def patch(
    name: str,
    source: Source,
    *,
    texts: Any = None,
    tokens: Any = None,
    heads: Any = None,
    dims: Any = None,
    source_text: int | None = None,
    source_tokens: Any = None,
) -> Intervention:
    """Put in the activations of another trace: of other texts, under other interventions, or of another run.

    Args:
        name: of the activation, or a pattern; the source must have kept it.
        source: the other trace. Its values carry no gradient.
        texts: which texts; None for all.
        tokens: which tokens of each.
        heads: which heads.
        dims: which dimensions.
        source_text: the text of the source that values come from; None for the one of the same number.
        source_tokens: which of its tokens, as many as are chosen here; None for those of the same numbers.

    Raises:
        InputError: when the pass begins: the source kept no such activation, or other numbers of tokens,
            heads or dimensions.
    """
    _require_source(source, "patch")
    tokens, heads, dims, source_tokens = (_held(one) for one in (tokens, heads, dims, source_tokens))

    def change(values: Tensor, site: Site) -> Tensor:
        theirs = source[site.name]
        picked = tokens if source_tokens is None else source_tokens
        if site.text is not None:
            other = source.weights_of(site.name, site.text if source_text is None else source_text)
            return chosen(
                other, ("head", "token", "key"), {"token": picked, "head": heads, "key": dims}, site.name
            )
        assert site.texts is not None
        found = [
            theirs.text(text if source_text is None else source_text, tokens=picked) for text in site.texts
        ]
        return site.cut(torch.cat(found))

    return Intervention(
        name, change, texts, tokens, heads, dims, "patch", "it takes values text by text", source
    )


def scale(
    name: str,
    factor: float | Tensor,
    *,
    texts: Any = None,
    tokens: Any = None,
    heads: Any = None,
    dims: Any = None,
) -> Intervention:
    """Multiply by a factor.

    Args:
        name: of the activation, or a pattern.
        factor: a number, or a tensor that fits the chosen part (R, h, d) as in broadcasting; it may have a
            gradient.
        texts: which texts; None for all.
        tokens: which tokens of each.
        heads: which heads.
        dims: which dimensions.
    """

    def change(values: Tensor, site: Site) -> Tensor:
        return values * _like(factor, values, site, "scale")

    return Intervention(name, change, texts, tokens, heads, dims, "scale")


def replace(
    name: str,
    value: float | Tensor,
    *,
    texts: Any = None,
    tokens: Any = None,
    heads: Any = None,
    dims: Any = None,
) -> Intervention:
    """Put given values in.

    Args:
        name: of the activation, or a pattern.
        value: a number, or a tensor that fits the chosen part as in broadcasting: (R, h, d), (R, d), of
            attention weights (h, R, d). It may have a gradient.
        texts: which texts; None for all.
        tokens: which tokens of each.
        heads: which heads.
        dims: which dimensions.
    """

    def change(values: Tensor, site: Site) -> Tensor:
        return _like(value, values, site, "replace")

    return Intervention(name, change, texts, tokens, heads, dims, "replace")


def steer(
    name: str,
    direction: Tensor,
    strength: float | Tensor = 1.0,
    *,
    texts: Any = None,
    tokens: Any = None,
    heads: Any = None,
    dims: Any = None,
) -> Intervention:
    """Add a direction.

    Args:
        name: of the activation, or a pattern; most often a `resid_post`.
        direction: (C,), or what fits the chosen part as in broadcasting.
        strength: its factor, one number.
        texts: which texts; None for all.
        tokens: which tokens of each.
        heads: which heads.
        dims: which dimensions.
    """
    if isinstance(strength, Tensor):
        if strength.numel() != 1 or strength.is_complex() or strength.is_meta:
            raise InputError(f"strength: expected one number, got a tensor of shape {tuple(strength.shape)}")
        strength = strength.reshape(())
    elif not isinstance(strength, int | float | np.floating | np.integer):
        raise InputError(f"strength: expected one number, got {strength!r}")

    def change(values: Tensor, site: Site) -> Tensor:
        return values + strength * _like(direction, values, site, "steer")

    return Intervention(name, change, texts, tokens, heads, dims, "steer")


def freeze_attention(
    layers: int | np.integer[Any] | list[int] | None, source: Source, *, texts: Any = None, heads: Any = None
) -> list[Intervention]:
    """Attend as another trace did: its attention weights, on this pass's values.

    Args:
        layers: which layers; None for all.
        source: a trace that kept their `attn.weights`, of texts of as many tokens.
        texts: which texts; None for all.
        heads: which heads.

    Returns:
        One intervention for each layer.
    """
    numbers = ["*"] if layers is None else [layers] if isinstance(layers, int | np.integer) else layers
    return [patch(f"layers.{n}.attn.weights", source, texts=texts, heads=heads) for n in numbers]


def _like(value: float | Tensor, values: Tensor, site: Site, what: str) -> Tensor:
    """A given value in the shape, dtype and place of the chosen part.

    Raises:
        InputError: it does not fit as in broadcasting.
    """
    try:
        given = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what}: expected a number or a tensor, got {value!r}") from error
    if given.is_complex() or given.is_meta:
        raise InputError(f"{what}: expected real numbers, got a {given.dtype} tensor on {given.device}")
    return _spread(given.to(values), values, site, what)


def _spread(given: Tensor, values: Tensor, site: Site, what: str) -> Tensor:
    """Repeat what is given over the chosen part, as in broadcasting.

    Raises:
        InputError: it does not fit.
    """
    try:
        return given.expand_as(values)
    except RuntimeError as error:
        raise InputError(
            f"{what}: expected what fits the chosen part of {site.name}, {tuple(values.shape)}; got a"
            f" tensor of shape {tuple(given.shape)}"
        ) from error


def _held(selection: Any) -> Any:
    """A selection that may be read more than once."""
    return list(selection) if isinstance(selection, Iterator) else selection


def _require_source(source: object, what: str) -> None:
    if not isinstance(source, Source):
        raise InputError(f"{what}: expected a trace to take values from, got {type(source).__name__}")
