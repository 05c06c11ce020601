"""A trace as a notebook shows it: the page in a frame."""

from __future__ import annotations

from typing import Any

from xformer.inspect.page.build import framed, page_of
from xformer.inspect.page.collect import WEIGHTS, Traced
from xformer.inspect.page.make import LONGEST


def notebook(trace: Traced) -> str | None:
    """HTML for `_repr_html_`; None where the trace has no attention weights or a text is too long for a page.

    Notebooks keep what they show, so the weights here take a third of what a page may.

    Args:
        trace: any.
    """
    texts: Any = trace.texts
    if WEIGHTS.format(0) not in trace.names or not 0 < max(map(len, texts), default=0) <= LONGEST:
        return None
    return framed(page_of(trace, budget=1_000_000))
