"""The model of a run, as `xformer.load` gives it: vectors, masked tokens, traces, labels, neighbours.

Shapes: E texts, D vector width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.api.classify import Classifying
from xformer.api.comparing import Comparing, check_k
from xformer.api.keywords import refuse
from xformer.api.summarize import Summarizing
from xformer.api.tag import Tagger
from xformer.api.translate import Translating
from xformer.data.reporting import ProgressCallback
from xformer.embedding.checked import as_texts, check_one
from xformer.embedding.precision import Prepared
from xformer.embedding.texts import EncodedStream, TextEncoder, joined
from xformer.errors import InputError
from xformer.inspect.interventions import Intervention
from xformer.inspect.names import DEFAULT_KEEP
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import tokens_of
from xformer.inspect.trace import LIMIT_BYTES, Trace
from xformer.inspect.trace import Texts as TracedTexts
from xformer.prediction.fill_mask import Filling, MaskFiller
from xformer.pretraining.pretrained import PretrainedRun, open_pretrained
from xformer.progress import Progress, ShowProgress, shown
from xformer.runs.sentence_layer import SentenceLayer

Vectors = NDArray[np.float32]
Texts = Iterable[str]


class Model(Classifying, Comparing, Summarizing, Tagger, Translating):
    """The model of a run: sentence vectors and masked tokens. Made by `xformer.load`.

    A text of any length can be encoded. One of more than `max_length` tokens is cut into chunks, as few as
    possible and equally long; its vector is the mean of the chunks' pooled vectors, weighted by their tokens.
    The empty text has the zero vector. Vectors do not depend on what is encoded beside them, up to rounding.

    Which layer vectors are taken from is the run's knowledge: the one where dev texts retrieve best. It is
    measured when a run has been trained; where that has not happened, by the first call that needs it, which
    takes some seconds more and writes the choice into the run.

    Several threads may use a model at once, except one that `load` was given `threads` for.

    Attributes:
        path: the run's folder.
        config: the settings of the run.
        tokenizer: of the run.
        step: optimizer steps that the weights have seen.
        device: where it computes.
        dtype: precision of matrix products: `fp32`, `bf16` or `int8`.
        dim: D, width of a text's vector.
        max_length: longest sequence that the model reads at once, in tokens.
    """

    def __init__(
        self, opened: PretrainedRun, prepared: Prepared, device: torch.device, threads: int | None
    ) -> None:
        self.path, self.config, self.tokenizer = opened.run.path, opened.config, opened.tokenizer
        self.step, self.dtype, self.device = opened.state.step, prepared.dtype, device
        self._settings = opened.settings
        self.dim, self.max_length = opened.network.vector_dim, self._settings.max_length
        self._opened, self._threads = opened, threads
        self._network, self._context = prepared.model, prepared.computing
        self._layer = opened.layer
        self._interventions: tuple[Intervention, ...] = ()

    def __repr__(self) -> str:
        blocks = self._settings.model.n_layers
        layer = (
            "layer not chosen yet" if self._layer is None else f"after {self._layer.layer} of {blocks} blocks"
        )
        return (
            f"Model({str(self.path)!r}, step {self.step:,}: vectors of {self.dim} {layer}, "
            f"{self.tokenizer.vocab_size:,} pieces, {self.dtype} on {self.device})"
        )

    @property
    def languages(self) -> tuple[str, ...]:
        """Tags of the languages that the run was trained on, sorted; none where it was imported.

        >>> model.languages
        ('de', 'el', 'en')

        Raises:
            InputError: the run has no manifest.
        """
        if self._translator is not None:
            return tuple(sorted({*self._translator.sources, *self._translator.targets}))
        return self._opened.languages

    @property
    def prompts(self) -> Mapping[str, str]:
        """Texts that may stand in front of a text, by name; an imported model may have some."""
        return self._settings.prompts

    @property
    def layer(self) -> SentenceLayer:
        """The layer after which vectors are taken, and the dev scores that chose it.

        Raises:
            InputError: it was never measured, and the run's dev shards are missing or damaged.
        """
        return self._sentence_layer(None)

    @property
    def of_longer_texts(self) -> str:
        """What becomes of texts of more than `max_length` tokens, in words."""
        if self._settings.cuts:
            return "what comes after these is left out, as in the library that the model comes from"
        return "the vector of each is the mean of its chunks'"

    @overload
    def encode(
        self,
        texts: str | Texts,
        *,
        normalise: bool | None = ...,
        prompt: str | None = ...,
        batch_tokens: int | None = ...,
        progress: ShowProgress = ...,
        as_tensor: Literal[False] = ...,
    ) -> Vectors: ...
    @overload
    def encode(
        self,
        texts: str | Texts,
        *,
        normalise: bool | None = ...,
        prompt: str | None = ...,
        batch_tokens: int | None = ...,
        progress: ShowProgress = ...,
        as_tensor: Literal[True],
    ) -> Tensor: ...

    def encode(
        self,
        texts: str | Texts,
        *,
        normalise: bool | None = None,
        prompt: str | None = None,
        batch_tokens: int | None = None,
        progress: ShowProgress = None,
        as_tensor: bool = False,
        **others: object,
    ) -> Vectors | Tensor:
        """Vectors of texts, in the order given.

        >>> model.encode("Open the file").shape
        (192,)
        >>> model.encode(line for line in ["Open the file", "Datei öffnen"]).shape
        (2, 192)
        >>> model.encode(["Open the file"], as_tensor=True).dtype
        torch.float32

        Args:
            texts: a list, an iterator (it is read as the work goes on), an array or a column of strings; or
                one string.
            normalise: scale vectors to unit length, so that a product of two is their cosine. None does, but
                for an imported model that its own library uses without.
            prompt: the name of the text that stands in front of each (`prompts`), such as `query`; None for
                the model's own default.
            batch_tokens: most tokens in a pass; None for 4,096 a thread of a CPU, and 16,384 on a GPU.
            progress: True shows a bar with rate and time left on standard error; a function is called with
                (what is done, texts done, texts in all or None).
            as_tensor: return a torch tensor on the host instead of a NumPy array.
            others: names of other libraries, such as `batch_size`, are refused with the name that is meant.

        Returns:
            (E, D) float32; (D,) for one string. An empty list gives (0, D).

        Raises:
            InputError: a text is no string, or holds a lone surrogate: its index is named. Items of a list
                are checked before any is encoded. Or an argument is unknown.
        """
        refuse(others, ("normalise", "prompt", "batch_tokens", "progress", "as_tensor"))
        one = isinstance(texts, str)
        if isinstance(texts, str):
            check_one(texts, "text")
            texts = [texts]
        with shown(progress) as tell:
            stream = self._stream(texts, normalise, prompt, batch_tokens, tell)
            found = joined(list(stream), self.dim)
            if isinstance(tell, Progress) and stream.cut:
                longer = f"{stream.cut:,} of {stream.texts:,} texts have more than {self.max_length} tokens"
                tell.say(f"encode: {longer}; {self.of_longer_texts}")
        vectors = found[0] if one else found
        return torch.from_numpy(vectors) if as_tensor else vectors

    def encode_stream(
        self,
        texts: Texts,
        *,
        normalise: bool | None = None,
        prompt: str | None = None,
        batch_tokens: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> EncodedStream:
        """Vectors of texts, block by block in the order given, for more than memory holds.

        About 16,000 texts, or 4 million characters, are read ahead, and no more.

        >>> stream = model.encode_stream(["Open the file", "Datei öffnen"])
        >>> [block.shape for block in stream]
        [(2, 192)]
        >>> stream.texts, stream.cut
        (2, 0)

        Args:
            texts: as in `encode`, but not one string.
            normalise: as in `encode`.
            prompt: as in `encode`.
            batch_tokens: as in `encode`.
            progress: a function, as in `encode`.

        Returns:
            An iterator of arrays (b, D) float32. Its attributes `texts`, `tokens` and `cut` say how many
            texts and tokens the blocks so far hold, and how many of the texts were cut into chunks.

        Raises:
            InputError: as `encode`; for an iterator, when the text is reached.
        """
        if isinstance(texts, str):
            raise InputError(
                "texts: expected a list or an iterator of strings, got one string; put it in a list"
            )
        return self._stream(texts, normalise, prompt, batch_tokens, progress)

    @overload
    def fill_mask(  # type: ignore[overload-overlap]  # a string is an iterable of strings, too
        self, text: str, k: int = ...
    ) -> list[Filling] | list[list[Filling]]: ...
    @overload
    def fill_mask(self, text: Texts, k: int = ...) -> list[list[Filling] | list[list[Filling]]]: ...

    def fill_mask(self, text: str | Texts, k: int = 5) -> Any:
        """The pieces that the model expects where a text has `<mask>`, most probable first.

        >>> for filling in model.fill_mask("Please enter a valid <mask> address.", k=1):
        ...     print(f"{filling.probability:.0%} {filling.text}")  # doctest: +SKIP
        7% Please enter a valid email address.

        A mask takes the space in front of it along, as the pieces of most words begin with a space. Of a text
        of more than `max_length` tokens, each mask sees the part around it. Probabilities are those of the
        softmax over all pieces of the tokenizer that can stand in a text.

        Args:
            text: one text, or several.
            k: number of pieces for each mask.

        Returns:
            For a text with one mask, a list of k `Filling(piece, probability, text)`; with several masks, a
            list of such lists, one a mask, in order. For several texts, a list of these.

        Raises:
            InputError: a text has no mask, or the run has no masked LM.
        """
        check_k(k)
        self._require_masked_lm()
        one = isinstance(text, str)
        if isinstance(text, str):
            check_one(text, "text")
            texts, names = [text], ["text"]
        else:
            texts = list(as_texts(text))
            names = [f"texts[{index}]" for index in range(len(texts))]
            as_texts(texts)
        filler = MaskFiller(self._network, self.tokenizer, self.max_length, self.device, self._computing)
        found = [masks[0] if len(masks) == 1 else masks for masks in filler.fill(texts, k, names)]
        return found[0] if one else found

    @property
    def subject(self) -> Subject:
        """The model as `xformer.inspect` studies it."""
        return Subject(
            name=self.path.resolve().name,
            network=self._network,
            tokens=tokens_of(self.tokenizer),
            device=self.device,
            computing=self._computing,
            max_length=self.max_length,
            languages=self.languages,
            layer=None if self._layer is None else self._layer.layer,
            pools_final=self._settings.cuts,
            has_masked_lm=self._opened.masked_lm_gap is None,
            interventions=self._interventions,
        )

    def trace(
        self,
        texts: TracedTexts,
        *,
        keep: str | Sequence[str] = DEFAULT_KEEP,
        interventions: Sequence[Intervention | Sequence[Intervention]] = (),
        gradients: bool = False,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Trace:
        """Record what the model computes on texts, by name; see `xformer.inspect.Subject.trace`.

        >>> with model.trace(["Open the file", "Datei öffnen"]) as t:
        ...     t["layers.0.attn.weights"][0].sum(-1).allclose(torch.ones(()))
        True
        """
        return self.subject.trace(
            texts, keep=keep, interventions=interventions, gradients=gradients, limit_bytes=limit_bytes
        )

    @contextmanager
    def intervene(self, *interventions: Intervention | Sequence[Intervention]) -> Iterator[Model]:
        """The same model, whose every pass is changed; see `xformer.inspect.Subject.intervene`.

        >>> from xformer.inspect import ablate
        >>> with model.intervene(ablate("layers.0.attn.heads", heads=0)) as changed:
        ...     changed.encode("Open the file").shape
        (192,)
        """
        layer = self._sentence_layer(None)  # that of the model as it is
        with self.subject.intervene(*interventions) as subject:
            changed = copy(self)
            changed._network, changed._interventions = subject.network, subject.interventions
            changed._layer = layer
            yield changed

    def _stream(
        self,
        texts: Texts,
        normalise: bool | None,
        prompt: str | None,
        batch_tokens: int | None,
        progress: ProgressCallback | None,
    ) -> EncodedStream:
        whole = isinstance(batch_tokens, int) and not isinstance(batch_tokens, bool)
        if batch_tokens is not None and not (whole and batch_tokens >= 1):
            raise InputError(f"batch_tokens: expected a whole number from 1, got {batch_tokens!r}")
        checked = as_texts(texts)
        encoder = TextEncoder(
            self._network,
            self.tokenizer,
            self._sentence_layer(progress).layer,
            self.max_length,
            self.device,
            self._computing,
            self._threads,
            cuts=self._settings.cuts,
            prompt=self._prompt(prompt),
        )
        wanted = self._settings.normalise if normalise is None else normalise
        return encoder.stream(checked, normalise=wanted, batch_tokens=batch_tokens, progress=progress)

    def _prompt(self, name: str | None) -> str:
        """The text in front of texts."""
        prompts = self._settings.prompts
        chosen = self._settings.default_prompt if name is None else name
        if chosen is not None and chosen not in prompts:
            known = f"one of {', '.join(prompts)}" if prompts else "None, since this model has no prompts"
            raise InputError(f"prompt: expected {known}; got {chosen!r}")
        return "" if chosen is None else prompts[chosen]

    def _sentence_layer(self, progress: ProgressCallback | None) -> SentenceLayer:
        if self._layer is None:
            from xformer.evaluation.sentence_layer import sentence_layer_of

            # In full precision, as `xformer evaluate` measures it.
            opened = open_pretrained(self.path, self.step)
            self._layer = sentence_layer_of(
                opened.run, opened.network.to(self.device), self.step, device=self.device, progress=progress
            )
        return self._layer

    @contextmanager
    def _computing(self) -> Iterator[None]:
        before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            with self._context():
                yield
        finally:
            if self._threads is not None:
                torch.set_num_threads(before)

    def _require_masked_lm(self) -> None:
        if self._opened.masked_lm_gap is not None:
            raise InputError(self._opened.masked_lm_gap)
