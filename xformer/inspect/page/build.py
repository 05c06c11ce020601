"""Assemble the attention page in one file: the shell of all pages, styles, payload, arrays and modules."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from xformer.errors import InputError
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import BUDGET, Extra, Traced, run_of
from xformer.inspect.page.payload import Payload
from xformer.plotting.page import page

SCRIPTS = (
    "dom.js",
    "state.js",
    "data.js",
    "palette.js",
    "units.js",
    "tokens.js",
    "pen.js",
    "export.js",
    "views.js",
    "toolbar.js",
    "overview.js",
    "heat.js",
    "arcs.js",
    "headlist.js",
    "attention.js",
    "keys.js",
    "grid.js",
    "lines.js",
    "arithmetic.js",
    "lens.js",
    "ablation.js",
    "pair.js",
    "compare.js",
    "film.js",
    "main.js",
)
"""The modules in their order. They are joined into one script, so each sees the names of all; the order only
decides when their top lines run, so `main.js` is last."""

STYLES = ("attention.css", "deeper.css")

_BODY = """<div id="views"><p id="loading">Reading the page’s data …</p></div>
<noscript><p>The page draws with JavaScript, which is part of this file; nothing is loaded.</p></noscript>
"""


def build(payload: Payload, blobs: Blobs) -> str:
    """The page as HTML.

    Args:
        payload: what it shows.
        blobs: the arrays that the payload names.
    """
    scripts = (
        f'<script type="application/json" id="payload">{payload.to_json()}</script>',
        *blobs.elements(),
        f'<script type="module">\n{_joined(SCRIPTS)}</script>\n',
    )
    return page(payload.title, body=_BODY, styles=_joined(STYLES), scripts="\n".join(scripts))


def page_of(
    *traces: Traced,
    title: str = "",
    names: Sequence[str] = (),
    languages: Sequence[str] = (),
    layer: int = 0,
    head: int = 0,
    extras: Sequence[Extra] = (),
    command: str = "",
    budget: int = BUDGET,
) -> str:
    """The page of one trace, or of several of the same texts: two runs, or a run's checkpoints.

    Args:
        traces: with the attention weights of all layers, still open.
        title: left out, the runs' names.
        names: of the runs; left out, those of the traces' subjects.
        languages: tags of the texts.
        layer: which is open at first.
        head: which is open at first.
        extras: parts for other views, asked of each trace.
        command: that makes this page, if one does.
        budget: the most bytes of all weights, before base64, which adds a third.

    Raises:
        InputError: a trace holds no attention weights, or no text.
    """
    blobs = Blobs()
    given = [*names, *[""] * len(traces)]
    runs = [
        run_of(
            trace, blobs, name=name, languages=languages, extras=extras, budget=budget // max(len(traces), 1)
        )
        for trace, name in zip(traces, given, strict=False)
    ]
    if not runs or not all(run.texts for run in runs):
        raise InputError("the page needs a text: trace one, as in model.trace('Open the file')")
    title = title or f"Attention: {' and '.join(dict.fromkeys(run.name for run in runs))}"
    whole = build(Payload(title, runs, command, layer=layer, head=head), blobs)
    return whole.encode("utf-8", "replace").decode()  # names of files need not be Unicode


def framed(whole: str, height: int = 900) -> str:
    """A page inside another, as notebooks show it: a frame with the whole page as its source.

    Args:
        whole: the page's HTML.
        height: of the frame, in CSS pixels.
    """
    source = html.escape(whole, quote=True)
    # Scripts may run, and files may be saved; the frame has no origin, so it reaches nothing of the notebook.
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" style="width: 100%; height: {height}px; border: 0" '
        f'title="Attention" srcdoc="{source}"></iframe>'
    )


def _joined(names: Iterable[str]) -> str:
    folder = Path(__file__).parent / "assets"
    return "".join(f"\n/* {name} */\n{(folder / name).read_text(encoding='utf-8')}" for name in names)
