"""What the attention page knows, as dataclasses that become its JSON.

Letters: n tokens of a text, L layers, H heads. Arrays are not here: a number that is called a blob names one
of `blobs.Blobs`, which the browser decodes when it is looked at.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xformer.errors import InputError

JSON = Any
"""What `json.dumps` takes: texts, numbers, lists and dictionaries of these."""


@dataclass(frozen=True)
class Weights:
    """The attention weights of one text.

    Attributes:
        blobs: (L, H) numbers of blobs, each of n × n weights, row by row.
        levels: (L, H) how many steps above zero each head was quantised to; fewer for long texts.
        error: the largest difference between a weight as shown and as computed, over all heads.
        overview: a blob of (L, H, side, side) bytes: the largest weights of each head's map, made small;
            255 is the largest of the head.
        side: of a small map, in cells.
        largest: (L, H) the largest weight of each head.
        disagreement: the largest difference between weights times values and the fused kernel's output; None
            where it is not known.
    """

    blobs: Sequence[Sequence[int]]
    levels: Sequence[Sequence[int]]
    error: float
    overview: int
    side: int
    largest: Sequence[Sequence[float]]
    disagreement: float | None = None


@dataclass(frozen=True)
class Statistics:
    """Numbers for each head, computed from weights that are not quantised.

    Attributes:
        names: of the numbers, in order.
        labels: for each name a sentence that says what it is.
        blob: (len(names), L, H).
    """

    names: Sequence[str]
    labels: Sequence[str]
    blob: int


@dataclass(frozen=True)
class Text:
    """A text and its tokens.

    Attributes:
        text: as it was given.
        language: its tag, where it is known.
        direction: "ltr" or "rtl".
        pieces: of the vocabulary, one a token, (n).
        starts: where each token begins in `text`, in UTF-16 units, as JavaScript counts, (n).
        ends: where it ends; a special token is empty, (n).
        special: 1 for a special token, (n).
        words: number of each token's word; -1 for a special token, (n).
        weights: None: this run has none for the text.
        statistics: of each head on this text.
        notes: what a reader must know about this text, one sentence each.
    """

    text: str
    language: str
    direction: str
    pieces: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    special: Sequence[int]
    words: Sequence[int]
    weights: Weights | None = None
    statistics: Statistics | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Run:
    """A model's view of some texts: one of a page's runs, or one checkpoint of a run.

    Attributes:
        name: for the reader.
        layers: L.
        heads: H.
        texts: the same texts in each run of a page, in the same order; tokens may differ.
        facts: what to say about the model, as (name, value).
        extra: the parts for other views by name: `lens`, `ablation`, `pair`, `arithmetic`, `film`. Each view
            says what its part holds.
    """

    name: str
    layers: int
    heads: int
    texts: Sequence[Text]
    facts: Sequence[tuple[str, str]] = ()
    extra: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class Payload:
    """The page.

    Attributes:
        title: of the page.
        runs: at least one.
        command: that made the page; empty if it was not a command.
        view: which view is open at first.
        layer: which is open at first.
        head: which is open at first.
    """

    title: str
    runs: Sequence[Run]
    command: str = ""
    view: str = "attention"
    layer: int = 0
    head: int = 0

    def to_json(self) -> str:
        """JSON that may stand in a `<script>` element: it has no `<`.

        Raises:
            InputError: a number is not finite.
        """
        told = dataclasses.asdict(self)
        for run in told["runs"]:
            run.update(run.pop("extra"))
        try:
            text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except ValueError as error:
            raise InputError(
                "the page: numbers of the model, or of what was changed in it, are not finite"
            ) from error
        return text.replace("<", "\\u003c")
