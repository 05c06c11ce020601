"""What each layer would predict at each token, for the page: the most probable pieces of the masked LM.

Letters: n tokens of the text, L layers, k pieces.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from xformer.inspect.analysis.lens import logit_lens
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import Traced
from xformer.inspect.page.payload import JSON
from xformer.inspect.subject import Subject
from xformer.inspect.trace import Trace

NO_HEAD = "This model has no masked-LM head, so its layers predict no pieces."


def lens(trace: Traced, text: int, blobs: Blobs, *, k: int = 5) -> JSON:
    """The part `lens` of a run, for one text.

    Args:
        trace: holds `embeddings` and `resid_post` of all layers.
        text: its number in the trace.
        blobs: takes the arrays.
        k: pieces of each token and layer.

    Returns:
        `pieces`, those that occur; the blobs `ids` (L + 1, n, k) of places in `pieces`, `probabilities`
        (L + 1, n, k), and `own` and `rank` (L + 1, n): probability and rank of the piece that stands there.
        State 0 is the one before the first block. Without a masked LM, only `why`.
    """
    subject: Subject = trace.subject
    if subject.masked_lm is None:
        return {"why": NO_HEAD}
    found = logit_lens(cast(Trace, trace), text, k=min(k, subject.config.rows))
    ids = torch.stack([one.pieces for one in found]).numpy()
    distinct, places = np.unique(ids, return_inverse=True)
    arrays = {
        "probabilities": torch.stack([one.probabilities for one in found]).numpy(),
        "own": torch.stack([one.probability for one in found]).numpy(),
        "rank": torch.stack([one.rank for one in found]).numpy(),
    }
    return {
        "pieces": [subject.piece(int(one)) for one in distinct],
        "ids": blobs.add(places.reshape(ids.shape).astype(np.int32)),
        **{name: blobs.add(array.astype(np.float32)) for name, array in arrays.items()},
    }
