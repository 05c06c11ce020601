"""Path patching: what a head says to one later place alone, not through anything between them.

Activation patching changes whatever follows from a state. Here what lies between sender and receiver is held
as in the base run, so that the sender's change reaches the receiver through the residual stream alone (Wang
et al. 2023, section 3.1; Goldowsky-Dill et al. 2023). In post-norm models norms lie on that path.

Shapes: L layers, H heads, D head size, n tokens of the base text, S senders of one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from xformer.errors import InputError
from xformer.inspect.analysis.patching import Link, PatchingEffect, blocks, check_links, patch_of
from xformer.inspect.analysis.patching_metrics import Metric
from xformer.inspect.interventions import Intervention, patch, replace
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace

Input = Literal["q", "k", "v"]


@dataclass(frozen=True)
class Receiver:
    """The input of a head at which a path ends.

    Attributes:
        layer: from 0.
        head: from 0.
        input: its queries, keys or values.
    """

    layer: int
    head: int
    input: Input


def patch_paths(
    subject: Subject,
    base: TokenisedText,
    source: TokenisedText,
    links: Sequence[Link],
    metric: Metric,
    *,
    receiver: Receiver | None = None,
    hold_feed_forward: bool = True,
    at_once: int = 32,
) -> PatchingEffect:
    """Patch the path from each head to a receiver.

    1. The base text runs with the sender's output from the source run, at the aligned tokens. Outputs of
       heads in layers above the sender are held at those of the base run, up to the receiver.
    2. If the receiver is the end, the metric is measured there. Otherwise the receiver's input is recorded,
       and the base text runs once more with that input alone, and nothing held.

    Args:
        subject: the model.
        base: the text that is patched.
        source: the text that outputs come from.
        links: which tokens get which output.
        metric: what is measured.
        receiver: a head's input; None for the end, what the last norm, the masked LM and the pooling read. If
            sentence vectors are taken from an earlier layer, their end is there, and later heads do nothing.
        hold_feed_forward: whether feed-forwards are held too; False lets paths run through them, as in Wang
            et al.
        at_once: senders in one pass, each in a copy of the text.

    Returns:
        Of (L, H); nan for senders that do not lie below the receiver.

    Raises:
        InputError: a link lies outside the texts, a token of the base gets two outputs, or there is no such
            receiver.
    """
    check_links(links, base, source)
    config = subject.config
    if receiver is not None:
        _check_receiver(receiver, config.n_layers, config.n_heads)
    end = config.n_layers if receiver is None else receiver.layer
    found = torch.full((config.n_layers, config.n_heads), float("nan"), dtype=torch.float64)
    parts = ["attn.heads", "mlp.out"] if hold_feed_forward else ["attn.heads"]
    keep = [*metric.keep, *(f"layers.*.{part}" for part in parts)]
    with (
        subject.trace([source], keep=[*metric.keep, "layers.*.attn.heads"]) as theirs,
        subject.trace([base], keep=keep) as ours,
    ):
        before, goal = float(metric.base(ours)[0]), float(metric.source(theirs)[0])
        for layer in range(end):
            held = [
                patch(f"layers.{above}.{part}", ours, source_text=0)
                for above in range(layer, end)
                for part in parts
                if above > layer or part == "mlp.out"
            ]
            for heads in blocks(config.n_heads, max(1, at_once)):
                sent: list[Intervention] = [
                    patch_of(theirs, f"layers.{layer}.attn.heads", links, copy, head)
                    for copy, head in enumerate(heads)
                ]
                copies = [base] * len(heads)
                kept = metric.keep if receiver is None else (_input_name(receiver),)
                with subject.trace(copies, keep=kept, interventions=[*sent, *held]) as path:
                    if receiver is None:
                        found[layer, heads] = metric.base(path)
                        continue
                arrived = _received(path, receiver, len(heads))
                with subject.trace(copies, keep=metric.keep, interventions=arrived) as moved:
                    found[layer, heads] = metric.base(moved)
    return PatchingEffect(metric.name, before, goal, found)


def _received(path: Trace, receiver: Receiver, copies: int) -> list[Intervention]:
    """The receiver's input, (n, 1, D) in each copy, put in."""
    name = _input_name(receiver)
    values = path[name]
    return [
        replace(name, values.text(copy, heads=receiver.head), texts=copy, heads=receiver.head)
        for copy in range(copies)
    ]


def _input_name(receiver: Receiver) -> str:
    return f"layers.{receiver.layer}.attn.{receiver.input}"


def _check_receiver(receiver: Receiver, layers: int, heads: int) -> None:
    if not 1 <= receiver.layer < layers:
        raise InputError(f"receiver: expected a layer from 1 to {layers - 1}, got {receiver.layer}")
    if not 0 <= receiver.head < heads:
        raise InputError(f"receiver: expected a head from 0 to {heads - 1}, got {receiver.head}")
    if receiver.input not in get_args(Input):
        raise InputError(f"receiver: expected an input q, k or v, got {receiver.input!r}")
