"""Translation as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from xformer.model.seq2seq import Seq2Seq
from xformer.runs.checkpoint import TrainingState
from xformer.training.averaging import AveragedAdam
from xformer.training.schedule import Span, learning_rate_factor
from xformer.training.tally import Tally
from xformer.training.task import Stage, Task
from xformer.translation.batches import TranslationBatch, TranslationBatches
from xformer.translation.config import TranslationConfig
from xformer.translation.dev import DevSample, DevScores
from xformer.translation.encoded import EncodedPairs
from xformer.translation.losses import TranslationLosses

_TABLE = "encoder.embeddings.tok_embeddings.weight"


class TranslationTask(Task[TranslationBatch]):
    """The task of `xformer finetune translate`.

    Attributes:
        model: the translator.
        losses: cross-entropy, and with R-drop the divergence of two passes.
        categories: the directions.
        scores: of the last evaluation on the dev sample; None before the first.
        steps_of_a_pass: steps in which as many pairs are drawn as there are.
    """

    model: Seq2Seq

    def __init__(
        self,
        config: TranslationConfig,
        model: Seq2Seq,
        train: EncodedPairs,
        dev: DevSample,
        tokenizer: str,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Set what learns from what.

        Args:
            config: the run's settings.
            model: with its first weights, on the host.
            train: the training pairs.
            dev: held-out pairs that are translated at each evaluation.
            tokenizer: its fingerprint.
            rank: this process's number.
            world: number of processes.
        """
        options = config.translation
        self.model, self.categories = model, [str(one) for one in train.pairs.directions]
        self.max_grad_norm = config.optimizer.max_grad_norm
        self.losses = TranslationLosses(model, options.label_smoothing, options.r_drop)
        self.scores: DevScores | None = None
        self._config, self._dev = config, dev
        self._batches = TranslationBatches(
            train, options.batch_tokens, options.temperature, config.training.seed, rank, world
        )
        self.steps_of_a_pass = self._batches.steps_of_a_pass
        self._fingerprints = {
            "training text": train.fingerprint,
            "dev text": dev.fingerprint,
            "tokenizer": tokenizer,
        }

    def batch(self, step: int, stage: str) -> TranslationBatch:
        """This process's share of a step."""
        return self._batches.make(step)

    def stage(self, state: TrainingState, span: Span) -> Stage:
        """The only stage, in which all learning rates rise and fall together."""
        share = span.progress(state.step, state.elapsed)
        factor = learning_rate_factor(share, *self._config.optimizer.schedule)
        return Stage("translation", dict.fromkeys((group["name"] for group in self._groups), factor))

    def optimizer(self) -> AveragedAdam:
        """AdamW with a mean of the weights, and a lower rate for what is pretrained."""
        config = self._config.optimizer
        pretrained = self._config.origin.run is not None and self._config.origin.init == "pretrained"
        groups: dict[str, dict[str, Any]] = {}
        for name, parameter in self.model.named_parameters():
            learned = pretrained and (name.startswith("encoder.") or name == _TABLE)
            matrix = parameter.ndim >= 2 and name != _TABLE
            group = f"{'pretrained' if learned else 'new'}{'' if matrix else ' vectors'}"
            rate = config.lr * (config.pretrained_lr if learned else 1.0)
            decay = config.weight_decay if matrix else 0.0
            its = groups.setdefault(group, {"name": group, "params": [], "lr": rate, "weight_decay": decay})
            its["params"].append(parameter)
        optimizer = AveragedAdam(
            list(groups.values()), self._config.translation.averaging, (config.beta1, config.beta2)
        )
        self._groups, self._optimizer = optimizer.param_groups, optimizer
        return optimizer

    def tally(self, state: Mapping[str, tuple[float, ...]]) -> Tally[TranslationBatch]:
        """Means of the losses."""
        return Tally(state)

    def held_out_loss(self, total_of: Callable[[TranslationBatch], Tensor]) -> float | None:
        """100 minus the mean chrF of the directions on the dev sample, by the mean of the weights."""
        with self._optimizer.averaged():
            self.scores = self._dev.score(self.model)
        return 100.0 - self.scores.mean

    def blocks(self) -> Sequence[nn.Module]:
        """The blocks of both halves."""
        return [*self.model.encoder.layers, *self.model.decoder.layers]

    def fingerprints(self) -> dict[str, str]:
        """Hashes of the texts and of the tokenizer."""
        return self._fingerprints
