"""What of a run leaves it: encoder, head, tokenizer, and how vectors and labels come about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from xformer.data.corpus import open_corpus
from xformer.data.manifest import MANIFEST_NAME, Manifest
from xformer.data.split import SPLITS
from xformer.errors import InputError
from xformer.evaluation.sentence_layer import settle_sentence_layer
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.load import open_finetuned
from xformer.interop.huggingface.classifier import check_classifier
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.families import held_by_none
from xformer.model.heads import MaskedLMHead
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed
from xformer.pretraining.abilities import masked_lm_gap
from xformer.pretraining.load import load_model, open_tokenizer
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, PRETRAINING, task_of
from xformer.runs.opening import open_checkpoint
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import PAD_ID


@dataclass(frozen=True)
class Classes:
    """What a fine-tuned run says of a text.

    Attributes:
        labels: by number.
        multi_label: whether a text may have several.
        weight: (N, D) of the linear layer after root-mean-square normalisation, divided by the temperature.
        bias: (N,), likewise.
    """

    labels: tuple[str, ...]
    multi_label: bool
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Source:
    """A run, opened to be exported, in evaluation mode, on the host.

    Attributes:
        run: its folder.
        settings: of the run.
        step: optimizer steps that the weights have seen.
        tokenizer: of the run.
        encoder: tokens to hidden states.
        head: the masked-LM head; None if it was not trained.
        no_head: why there is none.
        classes: of a fine-tuned run.
        layer: number of blocks after which sentence vectors are taken.
        max_length: longest sequence that the model reads at once, in tokens.
    """

    run: RunDirectory
    settings: RunConfig | FinetuningConfig
    step: int
    tokenizer: Tokenizer
    encoder: Encoder
    head: MaskedLMHead | None
    no_head: str | None
    classes: Classes | None
    layer: int
    max_length: int

    @property
    def config(self) -> ModelConfig:
        """The settings of the model."""
        return self.encoder.config

    @property
    def manifest(self) -> Manifest | None:
        """Of the corpus; None where the run has none."""
        return Manifest.read(self.run.path) if self.run.manifest.is_file() else None

    def vectors(self, batch: Packed) -> Tensor:
        """Sentence vectors (B, D) in the packed order."""
        with torch.device("meta"):
            model = MultilingualModel(self.config, "mean")
        model.encoder = self.encoder
        return model.eval().sentence_vectors(batch, n_layers=self.layer)

    def corpus(self) -> Iterator[str]:
        """The texts of the corpus, held-out ones first; nothing where it is not at hand."""
        places = [self.run.corpus]
        if isinstance(self.settings, RunConfig):
            places.append(Path(self.settings.data.corpus))
        for place in places:
            if (place / MANIFEST_NAME).is_file():
                corpus = open_corpus(place)
                for split in sorted(SPLITS, key=("test", "dev", "train").index):
                    yield from (record.text for record in corpus.records(split))
                return


def open_source(path: Path, progress: Progress) -> Source:
    """Open a run, and check that another library holds its model.

    Of a run that was fine-tuned the best checkpoint is taken, of others the newest.

    Raises:
        InputError: there is no such run, it has no checkpoint, or no architecture holds its model; the
            message names the setting.
    """
    run = find_run(path)
    task = task_of(run)
    if task == CLASSIFICATION:
        return _finetuned(run)
    if task != PRETRAINING:
        raise InputError(f"{path}: expected a run of {PRETRAINING} or {CLASSIFICATION}, it is one of {task}")
    config, tokenizer = run.load_config(), open_tokenizer(run)
    _require_held(config.model, config.objectives.pooling)
    checkpoint = open_checkpoint(run)
    model, state = load_model(config, checkpoint), checkpoint.state
    gap = masked_lm_gap(run.path, config, state.stage)
    layer = settle_sentence_layer(run.path, progress)
    return Source(
        run,
        config,
        state.step,
        tokenizer,
        model.encoder,
        None if gap else model.masked_lm,
        gap,
        None,
        layer.layer,
        min(config.data.max_length, config.model.max_length),
    )


def first_blocks(encoder: Encoder, n_layers: int) -> Encoder:
    """The encoder without its later blocks, with the same weights.

    ModernBERT wants a block. Where none is to be run, it has one that adds nothing.
    """
    idle = n_layers == 0 and encoder.config.norm_position == "pre" and encoder.config.n_layers > 0
    config = replace(encoder.config, n_layers=1 if idle else n_layers)
    with torch.device("meta"):
        short = Encoder(config)
    kept = {name: value for name, value in encoder.state_dict().items() if name in short.state_dict()}
    if idle:
        kept |= {name: torch.zeros_like(value) for name, value in kept.items() if ".Wo." in name}
    short.load_state_dict(kept, assign=True)
    return short.eval()


def _finetuned(run: RunDirectory) -> Source:
    opened = open_finetuned(run.path)
    config, model = opened.config, opened.model
    if (example := config.classifier.example) != "text":
        what = "pair of texts" if example == "pair" else "word"
        raise InputError(
            f"{run.path}: this run gives each {what} a label; what is exported of fine-tuned runs is their"
            f" labels of texts. Its encoder before that is in {config.base.run}"
        )
    if not isinstance(opened.tokenizer, Tokenizer):
        raise InputError(
            f"{run.path}: classifier.head: expected that of {opened.config.base.family}, got 'own':"
            " classifiers of this architecture have another head than was trained"
        )
    _require_held(config.model, config.base.pooling)
    check_classifier(config.model, model.width, config.classifier.hidden)
    # Divided by the temperature here, probabilities are those of `xformer classify`.
    weight, bias = (one.detach() / opened.temperature for one in (model.head.out.weight, model.head.out.bias))
    return Source(
        run,
        config,
        opened.state.step,
        opened.tokenizer,
        first_blocks(model.encoder, config.layers),
        None,
        "fine-tuning keeps no masked-LM head",
        Classes(config.classifier.labels, config.classifier.multi_label, weight, bias),
        config.layers,
        min(config.base.max_length, config.model.max_length),
    )


def _require_held(config: ModelConfig, pooling: str) -> None:
    if (why := held_by_none(config, pooling)) is not None:
        raise InputError(f"no architecture of Hugging Face holds this model: {why}")
    if config.position_offset not in (0, PAD_ID + 1):
        raise InputError(
            f"model.position_offset: XLM-R counts positions from the id of padding, {PAD_ID}; expected"
            f" {PAD_ID + 1}, got {config.position_offset}"
        )
