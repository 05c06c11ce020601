"""Hugging Face models and ours, converted both ways: the same hidden states and the same masked-LM logits.

Covers `config`, `weights` and `folder` of `xformer.interop.huggingface`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.interop.huggingface.config import config_from_huggingface, config_to_huggingface
from xformer.interop.huggingface.folder import Pretrained, from_huggingface, save_huggingface, to_huggingface
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.heads import MaskedLMHead
from xformer.model.packed import Packed, pack

transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

LENGTHS = (11, 23, 1, 11, 2)
SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "cls_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
}


LOCAL, GLOBAL = "sliding_attention", "full_attention"


def modernbert(**fields: Any) -> Any:
    defaults = SIZES | {"num_hidden_layers": 5, "local_attention": 8, "max_position_embeddings": 64}
    config = transformers.ModernBertConfig(**defaults | fields)
    return transformers.ModernBertForMaskedLM(config)


def bert(**fields: Any) -> Any:
    config = transformers.BertConfig(
        **SIZES | {"num_hidden_layers": 2, "max_position_embeddings": 32} | fields
    )
    return transformers.BertForMaskedLM(config)


def xlm_r(**fields: Any) -> Any:
    defaults = SIZES | {"num_hidden_layers": 2, "max_position_embeddings": 34, "type_vocab_size": 1}
    config = transformers.XLMRobertaConfig(**defaults | {"layer_norm_eps": 1e-5} | fields)
    return transformers.XLMRobertaForMaskedLM(config)


def distilbert(**fields: Any) -> Any:
    sizes = {"vocab_size": 61, "dim": 24, "n_heads": 3, "hidden_dim": 20, "n_layers": 2, "pad_token_id": 1}
    config = transformers.DistilBertConfig(**sizes | {"max_position_embeddings": 32} | fields)
    return transformers.DistilBertForMaskedLM(config)


MODELS = {
    "modernbert": lambda: modernbert(),
    "modernbert-every-second-global": lambda: modernbert(global_attn_every_n_layers=2),
    "modernbert-any-global": lambda: modernbert(layer_types=[LOCAL, GLOBAL, GLOBAL, LOCAL, GLOBAL]),
    "modernbert-none-global": lambda: modernbert(layer_types=[LOCAL] * 5),
    "modernbert-all-global": lambda: modernbert(layer_types=["full_attention"] * 5),
    "modernbert-bias": lambda: modernbert(
        norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True, decoder_bias=False
    ),
    "modernbert-silu-untied": lambda: modernbert(hidden_activation="silu", tie_word_embeddings=False),
    "bert": lambda: bert(),
    "bert-relu-untied": lambda: bert(hidden_act="relu", tie_word_embeddings=False),
    "bert-tanh": lambda: bert(hidden_act="gelu_new", type_vocab_size=3),
    "xlm-r": lambda: xlm_r(),
    "xlm-r-untied": lambda: xlm_r(tie_word_embeddings=False),
    "distilbert": lambda: distilbert(),
    "distilbert-relu": lambda: distilbert(activation="relu", sinusoidal_pos_embds=True),
}


@pytest.fixture(params=MODELS, ids=str)
def theirs(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    model = MODELS[request.param]().eval()
    with torch.no_grad():
        # Biases away from zero and gains away from one, or a swapped pair would go unseen.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double()


def padded(tokens: list[list[int]]) -> tuple[Tensor, Tensor]:
    width = max(len(row) for row in tokens)
    ids = torch.tensor([row + [1] * (width - len(row)) for row in tokens])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in tokens])
    return ids, mask


def sentences() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    # From 5 on: no padding ids inside, which XLM-R would take out of its position count.
    return [torch.randint(5, 61, (n,), generator=generator).tolist() for n in LENGTHS]


@torch.no_grad()
def run_theirs(model: Any, tokens: list[list[int]]) -> tuple[list[Tensor], list[Tensor]]:
    ids, mask = padded(tokens)
    out = model(input_ids=ids, attention_mask=mask)
    hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    lengths = [len(row) for row in tokens]
    return (
        [row[:n] for row, n in zip(hidden, lengths, strict=True)],
        [row[:n] for row, n in zip(out.logits, lengths, strict=True)],
    )


@torch.no_grad()
def run_ours(model: Pretrained, tokens: list[list[int]]) -> tuple[list[Tensor], list[Tensor]]:
    batch = pack(tokens)
    hidden = model.encoder(batch)
    assert model.head is not None
    logits = model.head(hidden, torch.arange(batch.n_tokens), model.encoder.token_embedding)
    return split(hidden, batch), split(logits, batch)


def split(rows: Tensor, batch: Packed) -> list[Tensor]:
    pieces = rows.split(batch.lengths)
    out = [rows] * batch.n_sequences
    for place, piece in zip(batch.order.tolist(), pieces, strict=True):
        out[place] = piece
    return out


def assert_same(ours: tuple[list[Tensor], list[Tensor]], theirs: tuple[list[Tensor], list[Tensor]]) -> None:
    for mine, their in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
        # Their rotary angles are float32 whatever the model is.
        torch.testing.assert_close(mine, their, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_from_theirs(theirs: Any) -> None:
    ours = from_huggingface(theirs)
    assert_same(run_ours(ours, sentences()), run_theirs(theirs, sentences()))
    assert all(p.requires_grad for p in ours.encoder.parameters())
    assert not ours.encoder.training


def test_there_and_back(theirs: Any) -> None:
    ours = from_huggingface(theirs)
    again = to_huggingface(ours.encoder, ours.head)
    assert type(again) is type(theirs)
    state, expected = again.state_dict(), theirs.state_dict()
    assert state.keys() == expected.keys()
    # With a decoder of its own, a head of BERT or XLM-R computes nothing with its other bias.
    idle = set() if theirs.config.tie_word_embeddings else {"cls.predictions.bias", "lm_head.bias"}
    assert all(torch.equal(state[name], expected[name]) for name in expected.keys() - idle)
    assert_same(run_ours(ours, sentences()), run_theirs(again, sentences()))


def test_folders_both_ways(theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_huggingface(tmp_path / "theirs")
    save_huggingface(tmp_path / "ours", ours.encoder, ours.head)
    again = type(theirs).from_pretrained(tmp_path / "ours", dtype=torch.float64).eval()
    assert_same(run_ours(ours, sentences()), run_theirs(again, sentences()))
    assert from_huggingface(tmp_path / "ours").config == ours.config


def test_bare_models(theirs: Any, tmp_path: Path) -> None:
    bare = from_huggingface(theirs.base_model)
    assert bare.head is None
    batch = pack(sentences())
    expected = from_huggingface(theirs).encoder(batch)
    assert torch.equal(bare.encoder(batch), expected)
    ids, mask = padded(sentences())
    converted = to_huggingface(bare.encoder)
    save_huggingface(tmp_path, bare.encoder)
    loaded = type(theirs.base_model).from_pretrained(tmp_path, dtype=torch.float64).eval()
    for model in (converted, loaded):
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        for mine, their, n in zip(split(expected, batch), hidden, LENGTHS, strict=True):
            torch.testing.assert_close(mine, their[:n], rtol=1e-5, atol=1e-5)


OURS = {
    "modernbert": ModelConfig.modernbert(
        vocab_size=61, d_model=24, n_heads=3, n_layers=5, d_ff=20, max_length=64
    ),
    "bert": ModelConfig.bert(vocab_size=61, d_model=24, n_heads=3, n_layers=2, d_ff=20, max_length=30),
    "xlm-r": ModelConfig.xlm_r(vocab_size=61, d_model=24, n_heads=3, n_layers=2, d_ff=20, max_length=30),
    "default": ModelConfig(
        bigrams=0, vocab_size=61, d_model=24, n_heads=3, d_ff=20, zero_init_residual=False
    ),
}


@pytest.mark.parametrize("config", OURS.values(), ids=OURS.keys())
def test_ours_out_and_in(config: ModelConfig) -> None:
    torch.manual_seed(2)
    encoder, head = Encoder(config).double().eval(), MaskedLMHead(config).double().eval()
    theirs = to_huggingface(encoder, head)
    assert_same(run_ours(Pretrained(config, encoder, head), sentences()), run_theirs(theirs, sentences()))
    again = config_from_huggingface(config_to_huggingface(config))
    assert replace(again, zero_init_residual=False) == replace(config, zero_init_residual=False)
    assert theirs.config.pad_token_id == 1
    assert theirs.config.eos_token_id == 2


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"model_type": "gpt2"}, "model_type"),
        ({"model_type": "bert", "vocab_size": None}, "vocab_size"),
        ({"model_type": "bert", "hidden_size": "x"}, "hidden_size"),
        ({"model_type": "bert", "vocab_size": 3.5}, "vocab_size"),
        ({"model_type": "bert", "layer_norm_eps": "small"}, "layer_norm_eps"),
        ({"model_type": "modernbert", "global_attn_every_n_layers": "all"}, "global_attn_every_n_layers"),
        ({"model_type": "bert", "hidden_act": "silu"}, "hidden_act"),
        ({"model_type": "bert", "is_decoder": True}, "is_decoder"),
        ({"model_type": "bert", "auto_map": {"AutoModel": "code.Model"}}, "auto_map"),
        ({"model_type": "bert", "pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"model_type": "bert", "max_position_embeddings": 0}, "config.json: model.max_length"),
        ({"model_type": "xlm-roberta", "rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"model_type": "modernbert", "rope_scaling": {"type": "yarn", "factor": 2.0}}, "rope_scaling"),
        ({"model_type": "modernbert", "layer_types": ["full_attention"]}, "layer_types"),
        ({"model_type": "modernbert", "layer_types": "full_attention"}, "layer_types"),
        ({"model_type": "modernbert", "layer_types": ["full_attention", "none"]}, "layer_types"),
        ({"model_type": "modernbert", "local_rope_theta": -1}, "local_rope_theta"),
        ({"model_type": "modernbert", "local_rope_theta": 0}, "local_rope_theta"),
        ({"model_type": "modernbert", "global_rope_theta": "large"}, "global_rope_theta"),
        ({"model_type": "modernbert", "global_attn_every_n_layers": 0}, "global_attn_every_n_layers"),
        ({"model_type": "modernbert", "rope_parameters": []}, "rope_parameters"),
        (
            {"model_type": "modernbert", "rope_parameters": {"rope_theta": 5.0}},
            r"rope_parameters\.rope_theta",
        ),
        ({"model_type": "modernbert", "norm_eps": 10**400}, "norm_eps"),
        ({"model_type": "modernbert", "norm_bias": "false"}, "norm_bias"),
        ({"model_type": "bert", "tie_word_embeddings": "false"}, "tie_word_embeddings"),
        ({"model_type": "modernbert", "decoder_bias": 1}, "decoder_bias"),
        (
            {"model_type": "modernbert", "rope_parameters": {"full_attention": 3}},
            "rope_parameters.full_attention",
        ),
        (
            {"model_type": "modernbert", "rope_parameters": {"sliding_attention": {"factor": 2.0}}},
            "rope_parameters.sliding_attention.factor",
        ),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"model_type": "xlm-roberta", "hidden_act": "gelu_new"}, "hidden_act"),
        ({"model_type": "modernbert", "mlp_bias": True}, "mlp_bias"),
        ({"model_type": "modernbert", "local_attention": 1}, "local_attention"),
        ({"model_type": "modernbert", "hidden_activation": "relu"}, "hidden_activation"),
        ({"model_type": "modernbert", "classifier_activation": "gelu_new"}, "classifier_activation"),
        (
            {"model_type": "modernbert", "rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
            "rope_parameters.full_attention.rope_type",
        ),
    ],
)
def test_their_unsupported_fields_are_named(fields: dict[str, Any], name: str) -> None:
    complete = SIZES | {"num_hidden_layers": 2} | fields
    with pytest.raises(InputError, match=f"^{name}: "):
        config_from_huggingface({field: value for field, value in complete.items() if value is not None})


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (replace(OURS["modernbert"], positions="alibi"), "positions"),
        (replace(OURS["modernbert"], activation="relu2"), "activation"),
        (replace(OURS["modernbert"], head_activation_norm=False), "head_activation_norm"),
        (replace(OURS["modernbert"], skip_first_norm=False), "skip_first_norm"),
        (replace(OURS["bert"], positions="rotary"), "positions"),
        (replace(OURS["xlm-r"], n_segments=0), "n_segments"),
        (replace(OURS["bert"], window=4), "window"),
        (replace(OURS["bert"], norm="rmsnorm"), "norm"),
        (replace(OURS["xlm-r"], gelu="tanh"), "gelu"),
        (replace(OURS["xlm-r"], activation="relu"), "activation"),
    ],
)
def test_our_unsupported_fields_are_named(config: ModelConfig, name: str) -> None:
    with pytest.raises(InputError, match=f"^model.{name}: "):
        config_to_huggingface(config)


def test_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="expected JSON"):
        from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config_to_huggingface(OURS["bert"])))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(InputError, match=r"model\.safetensors.*pickled"):
        from_huggingface(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match="expected safetensors"):
        from_huggingface(tmp_path)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    config = OURS["modernbert"]
    save_huggingface(tmp_path, Encoder(config), MaskedLMHead(config))
    for change, message in (
        ({"num_hidden_layers": 6, "layer_types": None}, r"layers\.5\.attn.* is missing"),
        ({"num_hidden_layers": 4, "layer_types": None}, r"layers\.4\.attn.* is not a weight of a model with"),
        ({"vocab_size": 60}, r"tok_embeddings\.weight is \(61, 24\), expected \(60, 24\)"),
        ({"model_type": "bert", "max_position_embeddings": 30}, "not a weight of this architecture"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config_to_huggingface(config) | change))
        with pytest.raises(InputError, match=message):
            from_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "weight_map: expected the file of each weight"),
        ('{"weight_map": {}}', "weight_map: expected"),
        ('{"weight_map": {"a": 3}}', "a: expected the name of a file beside it, got 3"),
        ('{"weight_map": {"a": "../model.safetensors"}}', r"got '\.\./model"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "got '/etc/passwd'"),
        ('{"weight_map": {"a": ".."}}', r"got '\.\.'"),
        (
            '{"weight_map": {"a": "absent.safetensors"}}',
            r"absent\.safetensors: expected weights in this file$",
        ),
    ],
)
def test_a_broken_index_of_weights_is_named(tmp_path: Path, content: str, message: str) -> None:
    save_huggingface(tmp_path, Encoder(OURS["bert"]))
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(InputError, match=message):
        from_huggingface(tmp_path)


def test_layer_types_decide_beside_an_older_field() -> None:
    fields = SIZES | {"model_type": "modernbert", "num_hidden_layers": 4, "global_attn_every_n_layers": 3}
    types = ["full_attention", "sliding_attention"] * 2
    assert config_from_huggingface(fields | {"layer_types": types}).global_every == 2
    assert config_from_huggingface(fields).global_every == 3


def test_weights_in_several_files(theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    assert_same(run_ours(from_huggingface(tmp_path), sentences()), run_theirs(theirs, sentences()))


def test_what_is_not_computed_with_is_kept() -> None:
    found = from_huggingface(transformers.BertModel(bert().config))
    assert found.bare
    assert set(found.left) == {"pooler.dense.weight", "pooler.dense.bias"}


def test_a_converted_model_shares_no_memory() -> None:
    theirs = bert()
    ours = from_huggingface(theirs)
    before = theirs.base_model.embeddings.word_embeddings.weight.detach().clone()
    with torch.no_grad():
        ours.encoder.token_embedding.zero_()
    assert torch.equal(theirs.base_model.embeddings.word_embeddings.weight, before)
