"""Quantised encoders beside their fp32 originals."""

import copy
from typing import Any

import pytest
import torch

from xformer.model.config import ModelConfig
from xformer.model.int8 import quantise, quantise_translator
from xformer.model.int8_linear import Int8Linear
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx2", False), reason="this CPU has no AVX2, which int8 needs"
)

SIZES: dict[str, Any] = {"vocab_size": 300, "d_model": 64, "n_layers": 3, "n_heads": 4, "d_ff": 96}
CONFIGS = {
    "bert": ModelConfig.bert(**SIZES, max_length=64),
    "modernbert": ModelConfig.modernbert(**SIZES, max_length=64),
    "ours": ModelConfig(**SIZES, bigrams=2, norm="rmsnorm", zero_init_residual=False),
    "alibi, biases": ModelConfig(**SIZES, positions="alibi", bias=True, activation="relu2"),
    "rotary, biases": ModelConfig(**SIZES, bias=True, zero_init_residual=False),
}


def batch() -> Packed:
    generator = torch.Generator().manual_seed(1)
    return pack([torch.randint(5, 300, (n,), generator=generator).numpy() for n in (1, 3, 17, 40, 40, 5)])


@pytest.mark.parametrize("name", CONFIGS)
def test_vectors_are_nearly_those_of_fp32(name: str) -> None:
    model = MultilingualModel(CONFIGS[name]).eval()
    other = copy.deepcopy(model)
    quantise(other.encoder)
    with torch.no_grad():
        cosine = (model.sentence_vectors(batch()) * other.sentence_vectors(batch())).sum(1)
    assert float(cosine.min()) > 0.995


def test_every_product_of_a_block_is_quantised_and_nothing_else() -> None:
    model = MultilingualModel(CONFIGS["bert"])
    quantise(model.encoder)
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    assert linear == ["masked_lm.head.dense"]
    assert sum(isinstance(module, Int8Linear) for module in model.modules()) == 4 * SIZES["n_layers"]


def test_a_translator_has_nearly_the_logits_of_fp32() -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_ff": 96}
    model = Seq2Seq(Seq2SeqConfig.marian(vocab_size=300, **sizes), 2).eval()
    other = copy.deepcopy(model)
    quantise_translator(other)
    targets = pack([[7, 8, 2], [9, 2], [5, 6, 7, 2], [2], [11, 2], [3, 2]], sort=False)
    source = pack([[5] * n for n in (1, 3, 17, 40, 40, 5)], sort=False)
    with torch.no_grad():
        ours, theirs = model.logits(model(source, targets)), other.logits(other(source, targets))
        rows = torch.tensor([2, 9, 250])
        hidden = torch.randn(4, 64)
        some = other.output.of_rows(rows, other.target_table.weight)(hidden)
    assert float(torch.cosine_similarity(ours, theirs).min()) > 0.99
    torch.testing.assert_close(some, other.logits(hidden)[:, rows])
    assert not any(isinstance(module, torch.nn.Linear) for module in other.modules())
