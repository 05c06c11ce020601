"""Words aligned by states and by attention, where the answer is known or can be worked out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from tests.inspect.analysis.two_languages import small_subject, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.align_texts import (
    Method,
    align_by_attention,
    align_by_states,
    align_tokens,
    join,
    links_of_states,
    state_names,
)
from xformer.inspect.analysis.alignment_links import to_pharaoh
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.tokenizer.special import EOS_ID

PAIRS = [("cat dog, ape", "ape cat: dog"), ("x", "x y"), *[("abc de", "de abc f")] * 35]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return small_subject()


def test_the_same_words_are_found_before_the_first_layer(subject: Subject) -> None:
    """There states are embeddings alone, so equal letters and words of equal letters have equal states."""
    pairs = [("bcd fgh; lm", "hgf lm! bcd")]
    words, tokens = align_by_states(subject, pairs), align_by_states(subject, pairs, unit="token")
    assert len(words) == len(tokens) == 4
    assert words[0][0] - {(2, 2)} == tokens[0][0] - {(2, 2)} == {(0, 3), (1, 0), (3, 1)}
    assert words[3] != words[0]


def test_words_are_compared_by_their_means_in_shared_coordinates(subject: Subject) -> None:
    """12 of the 16 coordinates are those of sentence vectors; each text has words of 3 letters and 1."""
    left, right = "abc d", "dba c"
    with subject.trace([left, right], keep="layers.1.resid_post") as trace:
        ours, theirs = (trace["layers.1.resid_post"][k][:, :12] for k in (0, 1))
    our_means, their_means = (torch.stack([x[:3].mean(0), x[3]]) for x in (ours, theirs))
    for method in get_args(Method):
        links = links_of_states(our_means, their_means, method)
        assert align_by_states(subject, [(left, right)], method, layers=[2]) == [[links]]
    with pytest.raises(InputError, match="unit: expected word or token, got 'letter'"):
        align_by_states(subject, [(left, right)], unit="letter")  # type: ignore[arg-type]


def test_the_coordinates_that_languages_do_not_share_count_for_nothing(subject: Subject) -> None:
    before = (
        align_by_states(subject, PAIRS[:3], layers=[0]),
        align_by_states(subject, PAIRS[:3], unit="token"),
    )
    norm: Any = subject.network.encoder.embeddings.norm
    table = norm.weight
    kept = table.detach().clone()
    with torch.no_grad():
        table[12:] *= 100
    after = align_by_states(subject, PAIRS[:3], layers=[0]), align_by_states(subject, PAIRS[:3], unit="token")
    with torch.no_grad():
        table.copy_(kept)
    assert after[0] == before[0]
    assert after[1][0] == before[1][0]
    assert after[1][1:] != before[1][1:]  # what the layers make of them counts


def test_a_word_without_tokens_has_no_link(subject: Subject) -> None:
    """As of control characters, which BERT's tokenizer drops."""
    text = tokenise("ab c")
    fewer = TokenisedText(text.text, text.ids[:2], text.pieces[:2], text.spans[:2], text.special[:2], (0, 0))
    other = replace(
        subject, tokens=replace(subject.tokens, tokenise=lambda t: fewer if t == "ab c" else tokenise(t))
    )
    for method in get_args(Method):
        found = align_by_states(other, [("ab c", "ab d")], method)
        assert all(links <= {(0, 0), (0, 1)} for (links,) in found)


def test_pairs_do_not_depend_on_one_another(subject: Subject) -> None:
    """Nor on how many are in one pass."""
    together = align_by_states(subject, PAIRS)
    for k in (0, 1, 2, 36):
        alone = align_by_states(subject, [PAIRS[k]])
        assert [links[k] for links in together] == [links[0] for links in alone]
    assert align_by_states(subject, PAIRS, layers=[2, 0]) == [together[2], together[0]]
    by_head = align_by_attention(subject, PAIRS)
    for k in (0, 1, 36):
        alone_by_head = align_by_attention(subject, [PAIRS[k]])
        assert [[links[k] for links in row] for row in by_head] == [
            [links[0] for links in row] for row in alone_by_head
        ]


def test_a_layer_too_many(subject: Subject) -> None:
    with pytest.raises(InputError, match="layers: expected 0 to 3, got 4"):
        align_by_states(subject, PAIRS, layers=[4])
    assert state_names(2) == ["layers.0.resid_pre", "layers.0.resid_post", "layers.1.resid_post"]


def test_tokens_are_aligned_by_their_places(subject: Subject) -> None:
    left, right = tokenise("ab c"), tokenise("c xa")
    # Before the first layer equal letters have equal states; what is left over, b and x, are two more.
    assert align_tokens(subject, left, right, layer=0)[-1] == (2, 0)
    assert set(align_tokens(subject, left, right, layer=0)) >= {(0, 2), (2, 0)}
    assert align_tokens(subject, left, right) == align_tokens(subject, left, right, layer=3)
    with pytest.raises(InputError, match="layer: expected 0 to 3, got 4"):
        align_tokens(subject, left, right, layer=4)


def test_methods_differ_as_they_say() -> None:
    # Cosines 1, 0.6 | 0.8, 0: argmax has 0-0 alone. Itermax then compares 0, 0.72 | 0.81, 0.5: the first is
    # taken, the last stands for two tokens without a link, and of the others nine tenths count.
    left = torch.tensor([[1.0, 0.0], [0.8, -0.6]])
    right = torch.tensor([[2.0, 0.0], [0.6, 0.8]])
    assert to_pharaoh(links_of_states(left, right)) == "0-0"
    assert to_pharaoh(links_of_states(left, right, "itermax")) == "0-0 0-1 1-0"
    # Inner products 2, 0.6 | 1.6, 0, so that all are probable.
    assert to_pharaoh(links_of_states(left, right, "softmax")) == "0-0 0-1 1-0 1-1"
    with pytest.raises(InputError, match="expected argmax, itermax or softmax, got 'both'"):
        links_of_states(left, right, "both")  # type: ignore[arg-type]


def test_attention_of_one_head_by_hand(subject: Subject) -> None:
    """Both texts with </s> between; a word's best word by attention summed over keys, both ways."""
    left, right = "ab c", "d ef"
    found = align_by_attention(subject, [(left, right)])
    whole = tokenise(left + " | " + right)
    ids = whole.ids.copy()
    ids[3] = EOS_ID
    with subject.trace([whole.with_ids(ids)], keep="layers.1.attn.weights") as trace:
        weights = trace["layers.1.attn.weights"][0][2]
    # Left words are tokens 0, 1 and 2, right ones 4 and 5, 6.
    there = [
        [(weights[0, 4] + weights[1, 4]) / 2, (weights[0, 5:] + weights[1, 5:]).sum() / 2],
        [weights[2, 4], weights[2, 5:].sum()],
    ]
    back = [
        [weights[4, :2].sum(), weights[4, 2]],
        [(weights[5, :2] + weights[6, :2]).sum() / 2, (weights[5, 2] + weights[6, 2]) / 2],
    ]
    expected = {
        (i, j)
        for i in (0, 1)
        for j in (0, 1)
        if there[i][j] > there[i][1 - j] and back[j][i] > back[j][1 - i]
    }
    assert found[1][2][0] == expected
    union = align_by_attention(subject, [(left, right)], "union")
    assert union[1][2][0] == {
        (i, j) for i in (0, 1) for j in (0, 1) if there[i][j] > there[i][1 - j] or back[j][i] > back[j][1 - i]
    }


def test_texts_without_special_tokens_are_joined_by_an_end() -> None:
    pair = join(tokenise("ab ?"), tokenise("c d"))
    assert pair.text.text == "ab ?\nc d"
    assert pair.text.ids.tolist() == [*tokenise("ab ?").ids, EOS_ID, *tokenise("c d").ids]
    assert pair.text.pieces == ("a", "b", "?", "</s>", "c", "d")
    assert pair.text.special == (False, False, True, True, False, False)
    assert [pair.text.text[a:b] for a, b in pair.text.spans] == ["a", "b", "?", "", "c", "d"]
    assert (pair.left, pair.left_words) == ((0, 1, 2), (0, 0, 1))
    assert (pair.right, pair.right_words) == ((4, 5), (0, 1))
    assert pair.text.words == (0, 0, 1, -1, 2, 3)


def test_the_second_text_loses_its_first_special_token() -> None:
    def text(words: str, ids: list[int]) -> TokenisedText:
        spans = [(0, 0), *((k, k + 1) for k, sign in enumerate(words) if sign != " "), (0, 0)]
        inside = len(spans) - 2
        return TokenisedText(
            words, np.array(ids), ("[CLS]", *words.replace(" ", ""), "[SEP]"), tuple(spans),
            (True, *(False,) * inside, True), (-1, *range(inside), -1),
        )  # fmt: skip

    pair = join(text("a b", [101, 1, 2, 102]), text("c", [101, 3, 102]))
    assert pair.text.pieces == ("[CLS]", "a", "b", "[SEP]", "c", "[SEP]")
    assert pair.text.ids.tolist() == [101, 1, 2, 102, 3, 102]
    assert pair.text.words == (-1, 0, 1, -1, 2, -1)
    assert (pair.left, pair.right) == ((1, 2), (4,))


def test_empty_texts_have_no_links(subject: Subject) -> None:
    assert [links[0] for links in align_by_states(subject, [("", "a b")])] == [frozenset()] * 4
    assert align_by_attention(subject, [("a", "")])[0][0] == [frozenset()]
