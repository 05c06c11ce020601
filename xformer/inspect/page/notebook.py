"""A trace as a notebook shows it: the page in a frame."""

from __future__ import annotations

import html
from typing import Any

from xformer.errors import InputError
from xformer.inspect.page.arithmetic import BUDGET, arithmetic_part
from xformer.inspect.page.build import framed, page_of
from xformer.inspect.page.collect import WEIGHTS, Traced
from xformer.inspect.page.make import LONGEST


def notebook(trace: Traced) -> str | None:
    """HTML for `_repr_html_`, or a sentence that says why there is no page.

    None for a trace without attention weights, or with an empty or too long text.

    Notebooks keep what they show, so the weights here take a third of what a page may.

    Args:
        trace: any.
    """
    texts: Any = trace.texts
    if WEIGHTS.format(0) not in trace.names or not texts or not all(0 < len(one) <= LONGEST for one in texts):
        return None
    try:
        return framed(page_of(trace, extras=[arithmetic_part(BUDGET // 3)], budget=1_000_000))
    except InputError as error:
        return f"<p>{html.escape(str(error))}</p>"
