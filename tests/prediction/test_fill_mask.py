"""Masks are filled with the model's own probabilities, and shown as a reader would write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch

import xformer
from xformer.errors import InputError
from xformer.model.packed import pack
from xformer.model.reference import reference_forward, reference_masked_lm
from xformer.prediction.fill_mask import Filling
from xformer.pretraining.abilities import masked_lm_gap
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.runs.directory import RunDirectory
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID


@pytest.fixture(scope="module")
def model(trained: RunDirectory) -> xformer.Model:
    return xformer.load(trained.path)


def flat(found: Iterable[Filling | list[Filling]]) -> list[tuple[str, str, object]]:
    """All fillings of a text, their probabilities up to rounding."""
    lists = [one if isinstance(one, list) else [one] for one in found]
    return [(one.piece, one.text, pytest.approx(one.probability, rel=1e-4)) for each in lists for one in each]


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


def test_masks_of_several_texts_come_one_result_a_text(model: xformer.Model) -> None:
    texts = ["dog sees <mask>", "<mask> <mask>", "cat buys <mask>"]
    found = model.fill_mask(iter(texts), k=2)
    assert [len(one) for one in found] == [2, 2, 2]
    for text, one in zip(texts, found, strict=True):
        assert flat(one) == flat(model.fill_mask(text, k=2))


def test_of_a_long_text_a_mask_sees_the_part_around_it(model: xformer.Model) -> None:
    """The tokens around the mask, as many as the model reads at once."""
    long = "x " * 200 + "dog sees <mask>" + " y" * 200
    ids = model.tokenizer.encode_masked(long)
    place = int(np.flatnonzero(ids == MASK_ID)[0])
    start = place - model.max_length // 2
    window = ids[start : start + model.max_length]
    part = model._network.token_logits(pack([window]), torch.tensor([place - start]))[0]
    part[:FIRST_BYTE_ID] = -torch.inf
    part[model.tokenizer.vocab_size :] = -torch.inf
    fillings = model.fill_mask(long, k=3)
    for one in fillings:
        assert isinstance(one, Filling)
        expected = part.softmax(0)[model.tokenizer.id(one.piece)].item()
        assert one.probability == pytest.approx(expected, rel=1e-4)


def test_a_text_without_a_mask_is_told_how(model: xformer.Model) -> None:
    with pytest.raises(InputError, match=r"text: expected <mask> where .*'Open the <mask>'; got 'dog sees'"):
        model.fill_mask("dog sees")
    with pytest.raises(InputError, match=r"texts\[1\]: expected <mask>"):
        model.fill_mask(["a <mask>", "b"])
    with pytest.raises(InputError, match="k: expected a whole number from 1, got 0"):
        model.fill_mask("a <mask>", k=0)


def test_a_run_without_a_masked_lm_names_the_command_that_makes_one(
    model: xformer.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RunDirectory(model.path).load_config()
    untrained = replace(config.objectives, masked_lm_tokens=0, translation_lm_tokens=0)
    gaps = {
        "xformer pretrain NEW_RUN --set objectives.masked_lm_tokens=": (
            replace(config, objectives=untrained),
            FULL,
        ),
        "embedding warm-up alone; `xformer pretrain": (config, EMBEDDING_WARMUP),
    }
    for message, (settings, stage) in gaps.items():
        gap = masked_lm_gap(model.path, settings, stage)
        monkeypatch.setattr(model, "_opened", replace(model._opened, masked_lm_gap=gap))
        with pytest.raises(InputError, match=message):
            model.fill_mask("a <mask>")
