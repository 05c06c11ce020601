"""The page as a file. Covers `collect`."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.inspect.page.fake import FakeTokens, FakeTrace, random_trace
from xformer.errors import InputError
from xformer.inspect.page import build
from xformer.inspect.page.build import SCRIPTS, STYLES, framed, page_of

EVIL = '</script><img src="x" onerror="alert(1)"> {{nav}} & 👩\u200d👩\u200d👧'


class Scripts(HTMLParser):
    """The page's scripts by their ids, and whatever else has an address."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, tuple[dict[str, str | None], str]] = {}
        self.tags: set[str] = set()
        self._open: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._open = dict(attrs) if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            key = self._open.get("id") or self._open.get("type") or "shell"
            self.found[key] = (self._open, data)
            self._open = None


def payload(text: str) -> Any:
    return json.loads(Scripts(text).found["payload"][1])


def blob(text: str, number: int) -> bytes:
    return zlib.decompress(base64.b64decode(Scripts(text).found[f"blob-{number}"][1]))


def test_the_page_holds_the_trace() -> None:
    trace = random_trace("ab a", "語", layers=3)
    text = page_of(trace, languages=["en", "ja"], command="xformer inspect page")
    told = payload(text)
    (run,) = told["runs"]
    assert (run["name"], run["layers"], run["heads"]) == ("a run", 3, 2)
    assert run["facts"] == [["layers", "3"], ["heads", "2"]]
    assert [one["language"] for one in run["texts"]] == ["en", "ja"]
    assert run["texts"][0]["pieces"] == ["<s>", "a", "b", " ", "a", "</s>"]
    assert run["texts"][0]["words"] == [-1, 0, 0, 0, 1, -1]
    for number, one in enumerate(run["texts"]):
        n = len(one["pieces"])
        for layer in range(3):
            for head in range(2):
                weights = trace[f"layers.{layer}.attn.weights"][number][head].numpy()
                data = blob(text, one["weights"]["blobs"][layer][head])
                scale, table = np.frombuffer(data, "<f4", n), np.frombuffer(data, "<f4", 256, 4 * n)
                codes = np.frombuffer(data, "u1", n * n, 4 * (n + 256)).reshape(n, n)
                shown = scale[:, None] * table[codes]
                assert np.abs(shown - weights).max() <= one["weights"]["error"] * 1.001
                assert one["weights"]["largest"][layer][head] == pytest.approx(weights.max(), abs=1e-6)
        numbers = np.frombuffer(blob(text, one["statistics"]["blob"]), "<f4").reshape(9, 3, 2)
        diagonal = trace["layers.2.attn.weights"][number][1].diagonal().mean().item()
        assert numbers[one["statistics"]["names"].index("itself"), 2, 1] == pytest.approx(diagonal, rel=1e-6)


def test_text_stays_text_and_nothing_is_requested() -> None:
    trace = FakeTrace([FakeTokens(EVIL)], random_trace(EVIL).weights, name=EVIL)
    text = page_of(trace, names=[EVIL])
    read = Scripts(text)
    assert payload(text)["runs"][0]["texts"][0]["text"] == EVIL
    assert read.tags.isdisjoint({"img", "link", "iframe", "object", "embed", "base"})
    assert "://" not in text
    assert text.count("default-src 'none'") == 1
    assert not re.search(r"\b(fetch|XMLHttpRequest|importScripts|WebSocket|innerHTML)\b", text)


def test_a_long_text_keeps_to_the_budget() -> None:
    trace = random_trace("x" * 100, layers=4, heads=4, sharpness=1.0)
    small, large = page_of(trace, budget=30_000), page_of(trace, budget=10**6)
    levels = [np.array(payload(text)["runs"][0]["texts"][0]["weights"]["levels"]) for text in (small, large)]
    assert (levels[0] < levels[1]).all()
    weights = [
        sum(
            len(blob(text, number)) > 0 and len(Scripts(text).found[f"blob-{number}"][1])
            for number in range(16)
        )
        for text in (small, large)
    ]
    assert weights[0] < 30_000 * 4 / 3 + 16 * 4 < weights[1]
    errors = [payload(text)["runs"][0]["texts"][0]["weights"]["error"] for text in (small, large)]
    assert errors[0] > errors[1]


def test_other_views_add_their_parts() -> None:
    def part(trace: Any, blobs: Any) -> dict[str, Any]:
        return {"lens": blobs.add(np.arange(3, dtype=np.int16))}

    text = page_of(random_trace("ab"), extras=[part])
    assert np.frombuffer(blob(text, payload(text)["runs"][0]["lens"]), "<i2").tolist() == [0, 1, 2]


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs attention weights.*this trace has embeddings"):
        page_of(FakeTrace([FakeTokens("a")], {"embeddings": [torch.zeros(3, 4)]}))
    with pytest.raises(InputError, match="needs a text"):
        page_of(FakeTrace([], random_trace("a").weights))


def test_a_frame_holds_the_whole_page() -> None:
    class Frame(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    found: list[tuple[str, dict[str, str | None]]] = []
    Frame().feed(framed('<p title="a&amp;b">"x"</p>', 300))
    ((tag, attributes),) = found
    assert tag == "iframe"
    assert attributes["srcdoc"] == '<p title="a&amp;b">"x"</p>'
    assert "allow-same-origin" not in (attributes["sandbox"] or "")


def test_every_module_and_style_is_part_of_the_page() -> None:
    folder = Path(build.__file__).parent / "assets"
    assert {path.name for path in folder.iterdir()} == {*SCRIPTS, *STYLES}
    assert SCRIPTS[-1] == "main.js"


def test_no_two_modules_declare_the_same_name() -> None:
    """They share one scope: a second declaration would be an error of the whole page."""
    folder = Path(build.__file__).parent / "assets"
    names = [
        name
        for script in SCRIPTS
        for name in re.findall(
            r"^(?:async )?(?:function\*?|const|let|class) (\w+)",
            (folder / script).read_text(encoding="utf-8"),
            re.M,
        )
    ]
    assert sorted(names) == sorted(set(names))
