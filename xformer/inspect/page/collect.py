"""From traces to what the page shows.

A trace is known here by what is asked of it alone, so that it may draw itself as a page without a circle of
imports. Letters: n tokens of a text, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.inspect.page.blobs import LEVELS, Blobs, likely_sizes, small_map
from xformer.inspect.page.payload import JSON, Run, Statistics, Text, Weights
from xformer.inspect.page.shares import shares
from xformer.inspect.page.statistics import LABELS, head_statistics
from xformer.inspect.page.text import direction, utf16_offsets

BUDGET = 3_000_000
"""Bytes of all weights of a page before base64, which adds a third."""

SIDE = 48
"""Cells a side of a head's small map in the overview."""

WEIGHTS = "layers.{}.attn.weights"


class Tokens(Protocol):
    """A text's tokens; see `TokenisedText`."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def ids(self) -> Any: ...  # noqa: D102
    @property
    def pieces(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def spans(self) -> tuple[tuple[int, int], ...]: ...  # noqa: D102
    @property
    def special(self) -> tuple[bool, ...]: ...  # noqa: D102
    @property
    def words(self) -> tuple[int, ...]: ...  # noqa: D102


class Traced(Protocol):
    """What the page asks of a `Trace`."""

    @property
    def texts(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def names(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def notes(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def subject(self) -> Any: ...  # noqa: D102
    def __getitem__(self, name: str, /) -> Any: ...


Extra = Callable[[Traced, Blobs], dict[str, JSON]]
"""A part for another view: from a trace, keys of a run's section and what they hold."""


def run_of(
    trace: Traced,
    blobs: Blobs,
    *,
    name: str = "",
    languages: Sequence[str] = (),
    extras: Sequence[Extra] = (),
    budget: int = BUDGET,
) -> Run:
    """A run's section of the page.

    Args:
        trace: of its texts, with the attention weights of its layers.
        blobs: where arrays go.
        name: of the run; left out, that of the trace's subject.
        languages: tags of the texts; left out, none is known.
        extras: parts for other views.
        budget: the most bytes that the weights may take, before base64.

    Raises:
        InputError: the trace holds no attention weights, or a text without tokens.
    """
    layers = _layers(trace)
    heads = len(_weights(trace, layers[0], 0)[0]) if trace.texts else 0
    if not all(len(one.ids) for one in trace.texts):
        raise InputError("the page needs texts of at least one token")
    squares = [len(one.ids) ** 2 for one in trace.texts]
    texts = [
        _text(trace, number, layers, blobs, tag, budget * squares[number] // max(sum(squares), 1))
        for number, tag in zip(range(len(trace.texts)), [*languages, *[""] * len(trace.texts)], strict=False)
    ]
    extra: dict[str, JSON] = {}
    for part in extras:
        extra |= part(trace, blobs)
    return Run(name or str(trace.subject.name), len(layers), heads, texts, _facts(trace), extra)


def _layers(trace: Traced) -> list[int]:
    names = set(trace.names)
    found: list[int] = []
    while WEIGHTS.format(len(found)) in names:
        found.append(len(found))
    if not found:
        raise InputError(
            f'the page needs attention weights: trace with keep=["layers.*.attn.weights"]; '
            f"this trace has {', '.join(sorted(names)) or 'nothing'}"
        )
    return found


def _weights(trace: Traced, layer: int, text: int) -> tuple[NDArray[np.float32], float | None]:
    """(H, n, n), and how far they are from what the kernel computed.

    Raises:
        InputError: a weight is not finite.
    """
    recorded = trace[WEIGHTS.format(layer)]
    found: NDArray[np.float32] = recorded[text].detach().float().cpu().numpy()
    if not np.isfinite(found).all():
        raise InputError(
            f"texts[{text}]: attention weights of layer {layer} are not finite, so the page cannot show them;"
            " the model, or what was changed in it, gives no numbers there"
        )
    return found, getattr(recorded, "disagreement", None)


def _facts(trace: Traced) -> list[tuple[str, str]]:
    config = trace.subject.config
    told = {"layers": "n_layers", "heads": "n_heads", "width": "d_model", "vocabulary": "vocab_size"}
    return [(label, f"{getattr(config, field):,}") for label, field in told.items() if hasattr(config, field)]


def _text(
    trace: Traced, number: int, layers: Sequence[int], blobs: Blobs, language: str, budget: int
) -> Text:
    tokens: Tokens = trace.texts[number]
    ids = np.asarray(tokens.ids, dtype=np.int64)
    maps, statistics, sizes, largest = [], [], [], []
    apart: list[float] = []
    for layer in layers:
        weights, disagreement = _weights(trace, layer, number)
        apart += [] if disagreement is None else [disagreement]
        statistics.append(head_statistics(weights, ids, tokens.special))
        maps.append(np.stack([small_map(one, SIDE) for one in weights]))
        sizes += [likely_sizes(one) for one in weights]
        largest += [float(one.max()) for one in weights]
    part = shares(np.array(sizes), np.array(largest), np.array(LEVELS, dtype=float), budget)
    shown: list[int] = []
    levels: list[int] = []
    error = 0.0
    # A second time, since all heads of a long text together may not fit into memory.
    for layer in layers:
        for one in _weights(trace, layer, number)[0]:
            # What a head leaves of its share goes to those after it.
            left = part[len(shown) :]
            blob, quantised = blobs.add_weights(one, int(budget * left[0] / left.sum()))
            budget -= blobs.size(blob)
            error = max(error, float(np.abs(quantised.decode() - one).max()))
            shown.append(blob)
            levels.append(quantised.levels)
    rows = len(shown) // len(layers)

    def by_layer(flat: Sequence[Any]) -> list[list[Any]]:
        return [list(flat[start : start + rows]) for start in range(0, len(flat), rows)]

    small = np.stack(maps)
    numbers = np.stack([[one[name] for one in statistics] for name in LABELS])
    return Text(
        text=tokens.text,
        language=language,
        direction=direction(tokens.text),
        pieces=list(tokens.pieces),
        starts=utf16_offsets(tokens.text, [start for start, _ in tokens.spans]),
        ends=utf16_offsets(tokens.text, [end for _, end in tokens.spans]),
        special=[int(one) for one in tokens.special],
        words=[int(one) for one in tokens.words],
        weights=Weights(
            blobs=by_layer(shown),
            levels=by_layer(levels),
            error=error,
            overview=blobs.add(small),
            side=small.shape[-1],
            largest=by_layer([round(one, 6) for one in largest]),
            disagreement=max(apart, default=None),
        ),
        statistics=Statistics(list(LABELS), list(LABELS.values()), blobs.add(numbers)),
        notes=list(trace.notes),
    )
