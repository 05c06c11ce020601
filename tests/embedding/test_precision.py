"""What `dtype=` makes of a model."""

import pytest
import torch

from xformer.embedding.precision import prepare
from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.int8_linear import Int8Linear
from xformer.model.multilingual import MultilingualModel

MODEL = ModelConfig(vocab_size=300, d_model=16, n_heads=2, n_layers=1, d_ff=24)
CPU = torch.device("cpu")


@pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx2", False), reason="this CPU has no AVX2, which int8 needs"
)
def test_int8_quantises_the_blocks() -> None:
    prepared = prepare(MultilingualModel(MODEL), "int8", CPU)
    assert prepared.dtype == "int8"
    assert sum(isinstance(module, Int8Linear) for module in prepared.model.modules()) == 4


def test_auto_is_fp32_on_a_cpu() -> None:
    assert prepare(MultilingualModel(MODEL), "auto", CPU).dtype == "fp32"


def test_unknown_names_and_devices_without_the_precision_are_refused() -> None:
    with pytest.raises(InputError, match="dtype: expected one of auto, fp32, bf16, int8, got 'fp64'"):
        prepare(MultilingualModel(MODEL), "fp64", CPU)
    with pytest.raises(InputError, match="int8 is computed on a CPU, got the device meta"):
        prepare(MultilingualModel(MODEL), "int8", torch.device("meta"))
