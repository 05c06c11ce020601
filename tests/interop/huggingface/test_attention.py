"""Our attention inside models of transformers, beside their own `sdpa`.

Shapes: B rows, N positions with padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.interop.huggingface import attention

transformers = pytest.importorskip("transformers", minversion="5.0")

SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
OWN_SIZES: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 24, "n_layers": 3, "n_heads": 3, "hidden_dim": 16},
    "electra": {"embedding_size": 24},
    "eurobert": {"num_key_value_heads": 1, "head_dim": 8},
    "modernbert": {"local_attention": 4, "global_attn_every_n_layers": 2},
}
N = 11


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    attention.register()
    yield
    for interface in (transformers.AttentionInterface, transformers.AttentionMaskInterface):
        interface._global_mapping.pop(attention.NAME)


def model_of(kind: str, dtype: torch.dtype = torch.float64, **changes: Any) -> Any:
    config = transformers.AutoConfig.for_model(kind, **{**SIZES, **OWN_SIZES.get(kind, {}), **changes})
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config, attn_implementation="xformer").to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # else all tokens attend alike
                parameter.mul_(8)
    return model


def ids_and_mask(*, holes: bool = False) -> tuple[Tensor, Tensor]:
    """Padding behind, before, on both sides, and nowhere; with `holes` between tokens, too."""
    ids = torch.randint(3, 40, (5, N), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, N, dtype=torch.int64)
    mask[0, 7:], mask[1, :3], mask[3, 1:], mask[4, :2], mask[4, 6:] = 0, 0, 0, 0, 0
    if holes:
        mask[2, 4:6] = 0
    return ids, mask


def solved(model: Any, name: str, ids: Tensor, mask: Tensor | None, **more: Any) -> dict[str, Tensor]:
    """The hidden states at tokens, and gradients by all parameters."""
    model.set_attn_implementation(name)
    model.zero_grad()
    out = model(ids, attention_mask=mask, **more).last_hidden_state
    out = out.flatten(0, 1) if mask is None else out[mask.bool()]
    (out.square() * torch.linspace(-1, 1, out.shape[-1], dtype=out.dtype)).sum().backward()
    grads = {key: x.grad.clone() for key, x in model.named_parameters() if x.grad is not None}
    return {"out": out.detach(), **grads}


@pytest.mark.parametrize("kind", sorted(attention.MODEL_TYPES))
def test_it_is_sdpa_at_the_tokens(kind: str) -> None:
    """Outputs and all gradients in fp64; every model type that is not refused is one of these."""
    model = model_of(kind)
    ids, mask = ids_and_mask(holes=kind != "modernbert")
    for given in (mask, None):
        found, expected = (solved(model, name, ids, given) for name in ("xformer", "sdpa"))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_it_is_sdpa_in_fp32(kind: str) -> None:
    model = model_of(kind, torch.float32)
    ids, mask = ids_and_mask()
    found, expected = (solved(model, name, ids, mask)["out"] for name in ("xformer", "sdpa"))
    assert (found - expected).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_texts_end_to_end_in_one_row(kind: str) -> None:
    """As transformers' collator lays them: no padding in any layer, the same vectors."""
    model = model_of(kind)
    ids, mask = ids_and_mask()
    rows = [row[kept.bool()].tolist() for row, kept in zip(ids, mask, strict=True)]
    flat = transformers.DataCollatorWithFlattening(return_flash_attn_kwargs=True, return_position_ids=True)(
        [{"input_ids": row, "labels": row} for row in rows]
    )
    del flat["labels"]
    out = model(**flat).last_hidden_state[0]
    for row, its in zip(rows, out.split([len(row) for row in rows]), strict=True):
        alone = model(torch.tensor([row])).last_hidden_state[0]
        torch.testing.assert_close(its, alone, rtol=0, atol=1e-10)


def test_dropout_follows_the_seed() -> None:
    model = model_of("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5).train()
    ids, mask = ids_and_mask()

    def once(seed: int) -> Tensor:
        torch.manual_seed(seed)
        out: Tensor = model(ids, attention_mask=mask).last_hidden_state[mask.bool()]
        return out

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    dropped = once(1)
    model.eval()
    assert not torch.equal(dropped, once(1))


def test_a_task_s_model_learns_with_it() -> None:
    """Loss and gradients of a classifier, with gradient checkpointing, which runs each layer twice."""
    config = transformers.AutoConfig.for_model("modernbert", **SIZES, **OWN_SIZES["modernbert"])
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config).double().train()
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    ids, mask = ids_and_mask()
    mask[1], mask[4] = mask[0], mask[3]  # the class is read from the first place, which has to be a token
    found = []
    for name in ("xformer", "sdpa"):
        model.set_attn_implementation(name)
        model.zero_grad()
        loss = model(ids, attention_mask=mask, labels=torch.tensor([0, 1, 0, 1, 1])).loss
        loss.backward()
        found.append([loss.detach(), *(x.grad.clone() for x in model.parameters() if x.grad is not None)])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def refusals() -> Iterator[tuple[str, str, Any]]:
    ids, mask = ids_and_mask()
    holes = ids_and_mask(holes=True)[1]
    flat = {"cu_seq_lens_q": torch.tensor([0, 5, N], dtype=torch.int32), "max_length_q": 6}
    yield (
        "a hole under a window",
        "row 2 has padding between",
        (lambda: model_of("modernbert")(ids, attention_mask=holes)),
    )
    yield (
        "a decoder",
        "a bert that is a decoder is refused; use attn_implementation='sdpa'",
        (lambda: model_of("bert", is_decoder=True)(ids, attention_mask=mask)),
    )
    yield "a causal model", "model of type 'gpt2'", lambda: model_of("gpt2")(ids, attention_mask=mask)
    yield (
        "a mask of each query",
        "no mask of rows and tokens",
        (lambda: model_of("bert")(ids, attention_mask=mask[:, None, None, :].bool().expand(-1, 1, N, N))),
    )
    yield (
        "several rows of several texts",
        "cu_seq_lens_q for more than one row",
        (lambda: model_of("bert")(ids, **flat)),
    )
    yield (
        "keys of others",
        "cu_seq_lens_k other than cu_seq_lens_q",
        (lambda: model_of("bert")(ids[:1], **flat, cu_seq_lens_k=torch.tensor([0, 4, N], dtype=torch.int32))),
    )


@pytest.mark.parametrize("case", list(refusals()), ids=lambda case: case[0])
def test_refuses_what_it_would_get_wrong(case: tuple[str, str, Any]) -> None:
    _, message, call = case
    with pytest.raises(NotImplementedError, match=message):
        call()


def test_a_layer_that_is_called_by_itself() -> None:
    """What a model of a tested type never asks for is refused, too."""
    x = torch.randn(2, 3, N, 8)
    layer = model_of("bert").encoder.layer[0].attention.self
    out, weights = attention.attend(layer, x, x, x, None)
    assert weights is None
    torch.testing.assert_close(
        out, torch.nn.functional.scaled_dot_product_attention(x, x, x).transpose(1, 2), rtol=0, atol=1e-6
    )
    for message, more in {
        "causal attention of BertSelfAttention": {"is_causal": True},
        "output_attentions=True.*use attn_implementation='eager'": {"output_attentions": True},
        "a position_bias": {"position_bias": torch.zeros(1)},
    }.items():
        with pytest.raises(NotImplementedError, match=message):
            attention.attend(layer, x, x, x, None, **more)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="11 queries beside 10 keys"):
        attention.attend(layer, x, x[:, :, 1:], x[:, :, 1:], None)
    with pytest.raises(NotImplementedError, match="a mask function of the caller's own"):
        attention.unpadded(batch_size=1, kv_length=2, mask_function=lambda *_: True, use_vmap=True)


def test_an_old_transformers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention.metadata, "version", lambda name: "4.57.3")
    with pytest.raises(InputError, match=r"transformers: expected 5\.0 or newer.*got 4\.57\.3"):
        attention.register()
