"""A probe that applies interventions and records activations.

Shapes: T tokens, H heads, D head size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor

from xformer.inspect.changing import Changing
from xformer.inspect.interventions import Intervention
from xformer.inspect.layout import Layout
from xformer.model.config import ModelConfig
from xformer.model.context import AttentionContext


class Recorder(Changing):
    """The probe of a trace. Tensors are kept as they are, not copied: the model changes none in place.

    Attributes:
        recorded: by name, in packed order; queries and keys in the order of columns that attention read.
        contexts: of each layer's attention, by `layers.3.attn`.
        fused: outputs of heads before interventions on them, by `layers.3.attn`.
    """

    def __init__(
        self,
        keep: Collection[str],
        interventions: Sequence[Intervention],
        config: ModelConfig,
        layout: Layout,
        *,
        gradients: bool,
    ) -> None:
        super().__init__(interventions, config, layout)
        self._keep, self._gradients = frozenset(keep), gradients
        self.recorded: dict[str, Tensor] = {}
        self.contexts: dict[str, AttentionContext] = {}
        self.fused: dict[str, Tensor] = {}

    def see(self, name: str, value: Tensor) -> Tensor:
        """Apply the interventions of this name, and keep the result."""
        value = super().see(name, value)
        if self._gradients and name == "embeddings" and not value.requires_grad:
            value = value.detach().requires_grad_()  # the first tensor of the graph
        return self._kept(name, value)

    def saw_attention(self, name: str, heads: Tensor, lse: Tensor, context: AttentionContext) -> None:
        """Keep what weights are computed from."""
        self._kept(f"{name}.lse", lse)
        if f"{name}.weights" in self._keep:
            self.contexts[name], self.fused[name] = context, heads
        elif {f"{name}.q", f"{name}.k"} & self._keep:
            self.contexts[name] = context

    def _see_rotated(self, name: str, x: Tensor, context: AttentionContext) -> Tensor:
        return self._kept(name, super()._see_rotated(name, x, context))

    def _kept(self, name: str, value: Tensor) -> Tensor:
        if name in self._keep:
            self.recorded[name] = value
        return value
