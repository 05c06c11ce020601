"""A translator and MarianMTModel of its weights: the same logits, and the same targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from xformer.errors import InputError
from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions
from xformer.interop.huggingface.marian import marian_config, marian_weights, require_marian
from xformer.model.packed import pack
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig

END = 2
SIZES: dict[str, Any] = {"vocab_size": 41, "d_model": 16, "n_heads": 2, "n_layers": 3, "d_ff": 24}
SOURCES = [[5, 6, 7, 8, END], [9, END], [10, 11, 12, 13, 14, 15, 16, END]]


def ours() -> Seq2Seq:
    torch.manual_seed(0)
    model = Seq2Seq(Seq2SeqConfig.marian(decoder_layers=2, **SIZES), END).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_((1.0 if parameter.dim() == 2 else 0.2) * torch.randn_like(parameter))
        model.target_table.weight.mul_(0.2)
        model.output.get_parameter("bias").mul_(4)
    return model


def theirs(model: Seq2Seq) -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.MarianConfig(**marian_config(model, 64))
    built = transformers.MarianMTModel(config).double().eval()
    weights = marian_weights(model, 64)
    missing = built.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    tied = {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}
    assert set(missing.missing_keys) <= tied
    built.tie_weights()
    return built


def test_logits_and_targets_are_the_same() -> None:
    model = ours()
    require_marian(model)
    peer = theirs(model)
    pad, width = 41, max(map(len, SOURCES))
    inputs = torch.tensor([[*source, *[pad] * (width - len(source))] for source in SOURCES])
    mask = (inputs != pad).long()
    targets = [[7, 8, END], [9, 10, 11, 12, END], [END]]
    hidden = model(pack(SOURCES, sort=False), pack(targets, sort=False))
    logits = model.logits(hidden).split([len(target) for target in targets])
    for row, target in enumerate(targets):
        before = torch.tensor([[pad, *target[:-1]]])
        with torch.no_grad():
            out = peer(inputs[row : row + 1], mask[row : row + 1], decoder_input_ids=before).logits[0]
        torch.testing.assert_close(logits[row], out[:, :pad], rtol=0, atol=1e-10)
        assert (out[:, pad] < -1e8).all()
    for beams in (1, 4):
        options = GenerationOptions(method="beam" if beams > 1 else "greedy", beam=beams, max_length=15)
        found = generate(model, SOURCES, options)
        with torch.no_grad():
            out = peer.generate(
                inputs, attention_mask=mask, num_beams=beams, do_sample=False, max_new_tokens=15,
                length_penalty=1.0, early_stopping=True,
            )  # fmt: skip
        for (one,), row in zip(found, out.tolist(), strict=True):
            assert [*one.tokens, *[END] * one.ended] == [token for token in row if token != pad]


def test_what_is_never_generated_is_out_of_the_softmax_by_its_bias() -> None:
    model, never = ours(), (0, 3, 40)
    bias = marian_weights(model, 8, never)["final_logits_bias"][0]
    assert [token for token in range(42) if bias[token] < -1e8] == [*never, 41]
    kept = [token for token in range(41) if token not in never]
    plain = marian_weights(model, 8)["final_logits_bias"][0]
    assert torch.equal(bias[kept], plain[kept])
    assert torch.equal(plain[:41], model.output.get_parameter("bias"))


def test_what_marian_cannot_hold_is_named() -> None:
    good = Seq2SeqConfig.marian(**SIZES)
    wrong: dict[str, dict[str, Any]] = {
        r"encoder\.positions: Marian needs 'sinusoidal', got 'none'": {
            "encoder": replace(good.encoder, positions="none")
        },
        r"decoder\.window: Marian has global attention only": {
            "decoder": replace(good.decoder, window=4, global_every=2)
        },
        r"seq2seq\.start: Marian needs 'zero'": {"start": "end"},
        r"seq2seq\.share_embeddings: expected True": {"share_embeddings": False},
    }
    for message, changes in wrong.items():
        with pytest.raises(InputError, match=f"^{message}"):
            require_marian(Seq2Seq(replace(good, **changes), END))
