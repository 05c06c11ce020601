"""Traces: what a model computed on some texts, by name.

Shapes: T tokens of all texts, n tokens of one text, H heads, D head size, C d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor

from xformer.embedding.encode import evaluation_mode
from xformer.errors import InputError
from xformer.inspect.activation import Activation, SentenceActivation
from xformer.inspect.changing import Changing, flat
from xformer.inspect.interventions import Intervention
from xformer.inspect.layout import Layout, indices
from xformer.inspect.names import DEFAULT_KEEP, all_names, axes_of, matching, part_of, shape_of
from xformer.inspect.recorder import Recorder
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.weights import AttentionWeights, Ingredients, WeightGradients
from xformer.model.config import ModelConfig
from xformer.model.cpu import halves, rotates_neighbours
from xformer.model.heads import MaskedLMHead
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.model.probe import with_probe

Texts = str | TokenisedText | Iterable[str | TokenisedText]

LIMIT_BYTES = 4 << 30
"""Most bytes that a trace keeps, and that attention weights asked for at a time take, unless told."""

_WEIGHTS_NEED = ("attn.q", "attn.k", "attn.v", "attn.lse", "attn.heads")


class Studied(Protocol):
    """What a trace asks of its `Subject`; the attributes are described there."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> ModelConfig: ...  # noqa: D102
    @property
    def network(self) -> MultilingualModel: ...  # noqa: D102
    @property
    def masked_lm(self) -> MaskedLMHead | None: ...  # noqa: D102
    @property
    def device(self) -> torch.device: ...  # noqa: D102
    @property
    def computing(self) -> Callable[[], AbstractContextManager[object]]: ...  # noqa: D102
    @property
    def max_length(self) -> int: ...  # noqa: D102
    @property
    def sentence_from(self) -> str: ...  # noqa: D102
    @property
    def interventions(self) -> Sequence[Intervention]: ...  # noqa: D102


class Trace:
    """What a model computed on some texts. Made by `Subject.trace` or `Model.trace`, used in a `with` block.

    The model runs when the block begins. With `gradients` the graph is kept until it ends; what was recorded
    can be read afterwards, too.

    Attributes:
        subject: whose model ran.
        texts: the texts and their tokens.
        names: what was kept.
        notes: what a reader should know, for example that a text is longer than the model was trained on.
        bytes: about how many bytes the kept activations take.
    """

    def __init__(
        self,
        subject: Studied,
        texts: Sequence[TokenisedText],
        *,
        keep: str | Iterable[str] = DEFAULT_KEEP,
        interventions: Intervention | Iterable[Intervention | Sequence[Intervention]] = (),
        gradients: bool = False,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self.subject, self.texts = subject, tuple(texts)
        self._limit, self._gradients = limit_bytes, gradients
        names = all_names(subject.config, masked_lm=subject.masked_lm is not None)
        self.names = matching(keep, names, "keep")
        self.notes = _notes(subject, self.texts)
        n_tokens = sum(map(len, self.texts))
        self.bytes = trace_bytes(subject, self.names, n_tokens)
        if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int):
            raise InputError(f"limit_bytes: expected a whole number of bytes, got {limit_bytes!r}")
        if self.bytes > limit_bytes:
            raise InputError(
                f"keep: {len(self.names)} activations of {n_tokens:,} tokens take {self.bytes:,} bytes,"
                f" more than limit_bytes={limit_bytes:,}; keep fewer, as keep=['layers.0.attn.*'], or give"
                " fewer texts"
            )
        _require_ids(self.texts, subject.config)
        self._layout = Layout.of(pack([text.ids for text in self.texts], subject.device))
        self._require_block()
        self._recorder = Recorder(
            _needed(self.names, subject.sentence_from),
            (*subject.interventions, *flat(interventions)),
            subject.config,
            self._layout,
            gradients=gradients,
        )
        self._gradients_of: dict[str, Tensor] = {}
        self._final: Tensor | None = None
        self._state: Literal["new", "open", "closed"] = "new"

    def __enter__(self) -> Self:
        if self._state != "new":
            raise InputError("trace: its block has run already; make another trace")
        self._require_block()
        network = with_probe(self.subject.network, self._recorder)
        graph = torch.set_grad_enabled
        with evaluation_mode(self.subject.network), self.subject.computing(), graph(self._gradients):
            self._final = network.encoder(self._layout.batch)
        self._state = "open"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Free the graph; what was recorded stays."""
        self._state = "closed"
        kept = self._recorder
        kept.recorded = {name: value.detach() for name, value in kept.recorded.items()}
        kept.fused = {name: value.detach() for name, value in kept.fused.items()}
        for name, by_text in kept.weights.items():
            kept.weights[name] = {text: value.detach() for text, value in by_text.items()}
        self._final = None if self._final is None else self._final.detach()

    def __iter__(self) -> Iterator[str]:
        """The names, as of a mapping."""
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __repr__(self) -> str:
        tokens = sum(map(len, self.texts))
        kept = f"{len(self.names)} activations"
        return f"Trace({self.subject.name!r}, {len(self.texts)} texts, {tokens:,} tokens, {kept})"

    def _repr_html_(self) -> str | None:
        """The attention page in a notebook; None where there is none to show."""
        if self._state == "new":
            return None
        # By its name, since the page stands on traces: no file below it may import it.
        shown: str | None = import_module("xformer.inspect.page.notebook").notebook(self)
        return shown

    def __getitem__(self, name: str) -> Any:
        """An `Activation`, or the `AttentionWeights` of a layer.

        Raises:
            InputError: there is no such activation, or it was not kept.
        """
        self._require(name)
        part = part_of(name)
        if part == "attn.weights":
            return AttentionWeights(name, self._ingredients(name), self._layout, self._limit)
        if part == "logits":
            return Activation(name, axes_of(name), self._all_logits(), self._layout)
        if part == "sentence":
            return SentenceActivation(name, axes_of(name), self._sentences(), self._layout)
        value = self._ordered(name, self._recorder.recorded[name])
        return Activation(name, axes_of(name), value, self._layout)

    def logits(self, text: int, tokens: Any = None) -> Tensor:
        """Logits of the masked LM at some tokens of a text, (k, V). They need not have been kept.

        Args:
            text: its number.
            tokens: one or several; None for all.

        Raises:
            InputError: the model has no masked LM, there are no such tokens, or the logits are larger than
                the trace's limit.
        """
        begin = self._layout.rows(text).start
        n = self._layout.lengths[indices("text", text, len(self.texts), "texts")[0]]
        picked = indices("tokens", tokens, n, "tokens")
        return self._logits(torch.tensor([begin + token for token in picked], dtype=torch.int64))

    def backward(self, scalar: Tensor) -> None:
        """Compute the gradients of a number with respect to all that was kept.

        Parameters get none. A second call replaces the first one's gradients.

        Raises:
            InputError: the trace was made without `gradients=True`, its block has ended, or the number does
                not depend on the pass.
        """
        if not self._gradients or self._state != "open":
            raise InputError("backward: expected a trace with gradients=True, inside its with block")
        expected = "backward: expected one number that follows from activations of this trace"
        if not isinstance(scalar, Tensor) or scalar.dim() or not scalar.requires_grad:
            raise InputError(expected)
        leaves = {name: value for name, value in self._recorder.recorded.items() if value.requires_grad}
        if not leaves:
            raise InputError("backward: nothing that has a gradient was kept; add activations to keep=")
        found = torch.autograd.grad(scalar, list(leaves.values()), retain_graph=True, allow_unused=True)
        if all(slope is None for slope in found):
            raise InputError(f"{expected}, and of those that were kept; this one follows from none")
        self._gradients_of = {
            name: torch.zeros_like(value) if slope is None else slope
            for (name, value), slope in zip(leaves.items(), found, strict=True)
        }

    def gradient(self, name: str) -> Any:
        """The gradient of the number that `backward` was given: an `Activation`, or `WeightGradients`.

        Args:
            name: of an activation that was kept; for `attn.weights` see `WeightGradients`.

        Raises:
            InputError: it was not kept, or `backward` was not called.
        """
        self._require(name)
        part, layer = part_of(name), name.rpartition(".")[0]
        if part == "attn.weights":
            slope = self._gradients_of.get(f"{layer}.heads")
            if slope is not None:
                return WeightGradients(name, slope, self._recorder.recorded[f"{layer}.v"], self._layout)
        elif name in self._gradients_of:
            return Activation(
                name, axes_of(name), self._ordered(name, self._gradients_of[name]), self._layout
            )
        if part in ("logits", "sentence"):
            raise InputError(f"gradient: {name} is an output; ask for the gradients of what it follows from")
        raise InputError(f"gradient: {name} has none; call backward(…) of this trace first")

    def weights_of(self, name: str, text: int) -> Tensor:
        """The attention weights (H, n, n) of a text, whatever their size."""
        return AttentionWeights(name, self._ingredients(name), self._layout, 1 << 62)[text]

    @property
    def layout(self) -> Layout:
        """Where each text lies in the packed batch."""
        return self._layout

    def context(self, layer: int) -> Any:
        """The `AttentionContext` of a layer: its mask, biases, and rotary tables.

        Raises:
            InputError: neither its weights nor its queries or keys were kept.
        """
        name = f"layers.{layer}.attn"
        if name not in self._recorder.contexts:
            raise InputError(f"context: expected that {name}.weights was kept")
        return self._recorder.contexts[name]

    def _require_block(self) -> None:
        """Refuse a subject whose block of `intervene` has ended."""
        outer = self.subject.network.encoder.probe
        if isinstance(outer, Changing):
            outer.require_open()

    def _require(self, name: str) -> None:
        if self._state == "new":
            raise InputError(
                "trace: the model has not run; use it in a block: with model.trace(texts) as t: …"
            )
        if name in self.names:
            return
        every = all_names(self.subject.config, masked_lm=self.subject.masked_lm is not None)
        if not isinstance(name, str):
            raise InputError(f"name: expected the name of one activation, got {name!r}")
        found = matching(name, every)  # raises where there is no such name
        if name not in every:
            raise InputError(f"{name}: a pattern; ask for one activation, such as {found[0]}")
        raise InputError(f"{found[0]}: it was not kept; add it to keep=, or use keep='*' for all")

    def _ordered(self, name: str, value: Tensor) -> Tensor:
        """Queries and keys in the checkpoint's order of columns; others as they are."""
        layer, _, part = name.rpartition(".")
        if part in ("q", "k") and rotates_neighbours(value, self._recorder.contexts[layer].rotary):
            return halves(value)
        return value

    def _ingredients(self, name: str) -> Ingredients:
        layer, kept = name.rpartition(".")[0], self._recorder
        q, k, v, lse = (kept.recorded[f"{layer}.{part}"] for part in ("q", "k", "v", "lse"))
        return Ingredients(q, k, v, lse, kept.fused[layer], kept.contexts[layer], kept.weights.get(name, {}))

    def _logits(self, rows: Tensor) -> Tensor:
        head = self.subject.masked_lm
        if head is None or self._final is None:
            raise InputError(
                f"logits: {self.subject.name} has no masked LM" if head is None else "logits: no pass yet"
            )
        size = len(rows) * self.subject.config.rows * 4
        if size > self._limit:
            raise InputError(
                f"logits: {len(rows):,} tokens × {self.subject.config.rows:,} pieces take {size / 1e6:,.0f}"
                f" MB, more than limit_bytes={self._limit:,}; ask for fewer tokens"
            )
        embedding = self.subject.network.encoder.token_embedding
        open_graph = self._gradients and self._state == "open"
        with torch.set_grad_enabled(open_graph), self.subject.computing():
            found: Tensor = head(self._final, rows.to(self._final.device), embedding)
        return found

    def _all_logits(self) -> Tensor:
        return self._logits(torch.arange(self._layout.batch.n_tokens))

    def _sentences(self) -> Tensor:
        batch = self._layout.batch
        name = self.subject.sentence_from
        hidden = self._final if name == "final" else self._recorder.recorded[name]
        assert hidden is not None
        with torch.set_grad_enabled(self._gradients and self._state == "open"), self.subject.computing():
            pooled = self.subject.network.pooled(hidden, batch)
        return pooled.index_select(0, torch.argsort(batch.order))


def trace_bytes(subject: Studied, names: Sequence[str], n_tokens: int) -> int:
    """About how many bytes the activations of some tokens take, in fp32 or the model's own larger precision.

    Attention weights are not kept, but what they follow from. The stream between two blocks is kept once.
    """
    size = 0
    item = max(4, subject.network.encoder.token_embedding.element_size())
    for name in _needed(names, subject.sentence_from):
        layer_start = name.endswith("resid_pre") and name != "layers.0.resid_pre"
        if part_of(name) not in ("attn.weights", "sentence") and not layer_start:
            per_token = 1
            for axis in shape_of(name, subject.config):
                per_token *= axis
            size += item * per_token * n_tokens
    return size


def _needed(names: Sequence[str], sentence_from: str = "") -> frozenset[str]:
    """The names to record: those asked for, and what these follow from."""
    needed = set(names)
    for name in names:
        if part_of(name) == "attn.weights":
            needed |= {name.removesuffix("attn.weights") + part for part in _WEIGHTS_NEED}
    return frozenset(needed | ({sentence_from} if "sentence" in names and sentence_from else set()))


def _require_ids(texts: Sequence[TokenisedText], config: ModelConfig) -> None:
    for number, text in enumerate(texts):
        if len(text) and not 0 <= text.ids.min() <= text.ids.max() < config.rows:
            raise InputError(
                f"texts[{number}]: expected token ids from 0 to {config.rows - 1}, got"
                f" {text.ids.min()} to {text.ids.max()}"
            )


def _notes(subject: Studied, texts: Sequence[TokenisedText]) -> tuple[str, ...]:
    config: ModelConfig = subject.config
    longest = max(map(len, texts), default=0)
    if config.positions == "learned" and longest > config.max_length:
        raise InputError(
            f"texts: expected at most {config.max_length} tokens, the positions that the model has;"
            f" got {longest}"
        )
    notes = []
    if longest > subject.max_length:
        notes.append(f"{longest} tokens: longer than the {subject.max_length} that the model was trained on")
    return tuple(notes)
