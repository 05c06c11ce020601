"""A run of any kind, opened to be computed by another runtime: its network, and what it gives itself.

Shapes: B sequences, T tokens, C d_model, D width of a sentence's vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xformer.errors import InputError
from xformer.evaluation.sentence_layer import settle_sentence_layer
from xformer.finetuning.heads.library import LibraryHead
from xformer.finetuning.inputs.texts import TextBatch
from xformer.finetuning.inputs.words import WordBatch
from xformer.finetuning.load import FinetunedRun, open_finetuned
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.predict import probabilities_of
from xformer.interop.network.outputs import Output
from xformer.interop.network.spec import Activation, LabelHead, NetworkSpec
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.pretraining.pretrained import open_pretrained
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, IMPORTED, PRETRAINING, task_of
from xformer.tokenizer.interface import TextTokenizer

Sequences = Sequence[NDArray[np.int64]]


@dataclass(frozen=True)
class PortableRun:
    """A run, in evaluation mode, on the host.

    Attributes:
        run: its folder.
        task: its kind.
        config: all its settings.
        step: optimizer steps that the weights have seen.
        tokenizer: of the run.
        max_length: longest sequence that the model reads at once, in tokens.
        temperature: what logits were divided by.
        spec: what another runtime computes.
        network: the encoder and the pooling of sentence vectors.
        classifier: what gives labels; None where nothing does.
    """

    run: RunDirectory
    task: str
    config: Any
    step: int
    tokenizer: TextTokenizer
    max_length: int
    temperature: float
    spec: NetworkSpec
    network: MultilingualModel
    classifier: FinetunedModel | None = None

    def compute(self, texts: Sequences, others: Sequences) -> dict[Output, Tensor]:
        """What the run itself gives, by the names of `spec.outputs`.

        Args:
            texts: B sequences of token ids.
            others: the second texts of pairs; read for a run of pairs alone.

        Returns:
            As `forward`, but for what belongs to tokens: (T, …), without padding.
        """
        spec, found = self.spec, {}
        with torch.no_grad():
            batch = pack(texts, sort=False)
            found["last_hidden_state"] = self.network.encoder(batch, n_layers=spec.n_layers)
            if "sentence_embedding" in spec.outputs:
                found["sentence_embedding"] = self.network.sentence_vectors(
                    batch, n_layers=spec.vector_layers, normalise=spec.normalise
                )
            if self.classifier is not None and spec.head is not None:
                logits = self.classifier(_input_batch(spec.head, texts, others)) / self.temperature
                found["logits"] = logits
                probabilities = probabilities_of(logits, spec.head.multi_label)
                found["probabilities"] = torch.from_numpy(probabilities)
        return {name: found[name] for name in spec.outputs}


def open_portable(path: Path, progress: Progress, outputs: Sequence[Output] | None = None) -> PortableRun:
    """Open a run of `xformer pretrain`, `finetune` or `import`, at the checkpoint that `xformer.load` takes.

    Args:
        path: its folder.
        progress: says what is done.
        outputs: what is to be computed; None for all that the run has.

    Raises:
        InputError: there is no such run, it has no checkpoint, or it has no such output.
    """
    run = find_run(path)
    task = task_of(run)
    if task == CLASSIFICATION:
        found = _finetuned(open_finetuned(run.path))
    elif task in (PRETRAINING, IMPORTED):
        found = _pretrained(run, task, progress)
    else:
        raise InputError(
            f"{path}: expected a run of {PRETRAINING}, {CLASSIFICATION} or {IMPORTED}, it is one of {task}"
        )
    if outputs is None:
        return found
    for name in outputs:
        if name not in found.spec.outputs:
            raise InputError(f"--outputs: {path} has {', '.join(found.spec.outputs)}; got {name}")
    chosen = tuple(name for name in found.spec.outputs if name in outputs)
    if not chosen:
        raise InputError(f"--outputs: expected at least one of {', '.join(found.spec.outputs)}")
    return replace(found, spec=replace(found.spec, outputs=chosen))


def _pretrained(run: RunDirectory, task: str, progress: Progress) -> PortableRun:
    opened = open_pretrained(run.path)
    settings, network = opened.settings, opened.network
    layer = opened.layer or settle_sentence_layer(run.path, progress)
    spec = NetworkSpec(
        settings.model,
        network.encoder.state_dict(),
        settings.model.n_layers,
        layer.layer,
        settings.pooling,
        network.pooling.weight,
        settings.normalise,
        None,
        ("sentence_embedding", "last_hidden_state"),
    )
    longest = min(settings.max_length, settings.model.max_length)
    return PortableRun(
        run, task, opened.config, opened.state.step, opened.tokenizer, longest, 1.0, spec, network
    )


def _finetuned(opened: FinetunedRun) -> PortableRun:
    config, model, temperature = opened.config, opened.model, opened.temperature
    classifier = config.classifier
    with torch.device("meta"):
        network = MultilingualModel(config.model, config.base.pooling)
    network.encoder = model.encoder
    if classifier.coordinates == "shared":
        network.pooling = model.pooling
    # Fine-tuning keeps the weights of a weighted pooling where the head reads the same coordinates.
    known = classifier.coordinates == "shared" or config.base.pooling != "weighted"
    has_vectors = classifier.example == "text" and known
    spec = NetworkSpec(
        config.model,
        model.encoder.state_dict(),
        config.layers,
        config.layers,
        network.pooling.kind,
        network.pooling.weight,
        True,
        _label_head(opened),
        ("probabilities", "logits", *(("sentence_embedding",) if has_vectors else ()), "last_hidden_state"),
    )
    longest = min(config.base.max_length, classifier.max_tokens, config.model.max_length)
    return PortableRun(
        opened.run,
        CLASSIFICATION,
        config,
        opened.state.step,
        opened.tokenizer,
        longest,
        temperature,
        spec,
        network.eval(),
        model,
    )


def _label_head(opened: FinetunedRun) -> LabelHead:
    classifier, model, temperature = opened.config.classifier, opened.model, opened.temperature
    head, dense, norm = model.head, model.head.dense, getattr(model.head, "norm", None)
    activation: Activation = head.activation if isinstance(head, LibraryHead) else "gelu"
    if isinstance(head, LibraryHead) and activation == "gelu" and head.approximate == "tanh":
        activation = "gelu_tanh"
    return LabelHead(
        classifier.labels,
        classifier.example,
        classifier.multi_label,
        model.width,
        model.pooling.kind,
        model.pooling.weight,
        not isinstance(head, LibraryHead),
        None if dense is None else (dense.weight, dense.bias),
        activation,
        None if norm is None or isinstance(norm, nn.Identity) else (norm.weight, getattr(norm, "bias", None)),
        # Divided by the temperature here, probabilities are those of `xformer classify`.
        (head.out.weight / temperature, head.out.bias / temperature),
    )


def _input_batch(head: LabelHead, texts: Sequences, others: Sequences) -> TextBatch | WordBatch:
    """What a head of this kind reads; of words each token is one."""
    packed = pack([*texts, *others] if head.example == "pair" else texts, sort=False)
    if head.example == "words":
        places = torch.arange(packed.n_tokens)
        return WordBatch(packed, places, torch.ones_like(places, dtype=torch.bool))
    n_texts = packed.n_sequences
    return TextBatch(packed, torch.arange(n_texts), torch.ones(n_texts, dtype=torch.float64), n_texts)
