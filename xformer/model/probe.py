"""Probes: a place to look at activations while a model computes, and to change them.

An encoder has none and computes without asking. `with_probe` gives a model of the same weights that has one,
and leaves the first as it is. So one model may run under several probes at once, and nothing is undone after.

Shapes: T tokens, S keys, H heads, D head size.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from xformer.kernels.backend import Backend
from xformer.model.context import AttentionContext

Module = TypeVar("Module", bound=nn.Module)


class Attends(Protocol):
    """What a probe asks of `layers.Attention`."""

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext, *, backend: Backend | None = None
    ) -> tuple[Tensor, Tensor]:
        """Outputs of the heads (T, H, D), and each row's log-sum-exp of scores (T, H)."""


class Probe(Protocol):
    """What an encoder asks while it computes. Names are those of `xformer.inspect.names`."""

    def see(self, name: str, value: Tensor) -> Tensor:
        """Look at an activation.

        Returns:
            The same tensor; or another of its shape and dtype, which the model computes on with.
        """

    def attend(
        self,
        name: str,
        attention: Attends,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        backend: Backend | None,
    ) -> Tensor:
        """Mix values in place of `attention.attend`.

        Args:
            name: of the attention, such as `layers.3.attn`.
            attention: whose heads they are.
            q: (T, H, D), in the order of columns of `Attention.qkv`.
            k: (S, H, D).
            v: (S, H, D).
            context: layout, mask and positions.
            backend: of `xformer.kernels.attention`.

        Returns:
            Outputs of the heads (T, H, D).
        """


class Part:
    """A probe as a part of the model sees it: names are those within the part.

    A part that has none is given None, and computes as if there were no probes.
    """

    def __init__(self, probe: Probe, name: str) -> None:
        self.probe, self.name = probe, name

    def within(self, part: str) -> Part:
        """The probe as a part of this part sees it."""
        return Part(self.probe, f"{self.name}.{part}")

    def see(self, name: str, value: Tensor) -> Tensor:
        """As `Probe.see`."""
        return self.probe.see(f"{self.name}.{name}", value)

    def attend(self, *arguments: Any) -> Tensor:
        """As `Probe.attend`."""
        return self.probe.attend(self.name, *arguments)


def with_probe(model: Module, probe: Probe) -> Module:
    """A model of the same parameters in which each encoder computes under a probe.

    Args:
        model: an `Encoder`, or a model that has one; not changed.
        probe: what its encoders ask. It replaces one that they have.
    """
    return _copied(model, lambda module: setattr(module, "probe", probe))


def _copied(module: Module, change: Callable[[nn.Module], None]) -> Module:
    """A copy that shares parameters and all modules on no way to an encoder; encoders are changed."""
    found = copy.copy(module)
    if hasattr(module, "probe"):
        change(found)
        return found
    # A shallow copy shares the table of children, too.
    found._modules = {
        name: child
        if child is None or not any(hasattr(part, "probe") for part in child.modules())
        else _copied(child, change)
        for name, child in module._modules.items()
    }
    return found
