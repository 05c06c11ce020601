"""The page that the bench measures has the size that was asked for.

Covers xformer.benchmarks.page.sample.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xformer.benchmarks.page.sample import write_sample
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory


def test_it_has_its_size(trained: RunDirectory, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_sample(file, trained.path, tokens=40, layers=3, heads=2)
    found = re.search(r'id="payload">([^<]*)<', file.read_text(encoding="utf-8"))
    assert found
    (run,) = json.loads(found[1])["runs"]
    assert (run["layers"], run["heads"], len(run["texts"][0]["pieces"])) == (3, 2, 40)
    # The last head of each layer looks at few tokens, the first at all.
    for even, sharp in run["texts"][0]["weights"]["largest"]:
        assert sharp > 2 * even


def test_a_run_with_too_little_text_is_refused(trained: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="held-out texts of 9000 tokens"):
        write_sample(tmp_path / "page.html", trained.path, tokens=9000, layers=1, heads=1)
