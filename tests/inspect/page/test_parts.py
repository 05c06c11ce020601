"""The parts of the deeper views, in the section of a run that they belong to."""

from __future__ import annotations

import json
import re

from tests.inspect.page.small import small_subject
from xformer.inspect.page.build import page_of
from xformer.inspect.page.film import Frame
from xformer.inspect.page.parts import KEEP, extras


def sections(html: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    runs: list[dict[str, object]] = json.loads(found[1])["runs"]
    return runs


def test_each_part_is_where_its_view_looks() -> None:
    one, other = small_subject(), small_subject()
    frames = [Frame(step, None, lambda: one) for step in (1, 2)]
    with one.trace(["ab c", "de"], keep=KEEP) as first, other.trace(["ab c", "de"], keep=KEEP) as second:
        runs = sections(page_of(first, second, extras=extras(ablations=True, pair=True, frames=frames)))
    parts = [
        {name for name in ("arithmetic", "lens", "ablation", "pair", "compare", "film") if name in run}
        for run in runs
    ]
    assert parts[0] == {"arithmetic", "lens", "ablation", "pair", "film"}
    assert parts[1] == {"arithmetic", "lens", "ablation", "pair", "compare"}
    for run in runs:
        for name in parts[0] & set(run) - {"pair"}:
            part = run[name]
            assert isinstance(part, list)
            assert len(part) == 2


def test_what_was_not_asked_for_is_not_computed() -> None:
    subject = small_subject()
    with subject.trace("ab", keep=KEEP) as trace:
        (run,) = sections(page_of(trace, extras=extras()))
    assert not {"ablation", "pair", "compare", "film"} & set(run)
