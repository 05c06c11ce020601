"""Which settings act only beside others, and the refusal of those that would do nothing.

A setting that is in no table here acts in every run. What acts on the evaluation alone does act: the bag of
subwords that `xformer evaluate` trains as a baseline takes the settings of the alignment, with that objective
or without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from xformer.data.embedded import is_embedded
from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.storage.describe import value_of
from xformer.storage.toml import spelled
from xformer.tokenizer import TokenizerOptions
from xformer.tokenizer.options import LARGEST_SUITABLE


@dataclass(frozen=True)
class Need:
    """What a setting needs in order to act.

    Attributes:
        met: whether settings have it.
        words: the same in words, after "acts only".
        elsewhere: where else the setting can be given; a sentence, or nothing.
        off: a value that says what is so without the need as well, and is never refused.
    """

    met: Callable[[RunConfig], bool]
    words: str
    elsewhere: str = ""
    off: Any = ...


def _aligns(config: RunConfig) -> bool:
    return config.objectives.alignment_tokens > 0


def _hides(config: RunConfig) -> bool:
    return config.objectives.masked_lm_tokens > 0 or config.objectives.translation_lm_tokens > 0


def _pairs(config: RunConfig) -> bool:
    return _aligns(config) or config.objectives.translation_lm_tokens > 0


def _warms_up(config: RunConfig) -> bool:
    return _aligns(config) and config.objectives.embedding_warmup_share > 0


def _has_blocks(config: RunConfig) -> bool:
    return config.model.n_layers > 0


def _has_windows(config: RunConfig) -> bool:
    model = config.model
    return not all(model.is_global(layer) for layer in range(model.n_layers))


def _embedded_corpus(config: RunConfig) -> bool:
    return is_embedded(config.data.corpus)


_BLOCKS = "in a model with blocks (model.n_layers from 1)"
_WINDOWS = "where a block has local attention (model.window, and from 2: model.global_every, model.n_layers)"
_ALIGNMENT = "beside the alignment (objectives.alignment_tokens above 0)"
_MASKED = "beside a masked objective (objectives.masked_lm_tokens or …translation_lm_tokens above 0)"
_WARMUP = "in the embedding warm-up (objectives.alignment_tokens and …embedding_warmup_share above 0)"
_EMBEDDED = "where the run imports the corpus itself (data.corpus=gettext, or broad)"
_IMPORT = "Of a corpus of your own, `xformer data import` decides it"
_TRAIN = "Of a tokenizer of its own, `xformer tokenizer train` decides it"


_T5 = Need(lambda c: c.model.positions == "t5", "with T5's positions (model.positions=t5)")
_CORPUS = Need(_embedded_corpus, _EMBEDDED, _IMPORT)
_TOKENIZER = Need(
    lambda c: c.data.tokenizer is None, "where the run trains its tokenizer (data.tokenizer=none)", _TRAIN
)
_SPANS = Need(
    lambda c: _hides(c) and c.objectives.masking.unit == "span",
    f"where spans are hidden (objectives.masking.unit=span), {_MASKED}",
)
_HIDES = Need(_hides, _MASKED)

NEEDS: dict[str, Need] = {
    "model.d_ff": Need(_has_blocks, _BLOCKS),
    "model.activation": Need(_has_blocks, _BLOCKS),
    "model.norm_position": Need(_has_blocks, _BLOCKS),
    "model.attention_dropout": Need(_has_blocks, _BLOCKS),
    "model.zero_init_residual": Need(_has_blocks, _BLOCKS, off=False),
    "model.rotary_base": Need(
        lambda c: c.model.positions == "rotary" and _has_blocks(c),
        "with rotary positions (model.positions=rotary), in a model with blocks",
    ),
    "model.rotary_base_local": Need(
        lambda c: c.model.positions == "rotary" and _has_windows(c),
        f"with rotary positions (model.positions=rotary), {_WINDOWS}",
    ),
    "model.t5_buckets": _T5,
    "model.t5_max_distance": _T5,
    "model.position_offset": Need(
        lambda c: c.model.positions == "learned", "with learned positions (model.positions=learned)"
    ),
    "model.skip_first_norm": Need(
        lambda c: c.model.norm_position == "pre" and _has_blocks(c),
        "with norms before the sublayers (model.norm_position=pre), in a model with blocks",
        off=False,
    ),
    "model.gelu": Need(
        lambda c: (
            (c.model.head_activation_norm and c.model.activation != "relu")
            or (_has_blocks(c) and c.model.activation in ("gelu", "geglu"))
        ),
        "where GELU appears (model.activation=geglu or gelu, or model.head_activation_norm and no relu)",
    ),
    "model.window": Need(_has_windows, _WINDOWS, off=None),
    "model.global_every": Need(
        lambda c: c.model.window is not None and c.model.n_layers > 1 and c.model.global_layers is None,
        "with local attention (model.window) in a model of two blocks and more, and no model.global_layers",
    ),
    "model.global_layers": Need(
        lambda c: c.model.window is not None and c.model.n_layers > 0,
        "with local attention (model.window)",
        off=None,
    ),
    **{f"tokenizer.{name}": _TOKENIZER for name in (field.name for field in fields(TokenizerOptions))},
    # The settings of runs of earlier versions have this number in any case.
    "tokenizer.vocabulary_size": replace(_TOKENIZER, off=LARGEST_SUITABLE),
    "data.dev_groups": _CORPUS,
    "data.test_groups": _CORPUS,
    "data.held_out_languages": _CORPUS,
    "data.held_out_chars": _CORPUS,
    "data.min_language_texts": _CORPUS,
    "data.small_languages": _CORPUS,
    "data.decontaminate": _CORPUS,
    "objectives.masking.rate": _HIDES,
    "objectives.masking.unit": _HIDES,
    "objectives.masking.span_mean": _SPANS,
    "objectives.masking.span_max": _SPANS,
    "objectives.masking.replacement": _HIDES,
    "objectives.sampled_softmax_size": Need(_hides, _MASKED, off=0),
    "objectives.masked_lm_weight": Need(
        lambda c: c.objectives.masked_lm_tokens > 0,
        "beside the masked LM (objectives.masked_lm_tokens above 0)",
    ),
    "objectives.translation_lm_weight": Need(
        lambda c: c.objectives.translation_lm_tokens > 0,
        "beside the translation LM (objectives.translation_lm_tokens above 0)",
    ),
    "objectives.embedding_warmup_share": Need(_aligns, _ALIGNMENT, off=0.0),
    "objectives.alignment_weight": Need(_aligns, _ALIGNMENT, off=0.0),
    "objectives.distillation_weight": Need(_aligns, _ALIGNMENT, off=0.0),
    "optimizer.embedding_lr": Need(_warms_up, _WARMUP),
    "optimizer.bigram_lr": Need(
        lambda c: c.model.bigrams > 0 and _warms_up(c), f"with bigrams (model.bigrams from 1), {_WARMUP}"
    ),
    "optimizer.full_bigram_lr": Need(lambda c: c.model.bigrams > 0, "with bigrams (model.bigrams from 1)"),
    "optimizer.final_lr": Need(
        lambda c: c.optimizer.decay > 0, "where the rate falls (optimizer.decay above 0)"
    ),
}
"""What settings need, by full name."""

_BASELINE = "`xformer evaluate` trains its baseline with it in any case"

TRAINING_NEEDS: dict[str, Need] = {
    "data.pivot": Need(
        lambda c: c.data.pivot_share > 0 and _pairs(c),
        "where pairs prefer the pivot (data.pivot_share above 0, and an objective with pairs)",
        "The panel and the report compare with it in any case; `xformer evaluate --pivot` takes another",
    ),
    "data.pivot_share": Need(_pairs, "beside an objective with pairs", _BASELINE),
    "objectives.embedding_warmup_tokens": Need(_warms_up, _WARMUP, _BASELINE),
    "objectives.alignment_languages": Need(_aligns, _ALIGNMENT, _BASELINE),
    "objectives.logit_scale": Need(_aligns, _ALIGNMENT, _BASELINE),
    "objectives.margin": Need(_aligns, _ALIGNMENT, _BASELINE),
}
"""What settings need in order to act on training; without it, evaluation, panel and report alone use them."""


def evaluation_only(config: RunConfig) -> frozenset[str]:
    """The settings that evaluation, panel and report alone use, beside these others; they may change."""
    return frozenset(name for name, need in TRAINING_NEEDS.items() if not need.met(config))


def without_effect(config: RunConfig, given: Collection[str]) -> Iterator[tuple[str, Need]]:
    """The given settings that differ from their defaults and cannot act, each with what it needs.

    Args:
        config: all settings.
        given: full names of those that the user gave.
    """
    defaults = RunConfig()
    for name, need in NEEDS.items():
        if name in given and not need.met(config):
            value = value_of(config, name)
            if value not in (value_of(defaults, name), need.off):
                yield name, need


def require_effect(config: RunConfig, given: Mapping[str, str], run: RunConfig | None = None) -> None:
    """Refuse settings that the user gave and that cannot act.

    Args:
        config: all settings.
        given: the place of each setting that the user gave, by its full name: a file, or `--set`.
        run: the settings of the run, if it exists. What it began with is not refused.

    Raises:
        InputError: some would do nothing; the message says of each why, and what to do.
    """
    defaults, problems = RunConfig(), []
    for name, need in without_effect(config, given):
        value = value_of(config, name)
        if run is None or value_of(run, name) != value:
            elsewhere = f" {need.elsewhere}." if need.elsewhere else ""
            problems.append(
                f"{given[name]}: {name}={spelled(value)} would do nothing: it acts only {need.words}."
                f"{elsewhere} Leave it out; its default is {spelled(value_of(defaults, name))}"
            )
    if problems:
        raise InputError("; ".join(problems))
