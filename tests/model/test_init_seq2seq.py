"""A translator from a pretrained encoder: which weight comes from where."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.init_seq2seq import init_from_encoder
from xformer.model.packed import pack
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig

CONFIG = ModelConfig(vocab_size=31, d_model=24, n_heads=3, d_ff=16, n_layers=5, window=4, bias=True)


def pretrained(config: ModelConfig = CONFIG) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(config).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter))
    return encoder


@pytest.mark.parametrize("shared", [True, False])
def test_every_weight_comes_from_its_place(shared: bool) -> None:
    encoder = pretrained()
    config = Seq2SeqConfig.of(CONFIG, decoder_layers=3, share_embeddings=shared, start="end")
    model = Seq2Seq(config, 2).eval()
    init_from_encoder(model, encoder)
    batch = pack([[5, 6, 7], [8]])
    assert torch.equal(model.encoder(batch), encoder(batch))
    assert torch.equal(model.target_table.weight, encoder.token_embedding)
    for layer, origin in enumerate((0, 2, 4)):
        ours, theirs = model.decoder.layers[layer], encoder.layers[origin]
        for name in ("attn.Wqkv.weight", "attn.Wo.bias", "mlp.Wi.weight", "mlp_norm.weight"):
            assert torch.equal(ours.get_parameter(name), theirs.get_parameter(name))
        joined = [ours.get_parameter(f"cross_attn.{name}.weight") for name in ("Wq", "Wkv")]
        assert torch.equal(torch.cat((*joined,)), theirs.get_parameter("attn.Wqkv.weight"))
        assert torch.equal(ours.get_parameter("cross_attn.Wo.weight"), theirs.get_parameter("attn.Wo.weight"))
        if layer:
            assert torch.equal(
                ours.get_parameter("cross_norm.weight"), theirs.get_parameter("attn_norm.weight")
            )


def test_cross_attention_may_stay_as_it_was_drawn() -> None:
    model = Seq2Seq(Seq2SeqConfig.of(CONFIG), 2)
    before = {name: value.clone() for name, value in model.named_parameters()}
    init_from_encoder(model, pretrained(), cross_attention="drawn")
    for name, value in model.named_parameters():
        stays = ".cross_" in name or name.startswith("output.")
        assert torch.equal(value, before[name]) == stays, name


def test_what_does_not_fit_changes_nothing() -> None:
    model = Seq2Seq(Seq2SeqConfig(CONFIG, replace(CONFIG, d_ff=20, head_activation_norm=False)), 2)
    before = {name: value.clone() for name, value in model.named_parameters()}
    with pytest.raises(
        InputError, match=r"^decoder\.layers\.0\.mlp\.Wi\.weight: expected a weight \(40, 24\)"
    ):
        init_from_encoder(model, pretrained())
    with pytest.raises(InputError, match=r"^encoder\.layers\.4\.attn_norm\.weight: .*got none"):
        init_from_encoder(Seq2Seq(Seq2SeqConfig.of(CONFIG), 2), pretrained(replace(CONFIG, n_layers=4)))
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
