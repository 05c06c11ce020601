"""Shares of languages over a run's log."""

from __future__ import annotations

import pytest

from xformer.evaluation.shares import Shares


def test_a_line_weighs_as_much_as_its_tokens() -> None:
    shares = Shares()
    assert shares.of("asked") == {}
    row = {"asked": 0.5, "drawn": 0.25, "tokens": 1.0}
    shares.add({"tokens": 100, "languages": {"de": row}})
    assert shares.of("drawn") == {"de": 0.25}
    # 300 tokens more, in which German has nothing to show for "drawn", and Greek comes in.
    shares.add({"tokens": 400, "languages": {"de": {"asked": 0.1}, "el": {"drawn": 0.8}}})
    assert shares.of("asked") == pytest.approx({"de": 0.25 * 0.5 + 0.75 * 0.1, "el": 0.0})
    assert shares.of("drawn") == pytest.approx({"de": 0.25 * 0.25, "el": 0.75 * 0.8})
    assert shares.of("tokens") == pytest.approx({"de": 0.25, "el": 0.0})
