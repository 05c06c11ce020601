"""Beam search against an exhaustive search, and what does not depend on the batch.

Covers `decoding`, `generate` and `options`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.generation.beam import BLOCK, likeliest
from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions, Hypothesis
from xformer.generation.shortlist import Shortlist, make_shortlist
from xformer.model.config import ModelConfig
from xformer.model.packed import pack
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig

END, VOCABULARY, LENGTH = 2, 4, 4
SIZES: dict[str, Any] = {"vocab_size": VOCABULARY, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 9}
SIZES["tie_embeddings"] = False  # a tied random model repeats itself


def model_of(seed: int, kind: str = "marian", **sizes: Any) -> Seq2Seq:
    torch.manual_seed(seed)
    if kind == "marian":
        config = Seq2SeqConfig.marian(**SIZES | sizes)
    else:
        config = Seq2SeqConfig.of(ModelConfig(**SIZES | sizes), start="end")
    model = Seq2Seq(config, END).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # large matrices and small biases, or it would repeat itself
            parameter.add_((1.0 if parameter.dim() == 2 else 0.2) * torch.randn_like(parameter))
        model.target_table.weight.mul_(0.3)
        model.output.get_parameter("bias")[END] += 1.0
    return model


def all_targets() -> Iterator[list[int]]:
    """Every target that ends, and every one that is cut."""
    others = [token for token in range(VOCABULARY) if token != END]
    for length in range(LENGTH):
        yield from ([*words, END] for words in product(others, repeat=length))
    yield from (list(words) for words in product(others, repeat=LENGTH))


def log_probabilities(
    model: Seq2Seq, source: Sequence[int], prefix: Sequence[int], targets: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Log P of each target after a prefix, without the cache."""
    whole = pack([[*prefix, *target] for target in targets], sort=False)
    hidden = model(pack([source] * len(targets), sort=False), whole)
    log_p = torch.log_softmax(model.logits(hidden), 1).gather(1, whole.tokens[:, None])[:, 0]
    return torch.stack([row[len(prefix) :].sum() for row in log_p.split(whole.lengths)])


@given(
    st.integers(0, 2**20),
    st.sampled_from(("marian", "modern")),
    st.sampled_from((0.0, 0.6, 1.0, 2.0)),
    st.integers(1, 6),
    st.lists(st.integers(0, 3), max_size=2),
)
@settings(max_examples=6)
def test_a_wide_beam_finds_what_an_exhaustive_search_finds(
    seed: int, kind: str, alpha: float, n_best: int, prefix: list[int]
) -> None:
    """Also beside another source, in one batch."""
    model = model_of(seed, kind)
    options = GenerationOptions(
        max_length=LENGTH, beam=3**LENGTH, n_best=n_best, length_penalty=alpha, early_stopping=False
    )
    sources: list[list[int]] = [[1, 3, 0], [3, 3, 1, 1, 0]]
    found = generate(model, sources, options, prefixes=[prefix, [1]])
    for source, its_prefix, hypotheses in zip(sources, (prefix, [1]), found, strict=True):
        targets = list(all_targets())
        log_p = log_probabilities(model, source, its_prefix, targets).detach()
        scores = log_p / torch.tensor([len(target) for target in targets], dtype=torch.float64) ** alpha
        best = scores.topk(n_best)
        torch.testing.assert_close(
            torch.tensor([one.score for one in hypotheses], dtype=torch.float64),
            best.values,
            rtol=0,
            atol=1e-10,
            check_dtype=False,
        )
        for one, place in zip(hypotheses, best.indices.tolist(), strict=True):
            assert [*one.tokens, *[END] * one.ended] == targets[place]
            assert one.log_probability == pytest.approx(float(log_p[place]), abs=1e-10)


def test_coverage_is_counted_as_in_the_paper() -> None:
    """Scores against attention that is computed apart, from whole targets."""
    model = model_of(3)
    source = [1, 3, 0, 1]
    options = GenerationOptions(
        max_length=LENGTH, beam=5, n_best=5, length_penalty=0.5, coverage_penalty=0.3, early_stopping=False
    )
    (hypotheses,) = generate(model, [source], options)
    last = model.decoder.layers[-1].cross_attn
    seen: list[torch.Tensor] = []
    last.Wq.register_forward_hook(lambda module, args, out: seen.append(out))  # type: ignore[union-attr]
    memory = model.encoder(pack([source]))
    keys, _ = last.keys_and_values(memory)  # type: ignore[union-attr, operator]
    for one in hypotheses:
        seen.clear()
        target = [*one.tokens, *[END] * one.ended]
        model(pack([source]), pack([target]))
        queries = seen[0].view(len(target), *keys.shape[1:])
        share = torch.einsum("thd,shd->hts", queries / keys.shape[2] ** 0.5, keys).softmax(-1).mean(0)
        penalty = 0.3 * share.sum(0).clamp(max=1).log().sum()
        expected = one.log_probability / len(target) ** 0.5 + float(penalty.detach())
        assert one.score == pytest.approx(expected, abs=1e-10)
    assert [one.score for one in hypotheses] == sorted((one.score for one in hypotheses), reverse=True)


def both(model: Seq2Seq, sources: list[list[int]], options: GenerationOptions, **others: Any) -> None:
    """One at a time, or many: the same, scores to rounding."""
    alone = [generate(model, [source], options, **others)[0] for source in sources]
    for batch_size in (len(sources), 3):
        together = generate(model, sources, options, batch_size=batch_size, **others)
        assert [[one.tokens for one in its] for its in together] == [
            [one.tokens for one in its] for its in alone
        ]
        for ours, theirs in zip(together, alone, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-10)


SOURCES = [[1], [3, 4, 5, 6, 7], [], [8, 9, 10], [3, 4, 5, 6, 7], [11] * 9, [12, 1]]


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("kind", ["marian", "modern"])
def test_a_target_depends_on_its_source_alone(kind: str, width: int, early: bool) -> None:
    model = model_of(3, kind, vocab_size=29)
    options = GenerationOptions(max_length=20, beam=width, n_best=width, early_stopping=early)
    both(model, SOURCES, options)
    both(model, SOURCES, replace(options, coverage_penalty=0.2))


def test_a_shortlist_restricts_each_source_to_its_own() -> None:
    model = model_of(3, "modern", vocab_size=29)
    shortlist = make_shortlist(
        [([n], [n + 1, n + 2]) for n in range(1, 20)], 29, always=[END], per_token=2, frequent=3
    )
    options = GenerationOptions(max_length=12, beam=3, n_best=3)
    both(model, SOURCES, options, shortlist=shortlist)
    for source, hypotheses in zip(
        SOURCES, generate(model, SOURCES, options, shortlist=shortlist), strict=True
    ):
        allowed = set(shortlist.of(source).tolist())
        assert all(set(one.tokens) <= allowed for one in hypotheses)
    everything = Shortlist(*(make_shortlist([], 29, always=range(29)).__dict__.values()))
    with_all = generate(model, SOURCES, options, shortlist=everything)
    assert with_all == generate(model, SOURCES, options)


def test_a_beam_of_one_is_greedy_and_nothing_suppressed_is_generated() -> None:
    model = model_of(3, "modern", vocab_size=29)
    options = GenerationOptions(max_length=12, beam=1, suppress=(5, 7))
    beam = generate(model, SOURCES, options)
    greedy = generate(model, SOURCES, replace(options, method="greedy"))
    for ours, theirs in zip(beam, greedy, strict=True):
        assert ours[0].tokens == theirs[0].tokens
        assert ours[0].log_probability == pytest.approx(theirs[0].log_probability, abs=1e-10)
        assert not {5, 7} & set(ours[0].tokens)
    fast = generate(model, SOURCES, replace(options, method="greedy", scores=False))
    assert [one.tokens for (one,) in fast] == [one.tokens for (one,) in greedy]
    assert math.isnan(fast[0][0].log_probability)


def test_wrong_input_is_named() -> None:
    model = model_of(0)
    with pytest.raises(InputError, match=r"^source 1: expected ids from 0 to 3, got \[9\]"):
        generate(model, [[1], [9]], GenerationOptions())
    with pytest.raises(ValueError, match=r"^prefixes: expected 1, one a source, got 0"):
        generate(model, [[1]], GenerationOptions(), prefixes=[])
    with pytest.raises(ValueError, match=r"^model: expected evaluation mode"):
        generate(model.train(), [[1]], GenerationOptions())
    model = model_of(0, positions="learned", max_length=5)
    with pytest.raises(InputError, match=r"^max_length: expected at most 5 tokens with the prefix.*got 6"):
        generate(model, [[1]], GenerationOptions(max_length=5), prefixes=[[1]])
    wrong: dict[str, Any] = {"beam": 0, "n_best": 9, "top_p": 0.0, "min_p": 2.0, "method": "best"}
    for field, value in wrong.items():
        with pytest.raises(ValueError, match=rf"^generation\.{field}: expected"):
            GenerationOptions(**{field: value})
    with pytest.raises(ValueError, match=r"^generation\.n_best: expected 1, since greedy"):
        GenerationOptions(method="greedy", n_best=2)
    assert generate(model, [], GenerationOptions(max_length=5)) == []
    assert isinstance(generate(model, [[]], GenerationOptions(max_length=5))[0][0], Hypothesis)


@given(
    rows=st.integers(1, 3), width=st.integers(1, 9 * BLOCK), number=st.integers(1, 5), seed=st.integers(0, 99)
)
@settings(max_examples=20, deadline=None)
def test_the_likeliest_of_blocks_are_those_of_all(rows: int, width: int, number: int, seed: int) -> None:
    logits = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    logits[:, ::3] = -torch.inf
    number = min(number, width)
    values, columns = likeliest(logits, number)
    assert torch.equal(values, logits.topk(number)[0])
    assert torch.equal(values, logits.gather(1, columns))
    assert all(len(set(row)) == number for row in columns.tolist())
