"""From texts and models to the page. Covers `notebook`."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from tests.inspect.page.fake import FakeTokens
from xformer.errors import InputError
from xformer.inspect import replace
from xformer.inspect.page.build import page_of
from xformer.inspect.page.make import LONGEST, check, make_page
from xformer.inspect.page.notebook import notebook
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel


def subject(name: str, n_layers: int = 2) -> Subject:
    """Random weights; each letter is a token, between two special ones."""

    def tokenise(text: str) -> TokenisedText:
        of = FakeTokens(text)
        ids = np.array([0, *(2 + ord(letter) % 30 for letter in text), 1])
        if not text:
            return TokenisedText(text, ids[:0], (), (), (), ())
        return TokenisedText(text, ids, of.pieces, of.spans, of.special, of.words)

    config = ModelConfig(vocab_size=32, d_model=8, n_layers=n_layers, n_heads=2, d_ff=8)
    tokens = TextTokens(tokenise, str, 32, frozenset({0, 1}), None)
    model = MultilingualModel(config).eval()
    return Subject(name, model, tokens, torch.device("cpu"), nullcontext, max_length=64)


def payload(text: str) -> Any:
    found = re.search(r'id="payload">([^<]*)<', text)
    assert found
    return json.loads(found[1])


def test_a_page_of_two_models_and_two_texts() -> None:
    said: list[str] = []
    asked = {"languages": ["en", "de"], "layer": 1, "head": 1, "command": "xformer inspect page"}
    text = make_page([subject("a"), subject("b", 3)], ["open", "öffne"], say=said.append, **asked)  # type: ignore[arg-type]
    told = payload(text)
    assert [(run["name"], run["layers"], run["heads"]) for run in told["runs"]] == [("a", 2, 2), ("b", 3, 2)]
    assert [one["text"] for one in told["runs"][1]["texts"]] == ["open", "öffne"]
    assert (told["title"], told["layer"], told["head"]) == ("Attention: a and b", 1, 1)
    assert 0 < told["runs"][0]["texts"][0]["weights"]["disagreement"] < 1e-5
    assert said == ["a: trace 2 texts", "b: trace 2 texts"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layer": 2}, "layer 2: a has layers 0 to 1"),
        ({"layer": -1}, "layer -1: a has layers 0 to 1"),
        ({"head": 2}, "head 2: a has heads 0 to 1"),
        ({"languages": ["de", "en"]}, "languages: expected one for each of 1 texts, got 2"),
        ({"texts": []}, "needs a model and a text"),
        ({"texts": ["a", ""]}, r"texts\[1\]: '' has no tokens"),
        ({"texts": ["x" * LONGEST]}, r"texts\[0\]: 1,026 tokens of a; a page shows at most 1,024"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_work(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check([subject("a")], **{"texts": ["open"], **asked})


def test_a_trace_shows_itself_in_a_notebook() -> None:
    model = subject("a")
    trace = model.trace("open")
    assert trace._repr_html_() is None  # the model has not run
    with trace:
        pass
    html = trace._repr_html_() or ""
    assert html.startswith("<iframe")
    assert "&lt;h1&gt;Attention: a&lt;/h1&gt;" in html


def test_a_trace_that_is_no_page_shows_its_text() -> None:
    model = subject("a")
    with model.trace("open", keep="embeddings") as without, model.trace("x" * LONGEST) as long:
        assert notebook(without) is notebook(long) is None
    with model.trace(["", "open"]) as empty:
        assert notebook(empty) is None


def test_numbers_that_are_not_finite_are_said() -> None:
    model = subject("a")
    with model.trace("open", interventions=replace("embeddings", float("nan"))) as t:
        with pytest.raises(InputError, match=r"texts\[0\]: attention weights of layer 0 are not finite"):
            page_of(t)
        assert (notebook(t) or "").startswith("<p>texts[0]: attention weights")
    with model.trace("open") as t, pytest.raises(InputError, match=r"the page: .* not finite"):
        page_of(t, extras=[lambda trace, blobs: {"lens": float("inf")}])


def test_names_that_are_no_unicode_can_be_written() -> None:
    with subject("a\udcff").trace("open") as t:
        page_of(t, title="b\udcff", command="c\udcff").encode()
