"""From sources to targets: batches of equal length, each decoded by the method that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from xformer.errors import InputError
from xformer.generation.beam import beam_search
from xformer.generation.decoding import Decoding
from xformer.generation.options import GenerationOptions, Hypothesis
from xformer.generation.sampling import sample
from xformer.generation.shortlist import Shortlist
from xformer.model.config import ModelConfig
from xformer.model.seq2seq import Seq2Seq


def generate(
    model: Seq2Seq,
    sources: Sequence[Sequence[int]],
    options: GenerationOptions,
    *,
    prefixes: Sequence[Sequence[int]] | None = None,
    shortlist: Shortlist | None = None,
    batch_size: int = 32,
    on_done: Callable[[int], None] = lambda done: None,
) -> list[list[Hypothesis]]:
    """Generate targets.

    A target depends on its source, its prefix, its number (where it is drawn) and the options alone: neither
    on the batch nor on other sources, rounding apart.

    Args:
        model: in evaluation mode, on any device.
        sources: token ids, as the model was trained to read them; empty ones are allowed.
        options: how.
        prefixes: token ids that each target begins with, such as the tag of its language; None for none.
        shortlist: which tokens may stand in the target of a source; None for all.
        batch_size: sources at a time. Those of like length are read together.
        on_done: called with the number of sources that are done.

    Returns:
        For each source its hypotheses: of a beam best first, of sampling in the order of the draws.

    Raises:
        InputError: a token is none of the model's, or a text is longer than the model's positions.
        ValueError: the model is in training mode, or there is another number of prefixes.
    """
    if model.training:
        raise ValueError("model: expected evaluation mode; call model.eval()")
    prefixes = [()] * len(sources) if prefixes is None else prefixes
    if len(prefixes) != len(sources):
        raise ValueError(f"prefixes: expected {len(sources)}, one a source, got {len(prefixes)}")
    _check(model, sources, prefixes, options)
    order = sorted(range(len(sources)), key=lambda number: -len(sources[number]))
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        with torch.inference_mode():
            decoding = Decoding(
                model,
                [sources[number] for number in numbers],
                [prefixes[number] for number in numbers],
                suppress=options.suppress,
                shortlist=shortlist,
                coverage=options.method == "beam" and options.coverage_penalty > 0,
            )
            its = (
                beam_search(decoding, options)
                if options.method == "beam"
                else sample(decoding, options, numbers)
            )
        for number, hypotheses in zip(numbers, its, strict=True):
            found[number] = hypotheses
        on_done(start + len(numbers))
    return found


def _check(
    model: Seq2Seq,
    sources: Sequence[Sequence[int]],
    prefixes: Sequence[Sequence[int]],
    options: GenerationOptions,
) -> None:
    longest = max((len(prefix) for prefix in prefixes), default=0) + options.max_length
    _check_tokens("source", sources, model.config.encoder)
    _check_tokens("prefix", prefixes, model.config.decoder)
    limit = model.config.decoder.max_length
    if model.config.decoder.positions == "learned" and longest > limit:
        raise InputError(
            f"max_length: expected at most {limit} tokens with the prefix, as the decoder has positions, got "
            f"{longest}"
        )


def _check_tokens(name: str, texts: Sequence[Sequence[int]], config: ModelConfig) -> None:
    for number, text in enumerate(texts):
        if config.positions == "learned" and len(text) > config.max_length:
            limit = f"at most {config.max_length} tokens"
            raise InputError(f"{name} {number}: expected {limit}, got {len(text)}; shorten it")
        if len(text) and (min(text) < 0 or max(text) >= config.rows):
            raise InputError(f"{name} {number}: expected ids from 0 to {config.rows - 1}, got {list(text)}")
