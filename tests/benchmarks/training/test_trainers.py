"""Time to quality: what is asked and learned from, and each trainer for half a second.

Covers all of xformer.benchmarks.training.trainers.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from tests.benchmarks.training.curves import quiet
from xformer.benchmarks.training import DeviceName, TrainerName, bench
from xformer.benchmarks.training.clock import Cost
from xformer.benchmarks.training.quality import Bert, Questions, QuestionSize, padded
from xformer.benchmarks.training.result import Trained
from xformer.benchmarks.training.trainers.bert import IGNORED, RATE, StepSizes, bert_config, hide
from xformer.benchmarks.training.trainers.masked_lm import BLOCK, block_batches
from xformer.benchmarks.training.worker import Job, Options, train_one
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.packed import pack
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import BOS_ID, EOS_ID, FIRST_BYTE_ID, MASK_ID, PAD_ID

CPU = torch.device("cpu")
transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)


def _job(ready: tuple[RunDirectory, RunConfig], trainer: TrainerName, device: DeviceName) -> Job:
    options = Options(0.4, 2, QuestionSize(), compiled=False, device=device)
    job = Job(trainer, str(ready[0].path), "", options)
    assert replace(Job.from_json(job.to_json()), options=options) == job
    return job


def test_hiding() -> None:
    ids = torch.randint(FIRST_BYTE_ID, 5_000, (200, 200))
    ids[:, 0], ids[:, -1] = BOS_ID, PAD_ID
    shown, labels = hide(ids, 5_000, torch.Generator().manual_seed(0))
    hidden = labels != IGNORED
    assert (labels[hidden] == ids[hidden]).all()
    assert (shown[~hidden] == ids[~hidden]).all()
    assert not hidden[:, 0].any()
    assert not hidden[:, -1].any()
    assert hidden[:, 1:-1].float().mean().item() == pytest.approx(RATE, abs=0.01)
    masked, kept = shown[hidden] == MASK_ID, shown[hidden] == ids[hidden]
    assert masked.float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert kept.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert int(shown.min()) >= 0
    assert int(shown.max()) < 5_000


def test_padding() -> None:
    batch = pack([[7, 8, 9], [10], [11, 12]])
    ids, mask = padded(batch.tokens, batch.sequence_ids(), batch.positions, batch.lengths)
    expected = [[BOS_ID, 7, 8, 9, EOS_ID], [BOS_ID, 11, 12, EOS_ID, PAD_ID]]
    assert ids.tolist() == [*expected, [BOS_ID, 10, EOS_ID, PAD_ID, PAD_ID]]
    assert mask.sum(1).tolist() == [5, 4, 3]


def test_blocks_hold_every_text_as_it_is_asked_later(shards: TokenShards) -> None:
    texts = {tuple(shards[number].tolist()) for number in range(len(shards))}
    batches = block_batches(shards, seed=0, sizes=StepSizes.on(CPU))
    blocks = torch.cat([next(batches)[0] for _ in range(4)]).tolist()
    found = 0
    for block in blocks:
        assert len(block) == BLOCK
        for begin, end in itertools.pairwise(
            [*[i for i, token in enumerate(block) if token == BOS_ID], BLOCK]
        ):
            text = block[begin + 1 : end]
            if text and text[-1] == EOS_ID:  # not cut off where the block ends
                assert tuple(text[:-1]) in texts
                found += 1
    assert found > len(blocks)


def test_what_is_asked(shards: TokenShards, ready: tuple[RunDirectory, RunConfig]) -> None:
    lengths = Tokenizer.load(ready[0].tokenizer).byte_lengths()
    small = Questions.of(shards, lengths, "en", QuestionSize(messages=3, languages=1, tokens=20), CPU)
    assert len(np.unique(small.texts.group)) == 3
    assert len(small.texts) == 6
    assert 20 <= int(small.hidden.shards.n_tokens.sum()) < 40
    again = Questions.of(shards, lengths, "en", QuestionSize(messages=3, languages=1, tokens=20), CPU)
    assert [text.tolist() for text in small.texts] == [text.tolist() for text in again.texts]
    with pytest.raises(InputError, match=r"data\.pivot: expected one of de, en; got 'fr'"):
        Questions.of(shards, lengths, "fr", QuestionSize(), CPU)


def test_an_excerpt_is_its_examples(shards: TokenShards) -> None:
    some = np.array([5, 2])
    excerpt = shards.subset(some)
    assert len(excerpt) == 2
    assert excerpt[1].tolist() == shards[2].tolist()
    assert excerpt.group.tolist() == shards.group[some].tolist()
    assert [len(text) for text in excerpt] == excerpt.n_tokens.tolist()


@pytest.mark.slow
@transformers
def test_bert_is_as_large_and_its_cost_is_what_pytorch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertForMaskedLM

    config = bert_config(
        ModelConfig(vocab_size=500, d_model=32, n_heads=2, n_layers=3), 90_000, length=20, dropout=0.0
    )
    config._attn_implementation = "eager"
    model = BertForMaskedLM(config)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(90_000, rel=0.01)
    cost = Cost.of(model.bert.encoder.layer, model.cls, 32, 500)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.full((2, 7), 9))
    assert counter.get_total_flops() == cost.token * 14 + cost.pair * 2 * 49 + cost.hidden * 14


@transformers
def test_bert_is_asked_what_all_are_asked(questions: Questions) -> None:
    """Padding changes nothing: a text alone has the vector and the surprisal that it has in a batch."""
    from transformers import BertForMaskedLM

    config = bert_config(
        ModelConfig(vocab_size=320, d_model=32, n_heads=2, n_layers=2), 60_000, length=64, dropout=0.5
    )
    model = BertForMaskedLM(config)
    asked = Bert(model.bert, model.cls)
    found, again = (questions.examine(asked, asked.surprisal) for _ in range(2))
    assert found == again, "dropout is at work"
    assert found.bits_per_byte is not None
    assert found.mean_top1 is not None
    assert model.training
    asked.eval()
    texts = [[9, 10, 11, 12], [13, 14]]
    together = asked.sentence_vectors(pack(texts))
    for row, text in zip(together, texts, strict=True):
        torch.testing.assert_close(asked.sentence_vectors(pack([text]))[0], row)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("trainer", get_args(TrainerName))
def test_each_trainer(
    trainer: TrainerName, device: DeviceName, ready: tuple[RunDirectory, RunConfig]
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    missing = [name for name in bench.NEEDS[trainer] if bench.version(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    found = train_one(_job(ready, trainer, device), ready[1], quiet())
    assert (found.name, found.status) == (trainer, "ok")
    assert len(found.points) >= 3
    times = [point.seconds for point in found.points]
    assert times == sorted(times)
    assert all(point.mean_top1 is not None for point in found.points)
    has_bits = trainer not in ("sentence-transformers", "static-embedding")
    assert {point.bits_per_byte is not None for point in found.points} == {has_bits}
    assert 0.4 <= (found.seconds or 0) < 20
    for value in (found.parameters, found.steps, found.tokens_per_s, found.peak_bytes):
        assert value is not None
        assert value > 0
    assert found.matrix_share is not None
    assert (found.matrix_share == 0) == (trainer == "static-embedding")  # which multiplies nothing
    assert Trained.from_json(json.loads(json.dumps(found.to_json()))) == found
