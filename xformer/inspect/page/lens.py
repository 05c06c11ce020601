"""What each layer would predict at each token, for the page: the most probable pieces of the masked LM.

Letters: n tokens of the text, L layers, k pieces.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.inspect.analysis.lens import Predictions, lens_head, lens_names, predictions
from xformer.inspect.page.ablation import masked_copies
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import Traced
from xformer.inspect.page.payload import JSON
from xformer.inspect.subject import Subject

NO_HEAD = "This model has no masked-LM head, so its layers predict no pieces."
MOST_HIDDEN = 128
"""Most tokens of a text that are hidden in turn: their copies have n² tokens together."""


def lens(trace: Traced, text: int, blobs: Blobs, *, k: int = 5) -> JSON:
    """The part `lens` of a run, for one text.

    Args:
        trace: holds `embeddings` and `resid_post` of all layers.
        text: its number in the trace.
        blobs: takes the arrays.
        k: pieces of each token and layer.

    Returns:
        `pieces`, those that occur, and `shown` and `hidden`: what is predicted at tokens as they stand, and
        at each token while it alone is hidden. Both have the blobs `ids` (L + 1, n, k) of places in `pieces`,
        `probabilities` (L + 1, n, k), and `own` and `rank` (L + 1, n): probability and rank of the piece that
        stands there. State 0 is the one before the first block. Special tokens are never hidden. `hidden` is
        None for more than `MOST_HIDDEN` tokens, and for a model without a mask. Without a masked LM, only
        `why`.
    """
    subject: Subject = trace.subject
    if subject.masked_lm is None:
        return {"why": NO_HEAD}
    found = {"shown": _predicted(subject, trace.texts[text].ids, _states(trace, text), k)}
    if subject.mask_id is not None and len(trace.texts[text].ids) <= MOST_HIDDEN:
        found["hidden"] = _predicted(subject, trace.texts[text].ids, _hidden_states(trace, text), k)
    distinct = np.unique(np.concatenate([one.ids.ravel() for one in found.values()]))
    told: dict[str, JSON] = {"shown": None, "hidden": None}
    for name, one in found.items():
        arrays = {"probabilities": one.probabilities, "own": one.own, "rank": one.rank}
        told[name] = {
            "ids": blobs.add(np.searchsorted(distinct, one.ids).astype(np.int32)),
            **{what: blobs.add(array) for what, array in arrays.items()},
        }
    return {"pieces": [subject.piece(int(one)) for one in distinct], **told}


class _Predicted:
    """`Predictions` of all states: (L + 1, n, k) and (L + 1, n)."""

    def __init__(self, found: list[Predictions]) -> None:
        def stacked(tensors: Iterable[Tensor]) -> NDArray[np.float32]:
            return torch.stack(list(tensors)).float().numpy()

        self.ids: NDArray[np.int64] = torch.stack([one.pieces for one in found]).numpy()
        self.probabilities = stacked(one.probabilities for one in found)
        self.own = stacked(one.probability for one in found)
        self.rank = stacked(one.rank for one in found)


def _predicted(subject: Subject, ids: NDArray[np.int64], states: Iterable[Tensor], k: int) -> _Predicted:
    head, rows = lens_head(subject), subject.config.rows
    tokens = torch.from_numpy(ids).to(subject.device)
    return _Predicted([predictions(head, one, tokens, k=min(k, rows), vocabulary=rows) for one in states])


def _states(trace: Traced, text: int) -> list[Tensor]:
    """L + 1 times (n, C)."""
    return [trace[name][text] for name in lens_names(trace.subject)]


def _hidden_states(trace: Traced, text: int) -> list[Tensor]:
    """The same, of each token from the pass in which it alone is hidden."""
    subject: Subject = trace.subject
    tokens = trace.texts[text]
    places = [place for place, special in enumerate(tokens.special) if not special]
    states = [state.clone() for state in _states(trace, text)]
    if not places or subject.mask_id is None:
        return states
    copies = masked_copies(tokens, places, subject.mask_id)
    with subject.trace(copies, keep=list(lens_names(subject))) as hidden:
        for state, name in zip(states, lens_names(subject), strict=True):
            found = hidden[name]
            for copy, place in enumerate(places):
                state[place] = found[copy][place]
    return states
