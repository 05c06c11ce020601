"""The subset that `torch.nn.TransformerEncoder` has, with its weights: equal outputs, equal gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xformer.model.config import ModelConfig, NormPosition
from xformer.model.encoder import Encoder
from xformer.model.packed import pack

LENGTHS = (7, 7, 4, 1)
NAMES = {
    "Wqkv.weight": "self_attn.in_proj_weight",
    "Wqkv.bias": "self_attn.in_proj_bias",
    "Wo.weight": "self_attn.out_proj.weight",
    "Wo.bias": "self_attn.out_proj.bias",
}


def translate(name: str) -> str:
    """Our name of a block's parameter in PyTorch's words."""
    _, layer, module, *rest = name.split(".")
    parameter = ".".join(rest)
    match module:
        case "attn":
            theirs = NAMES[parameter]
        case "mlp":
            theirs = parameter.replace("Wi", "linear1").replace("Wo", "linear2")
        case _:
            theirs = f"norm{1 if module == 'attn_norm' else 2}.{parameter}"
    return f"layers.{layer}.{theirs}"


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("final_norm", [False, True])
@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_equal_to_torch(norm_position: NormPosition, final_norm: bool, backend: str) -> None:
    torch.manual_seed(0)
    pre = norm_position == "pre"
    layer = nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0.0, activation="gelu", norm_first=pre, batch_first=True, dtype=torch.float64
    )
    norm = nn.LayerNorm(12, dtype=torch.float64) if final_norm else None
    theirs = nn.TransformerEncoder(layer, 3, norm=norm, enable_nested_tensor=False)
    config = ModelConfig(
        vocab_size=11, d_model=12, n_layers=3, n_heads=3, d_ff=20, positions="none", window=None,
        norm_position=norm_position, embedding_norm=False, skip_first_norm=False, final_norm=final_norm,
        activation="gelu", bias=True,
    )  # fmt: skip
    ours = Encoder(config).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        for name, parameter in ours.named_parameters():
            if name.startswith("layers."):
                parameter.copy_(theirs.get_parameter(translate(name)))
            if name.startswith("final_norm."):
                parameter.copy_(theirs.get_parameter(name.removeprefix("final_")))
    rows = [torch.randint(11, (n,)).tolist() for n in LENGTHS]
    batch = pack(rows)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    tokens = torch.zeros(mask.shape, dtype=torch.int64).masked_scatter(mask, batch.tokens)
    table = ours.token_embedding.detach().clone().requires_grad_()

    def gradients(out: Tensor, module: nn.Module, embedding: Tensor) -> dict[str, Tensor]:
        loss = (out * weight).sum()
        names = [name for name, _ in module.named_parameters() if "embedding" not in name]
        found = torch.autograd.grad(loss, [embedding, *(module.get_parameter(name) for name in names)])
        return dict(zip(["table", *names], found, strict=True))

    weight = torch.randn(batch.n_tokens, 12, dtype=torch.float64)
    expected = theirs(table[tokens], src_key_padding_mask=~mask)[mask]
    actual = ours(batch, backend=backend)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
    wanted, found = gradients(expected, theirs, table), gradients(actual, ours, ours.token_embedding)
    assert len(wanted) == len(found)
    for name, gradient in found.items():
        their_name = translate(name) if name.startswith("layers.") else name.removeprefix("final_")
        torch.testing.assert_close(gradient, wanted[their_name], rtol=0, atol=1e-10)
