"""A model under study: its network, its tokens, and what is known of it.

Shapes: n tokens of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch

from xformer.errors import InputError
from xformer.inspect.changing import Changing, flat
from xformer.inspect.interventions import Intervention
from xformer.inspect.names import DEFAULT_KEEP, all_names, layer_name, matching
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.inspect.trace import LIMIT_BYTES, Texts, Trace, trace_bytes
from xformer.model.config import ModelConfig
from xformer.model.heads import MaskedLMHead
from xformer.model.multilingual import MultilingualModel
from xformer.model.probe import with_probe


@dataclass(frozen=True)
class Subject:
    """A model to look into. Made by `xformer.inspect.open`, or by a `Model`'s `trace` and `intervene`.

    Attributes:
        name: for titles.
        network: the model, on `device`, in evaluation mode.
        tokens: how texts become tokens.
        device: where it computes.
        computing: makes the context in which it computes, such as autocast.
        max_length: longest text that it was trained on, in tokens.
        languages: tags of those it was trained on; empty where that is not known.
        layer: number of blocks after which sentence vectors are taken; None where that is not known.
        pools_final: whether sentence vectors are pooled after the final norm, as sentence-transformers does.
        has_masked_lm: whether `network.masked_lm` is trained.
        interventions: that every pass is under, inside a block of `intervene`.
    """

    name: str
    network: MultilingualModel
    tokens: TextTokens
    device: torch.device
    computing: Callable[[], AbstractContextManager[object]]
    max_length: int
    languages: tuple[str, ...] = ()
    layer: int | None = None
    pools_final: bool = False
    has_masked_lm: bool = True
    interventions: tuple[Intervention, ...] = ()

    @property
    def config(self) -> ModelConfig:
        """The settings of the model."""
        return self.network.config

    @property
    def masked_lm(self) -> MaskedLMHead | None:
        """The masked-LM head; None where the model has none that is trained."""
        return self.network.masked_lm if self.has_masked_lm else None

    @property
    def mask_id(self) -> int | None:
        """The token that hides another; None if there is none."""
        return self.tokens.mask_id

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the special tokens."""
        return self.tokens.special_ids

    @property
    def sentence_from(self) -> str:
        """The activation that sentence vectors are pooled from."""
        if self.pools_final:
            return "final"
        layer = self.config.n_layers if self.layer is None else self.layer
        return layer_name(layer - 1, "resid_post") if layer else "embeddings"

    def tokenise(self, text: str) -> TokenisedText:
        """Cut a text into tokens, with the special tokens that the model expects.

        Raises:
            InputError: it is no text, or it holds a lone surrogate.
        """
        if not isinstance(text, str):
            raise InputError(f"text: expected a string, got {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"text: expected Unicode without lone surrogates: {error}") from error
        return self.tokens.tokenise(text)

    def piece(self, id: int) -> str:
        """How the tokenizer writes a token.

        Raises:
            InputError: there is no such token.
        """
        if not 0 <= id < self.tokens.vocab_size:
            raise InputError(f"id: expected 0 to {self.tokens.vocab_size - 1}, got {id}")
        return self.tokens.piece(id)

    def trace(
        self,
        texts: Texts,
        *,
        keep: str | Sequence[str] = DEFAULT_KEEP,
        interventions: Intervention | Iterable[Intervention | Sequence[Intervention]] = (),
        gradients: bool = False,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Trace:
        """Record what the model computes on texts, by name; see `xformer.inspect.names`.

        >>> with subject.trace(["Open the file", "Datei öffnen"]) as t:  # doctest: +SKIP
        ...     print(t["layers.0.attn.weights"][0].shape)
        torch.Size([4, 3, 3])

        Args:
            texts: one or several, strings or `TokenisedText`s.
            keep: names of activations, or patterns with `*`.
            interventions: what is changed while the model computes, one or several; see
                `xformer.inspect.interventions`.
            gradients: keep the graph until the block ends, for `Trace.backward`.
            limit_bytes: most bytes that the trace may keep, and that attention weights asked for at a time
                may take. Checked before the model runs.

        Returns:
            A trace. The model runs when its `with` block begins.

        Raises:
            InputError: a name fits nothing, an intervention does not fit, the trace would be too large, or
                the model cannot read the texts.
        """
        if gradients and any(type(part).__name__ == "Int8Linear" for part in self.network.modules()):
            raise InputError("gradients: an int8 model has none; load it with dtype='fp32'")
        return Trace(
            self,
            self.tokenised(texts),
            keep=keep,
            interventions=interventions,
            gradients=gradients,
            limit_bytes=limit_bytes,
        )

    def trace_bytes(self, texts: Texts, keep: str | Sequence[str] = DEFAULT_KEEP) -> int:
        """About how many bytes a trace would keep. Nothing is computed.

        Args:
            texts: as in `trace`.
            keep: as in `trace`.
        """
        names = matching(keep, all_names(self.config, masked_lm=self.has_masked_lm), "keep")
        return trace_bytes(self, names, sum(map(len, self.tokenised(texts))))

    @contextmanager
    def intervene(self, *interventions: Intervention | Sequence[Intervention]) -> Iterator[Subject]:
        """The same model, whose every pass is changed.

        This subject stays as it is: another thread may use it meanwhile, and when the block ends, however it
        ends, there is nothing to undo. Afterwards the changed one can no longer be used.

        Args:
            interventions: any that name no texts or tokens; see `xformer.inspect.interventions`.

        Yields:
            The changed subject.

        Raises:
            InputError: an intervention does not fit the model, or needs a trace's texts.
        """
        every = (*self.interventions, *flat(interventions))
        probe = Changing(every, self.config)
        try:
            yield replace(self, network=with_probe(self.network, probe), interventions=every)
        finally:
            probe.close()

    def tokenised(self, texts: Texts) -> list[TokenisedText]:
        """Texts and their tokens, as `trace` reads them.

        Raises:
            InputError: there is none, or one is no text.
        """
        if not isinstance(texts, Iterable | TokenisedText):
            raise InputError(f"texts: expected a text or several, got {type(texts).__name__}")
        several = [texts] if isinstance(texts, str | TokenisedText) else list(texts)
        if not several:
            raise InputError("texts: expected at least one text, got none")
        found = []
        for number, text in enumerate(several):
            try:
                found.append(text if isinstance(text, TokenisedText) else self.tokenise(text))
            except InputError as error:
                raise InputError(f"texts[{number}]: {str(error).removeprefix('text: ')}") from error
        return found
