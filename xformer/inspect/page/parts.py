"""The parts of the page for its deeper views, as what `build.page_of` takes for `extras`."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.inspect.page.ablation import ablation
from xformer.inspect.page.arithmetic import BUDGET, arithmetic_part
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import Extra, Traced
from xformer.inspect.page.compare import compare
from xformer.inspect.page.film import Frame, film
from xformer.inspect.page.lens import lens
from xformer.inspect.page.pair import BUDGET as PAIR_BUDGET
from xformer.inspect.page.pair import pair
from xformer.inspect.page.payload import JSON
from xformer.progress import Progress

KEEP = (
    "layers.*.attn.weights",
    "layers.*.attn.q",
    "layers.*.attn.k",
    "layers.*.attn.lse",
    "embeddings",
    "layers.*.resid_post",
)
"""What a trace keeps for all parts."""


def lens_part(k: int = 5) -> Extra:
    """What each layer would predict: `k` pieces."""

    def part(trace: Traced, blobs: Blobs) -> dict[str, JSON]:
        return {"lens": [lens(trace, text, blobs, k=k) for text in range(len(trace.texts))]}

    return part


def ablation_part(progress: Progress | None = None) -> Extra:
    """What each text loses with each head. It takes passes of its own."""

    def part(trace: Traced, blobs: Blobs) -> dict[str, JSON]:
        return {"ablation": [ablation(trace.subject, text, progress=progress) for text in trace.texts]}

    return part


def pair_part(texts: tuple[int, int] = (0, 1), budget: int = PAIR_BUDGET) -> Extra:
    """A text beside its translation. It takes a pass of its own. `budget` is the bytes that it may take."""

    def part(trace: Traced, blobs: Blobs) -> dict[str, JSON]:
        return {"pair": pair(trace.subject, trace, blobs, texts=texts, budget=budget)}

    return part


def compare_part() -> Extra:
    """How each other run differs from the first: from the trace that it is asked about first."""
    first: list[Traced] = []

    def part(trace: Traced, blobs: Blobs) -> dict[str, JSON]:
        if not first:
            first.append(trace)
            return {}
        return {"compare": [compare(first[0], trace, text, blobs) for text in range(len(trace.texts))]}

    return part


def film_part(frames: Sequence[Frame], progress: Progress | None = None) -> Extra:
    """The checkpoints of the first run, in the section of the trace that it is asked about first."""
    made: list[bool] = []

    def part(trace: Traced, blobs: Blobs) -> dict[str, JSON]:
        if made:
            return {}
        made.append(True)
        return {"film": film(frames, [text.text for text in trace.texts], blobs, progress)}

    return part


def extras(
    *,
    runs: int = 1,
    ablations: bool = False,
    pair: bool = False,
    frames: Sequence[Frame] = (),
    progress: Progress | None = None,
) -> list[Extra]:
    """All parts that a page can have, for one call of `make_page` with `keep=KEEP`.

    Args:
        runs: how many models the page has; they share the bytes of each part.
        ablations: whether each head is ablated, which takes passes of its own.
        pair: whether the first two texts are translations.
        frames: checkpoints of the first run, of `film.chosen`; none for no film.
        progress: shows what takes long.
    """
    parts = [arithmetic_part(BUDGET // runs), lens_part(), compare_part()]
    if ablations:
        parts.append(ablation_part(progress))
    if pair:
        parts.append(pair_part(budget=PAIR_BUDGET // runs))
    if frames:
        parts.append(film_part(frames, progress))
    return parts
