"""The Python door: a run's model encodes texts in order, whatever they are, and fills masks.

Covers xformer.version, xformer.embedding.texts, xformer.embedding.checked, xformer.embedding.precision,
xformer.embedding.similarity, xformer.prediction.fill_mask, xformer.pretraining.load, xformer.runs.opening,
xformer.runs.kind, xformer.runs.sentence_layer, xformer.evaluation.sentence_layer and xformer.data.chunks.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xformer
import xformer.api
from tests.synthetic_runs import (  # noqa: F401 - fixtures
    _one_thread,
    _signals_are_heard,
    begin,
    config,
    corpus,
    prepared,
    trained,
)
from xformer.data.chunks import cut_points
from xformer.model.reference import reference_forward, reference_masked_lm, reference_pooling
from xformer.runs.directory import RunDirectory
from xformer.runs.sentence_layer import SentenceLayer
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID

SENTENCES = ["dog sees house", "Hund sieht Haus", "cat buys apple", "γάτα βλέπει σπίτι", "", "a\u2581b", "x"]


@pytest.fixture(scope="module")
def model(trained: RunDirectory) -> xformer.Model:  # noqa: F811
    return xformer.load(trained.path)


def reference_vectors(model: xformer.Model, texts: list[str], dtype: torch.dtype) -> torch.Tensor:
    """Unit vectors by the padded reference, one text at a time; chunks weighted by their tokens."""
    network, layer = model._network, model.layer.layer
    weights = {name: value.to(dtype) for name, value in network.encoder.state_dict().items()}
    pooling = network.pooling.weight
    vectors = []
    for text in texts:
        ids = torch.from_numpy(model.tokenizer.encode(text).astype(np.int64))
        total = torch.zeros(model.dim, dtype=dtype)
        cuts = cut_points(len(ids), model.max_length) if len(ids) else []
        for start, end in pairwise(cuts):
            tokens = ids[None, start:end]
            mask = torch.ones_like(tokens, dtype=torch.bool)
            hidden = reference_forward(
                network.config, weights, tokens, mask, n_layers=layer, final_norm=False
            )[..., : model.dim]
            total += (
                reference_pooling(hidden, mask, None if pooling is None else pooling.to(dtype))[0]
                * (end - start)
                / len(ids)
            )
        vectors.append(torch.nn.functional.normalize(total, dim=0))
    return torch.stack(vectors)


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(SENTENCES),
        st.text(max_size=30),
        st.integers(30, 400).map(lambda n: " ".join(SENTENCES[i % 4] for i in range(n // 10))),
    ),
    max_size=12,
)


@given(TEXTS, st.integers(0, 2))
@settings(max_examples=20)
def test_vectors_are_those_of_the_padded_reference_in_the_order_given(
    model: xformer.Model, texts: list[str], layer: int
) -> None:
    model._layer = SentenceLayer(model.step, layer, [])
    vectors = model.encode(texts)
    assert vectors.shape == (len(texts), model.dim)
    assert vectors.dtype == np.float32
    if not texts:
        return
    exact = reference_vectors(model, texts, torch.float64).numpy()
    plain = reference_vectors(model, texts, torch.float32).numpy()
    allowed = 2 * np.abs(plain - exact).max() + 1e-7
    assert np.abs(vectors - exact).max() <= allowed


def reference_fillings(model: xformer.Model, text: str, dtype: torch.dtype) -> dict[tuple[int, int], float]:
    """Probability of each piece at each mask, by the padded reference."""
    network = model._network
    ids = torch.from_numpy(model.tokenizer.encode_masked(text).astype(np.int64))[None]
    encoder = {name: value.to(dtype) for name, value in network.encoder.state_dict().items()}
    head = {name: value.to(dtype) for name, value in network.masked_lm.state_dict().items()}
    hidden = reference_forward(network.config, encoder, ids, torch.ones_like(ids, dtype=torch.bool))
    embedding = encoder["embeddings.tok_embeddings.weight"]
    found: dict[tuple[int, int], float] = {}
    for number, place in enumerate((ids[0] == MASK_ID).nonzero()[:, 0].tolist()):
        logits = reference_masked_lm(network.config, head, hidden[0, place], embedding)
        logits[:FIRST_BYTE_ID] = -torch.inf
        logits[model.tokenizer.vocab_size :] = -torch.inf
        found |= {(number, piece): share for piece, share in enumerate(logits.softmax(0).tolist())}
    return found


def test_masks_are_filled_with_the_softmax_of_the_padded_reference(model: xformer.Model) -> None:
    text = "dog sees <mask> apple <mask>"
    found = model.fill_mask(text, k=1000)
    exact, plain = (reference_fillings(model, text, dtype) for dtype in (torch.float64, torch.float32))
    error = max(abs(plain[key] - exact[key]) for key in exact)
    assert len(found) == 2
    for number, fillings in enumerate(found):
        assert isinstance(fillings, list)
        shares = [one.probability for one in fillings]
        assert shares == sorted(shares, reverse=True)
        # All pieces but the special ones and parts of characters.
        assert len(fillings) == model.tokenizer.vocab_size - FIRST_BYTE_ID - 128
        for one in fillings:
            expected = exact[number, model.tokenizer.id(one.piece)]
            assert one.probability == pytest.approx(expected, rel=0, abs=2 * error + 1e-9)


def shown(fillings: object) -> dict[str, str]:
    assert isinstance(fillings, list)
    return {one.piece: one.text for one in fillings}


def test_a_mask_takes_the_space_before_it(model: xformer.Model) -> None:
    middle = shown(model.fill_mask("dog <mask> a house", k=1000))
    assert (middle["▁"], middle["s"], middle["<0x41>"]) == ("dog  a house", "dogs a house", "dogA a house")
    first = shown(model.fill_mask("<mask> sees", k=1000))
    assert (first["▁"], first["s"]) == (" sees", "s sees")
    one, other = model.fill_mask("<mask> sees <mask>", k=1)
    assert isinstance(one, list)
    assert isinstance(other, list)
    assert one[0].text.endswith(" sees <mask>")
    assert other[0].text.startswith("<mask> sees")
