"""The page's JSON: it can stand in a `<script>`, and comes back as it was."""

from __future__ import annotations

import json

import pytest

from xformer.errors import InputError
from xformer.inspect.page.payload import Payload, Run, Text

EVIL = "</script><script>alert(1)</script><!-- \u2028 😀"


def test_json_has_no_tag_and_comes_back() -> None:
    text = Text(EVIL, "", "ltr", [EVIL], [0], [1], [0], [0])
    told = Payload(EVIL, [Run(EVIL, 1, 1, [text], extra={"lens": {"words": [EVIL]}})], EVIL).to_json()
    assert "<" not in told
    read = json.loads(told)
    assert read["title"] == read["runs"][0]["texts"][0]["text"] == read["runs"][0]["lens"]["words"][0] == EVIL


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        Payload("t", [Run("r", 1, 1, [], extra={"lens": float("nan")})]).to_json()
