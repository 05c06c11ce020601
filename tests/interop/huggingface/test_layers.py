"""Every layer of imported models is that of transformers, for settings and lengths drawn at random.

transformers computes ModernBERT's rotary positions in float32 whatever the model is. For 1e-10 it gets them
in float64 here, by the definition (Su et al. 2021).

Covers xformer.interop.huggingface.config, weights and folder.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from xformer.interop.huggingface.folder import Pretrained, from_huggingface
from xformer.model.packed import pack

transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

pytestmark = pytest.mark.slow

ROWS, LONGEST = 40, 24
ACTIVATIONS = ["gelu", "gelu_new", "relu"]
Model = tuple[str, dict[str, Any]]


@st.composite
def models(draw: st.DrawFn) -> Model:
    """A class of transformers with a masked-LM head, and its settings."""
    heads, head = draw(st.integers(1, 3)), draw(st.sampled_from([2, 4, 6]))
    sizes: dict[str, Any] = {
        "vocab_size": ROWS,
        "hidden_size": heads * head,
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(3, 20)),
        "num_hidden_layers": draw(st.integers(1, 4)),
        "max_position_embeddings": LONGEST,
        "pad_token_id": 1,
        "tie_word_embeddings": draw(st.booleans()),
    }
    family = draw(st.sampled_from(["Bert", "DistilBert", "XLMRoberta", "ModernBert"]))
    eps = draw(st.sampled_from([1e-12, 1e-5, 0.1]))
    if family == "Bert":
        sizes |= {"hidden_act": draw(st.sampled_from(ACTIVATIONS)), "layer_norm_eps": eps}
        return family, sizes | {"type_vocab_size": draw(st.integers(1, 3))}
    if family == "XLMRoberta":
        offset = draw(st.integers(0, 3))
        sizes |= {"pad_token_id": offset, "max_position_embeddings": LONGEST + offset + 1}
        return family, sizes | {"layer_norm_eps": eps, "type_vocab_size": draw(st.integers(1, 2))}
    if family == "DistilBert":
        names = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
        names |= {"intermediate_size": "hidden_dim"}
        sizes = {names.get(name, name): value for name, value in sizes.items()}
        return family, sizes | {"activation": draw(st.sampled_from(ACTIVATIONS))}
    bias, activation = draw(st.booleans()), draw(st.sampled_from(["gelu", "silu"]))
    sizes |= {f"{part}_bias": bias for part in ("norm", "attention", "mlp", "classifier")}
    sizes |= {"hidden_activation": activation, "classifier_activation": "gelu", "norm_eps": max(eps, 1e-9)}
    rotary = {"global_rope_theta": draw(st.sampled_from([500.0, 160_000.0])), "local_rope_theta": 10_000.0}
    every = draw(st.integers(1, 4))
    layers: dict[str, Any] = {
        "global_attn_every_n_layers": every,
        "local_attention": draw(st.integers(2, 20)),
    }
    if draw(st.booleans()):
        kinds = ["sliding_attention", "full_attention"]
        layers["layer_types"] = [kinds[n % every == 0] for n in range(sizes["num_hidden_layers"])]
    return family, sizes | rotary | layers | {"decoder_bias": draw(st.booleans())}


def theirs(model: Model, dtype: torch.dtype) -> Any:
    family, fields = model
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**fields, attn_implementation="sdpa")
    made = getattr(transformers, f"{family}ForMaskedLM")(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return made.to(dtype).eval()


@pytest.fixture
def exact_rotary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotary positions of transformers in the precision of the model."""
    module = transformers.models.modernbert.modeling_modernbert

    def table(self: Any, x: Tensor, position_ids: Tensor, layer_type: str) -> tuple[Tensor, Tensor]:
        base = self.config.rope_parameters[layer_type]["rope_theta"]
        width = self.config.hidden_size // self.config.num_attention_heads
        frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = position_ids[..., None].double() * frequencies
        both = torch.cat((angles, angles), dim=-1)
        return both.cos().to(x.dtype), both.sin().to(x.dtype)

    def rotate(
        q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1
    ) -> tuple[Tensor, Tensor]:
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return q * cos + module.rotate_half(q) * sin, k * cos + module.rotate_half(k) * sin

    monkeypatch.setattr(module.ModernBertRotaryEmbedding, "forward", table)
    monkeypatch.setattr(module, "apply_rotary_pos_emb", rotate)


@torch.no_grad()
def layers_of_theirs(model: Any, texts: list[list[int]]) -> tuple[list[list[Tensor]], list[Tensor]]:
    """For each text its hidden states by layer, and its logits; all texts padded to one length."""
    width = max(map(len, texts))
    pad = model.config.pad_token_id
    ids = torch.tensor([text + [pad] * (width - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts])
    out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    states = [[layer[row, : len(text)] for layer in out.hidden_states] for row, text in enumerate(texts)]
    return states, [out.logits[row, : len(text)] for row, text in enumerate(texts)]


@torch.no_grad()
def layers_of_ours(model: Pretrained, texts: list[list[int]]) -> tuple[list[list[Tensor]], list[Tensor]]:
    assert model.head is not None
    batch = pack(texts, sort=False)
    states = model.encoder.hidden_states(batch)
    states[-1] = model.encoder.final_norm(states[-1])
    logits = model.head(states[-1], torch.arange(batch.n_tokens), model.encoder.token_embedding)
    by_layer = [state.split(batch.lengths) for state in states]
    return [list(rows) for rows in zip(*by_layer, strict=True)], list(logits.split(batch.lengths))


@pytest.mark.usefixtures("exact_rotary")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    model=models(),
    texts=st.lists(st.lists(st.integers(5, ROWS - 1), min_size=1, max_size=LONGEST), min_size=1, max_size=5),
    double=st.booleans(),
)
def test_hidden_states_and_logits_are_theirs(model: Model, texts: list[list[int]], double: bool) -> None:
    dtype, tolerance = (torch.float64, 1e-10) if double else (torch.float32, 1e-5)
    peer = theirs(model, dtype)
    states, logits = layers_of_ours(from_huggingface(peer), texts)
    their_states, their_logits = layers_of_theirs(peer, texts)
    alone = [layers_of_theirs(peer, [text]) for text in texts]
    for row in range(len(texts)):
        for expected in (their_states[row], alone[row][0][0]):
            assert len(states[row]) == len(expected)
            for ours, their in zip(states[row], expected, strict=True):
                torch.testing.assert_close(ours, their, rtol=tolerance, atol=tolerance)
        for expected_logits in (their_logits[row], alone[row][1][0]):
            scale = float(expected_logits.abs().max().clamp(min=1))
            torch.testing.assert_close(logits[row], expected_logits, rtol=tolerance, atol=tolerance * scale)
