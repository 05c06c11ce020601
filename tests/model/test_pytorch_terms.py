"""What PyTorch offers for any module, on the encoder and its heads.

AMP, half precision, copies, `torch.func`, initialisation on the device `meta`, hooks and parametrizations,
adapters, `fully_shard`. `torch.compile` and `torch.export` are in `test_exportable`.

Shapes: T tokens, C d_model.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils.parametrizations import weight_norm

from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.heads import Classifier
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack

SMALL = ModelConfig(
    vocab_size=31, d_model=24, n_heads=3, d_ff=16, n_layers=2, window=4, global_every=2,
    zero_init_residual=False, init_std=0.2,
)  # fmt: skip
ROWS = [[5, 6, 7, 8, 9, 10], [11], [], [12, 13, 14], [15, 16, 17]]
BATCH = pack(ROWS)


def encoder(**changes: Any) -> Encoder:
    torch.manual_seed(0)
    return Encoder(replace(SMALL, **changes)).eval()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_autocast_keeps_parameters_and_gradients_in_fp32(dtype: torch.dtype) -> None:
    """And rounds no worse than a model in that dtype."""
    model = encoder().train()
    exact = model(BATCH)
    with torch.autocast("cpu", dtype=dtype):
        out = model(BATCH)
        loss = out.float().square().mean()
    loss.backward()
    assert {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None} == {
        torch.float32
    }
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert 0 < (out - exact).abs().max() < 8 * torch.finfo(dtype).eps * exact.abs().max()


@pytest.mark.parametrize("overflows", [True, False])
def test_a_grad_scaler_skips_the_step_that_overflows(overflows: bool) -> None:
    """And halves its scale then; other steps are taken, with gradients at their own scale."""
    model, plain = encoder().train(), encoder().train()
    scale = 2.0**30 if overflows else 2.0**8
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1) for one in (model, plain)]
    before = copy.deepcopy(model.state_dict())
    with torch.autocast("cpu", dtype=torch.float16):
        losses = [(one(BATCH) * torch.linspace(-1, 1, 24)).square().mean() for one in (model, plain)]
    scaler.scale(losses[0]).backward()
    scaler.step(optimizers[0])
    scaler.update()
    losses[1].backward()
    optimizers[1].step()
    assert scaler.get_scale() == (scale / 2 if overflows else scale)
    expected = before if overflows else plain.state_dict()
    tolerance = 0.0 if overflows else 1e-4  # fp16 loses small gradients, which a scale keeps
    torch.testing.assert_close(dict(model.state_dict()), dict(expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@torch.no_grad()
def test_a_model_in_half_precision_gives_its_vectors(dtype: torch.dtype) -> None:
    model = encoder()
    out = copy.deepcopy(model).to(dtype)(BATCH)
    assert out.dtype == dtype
    exact = model(BATCH)
    assert (out.float() - exact).abs().max() < 8 * torch.finfo(dtype).eps * exact.abs().max()


@torch.no_grad()
def test_copies_share_nothing_and_compute_the_same() -> None:
    """A deep copy, and one through pickle, as other processes get it."""
    model = encoder()
    expected = model(BATCH)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]  # noqa: S301 - our own bytes
    batch = pickle.loads(pickle.dumps(BATCH))  # noqa: S301 - our own bytes
    model.token_embedding.zero_()
    for one in copies:
        assert torch.equal(one(batch), expected)


@pytest.mark.parametrize("pooling", ["mean", "weighted"])
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_torch_func_differentiates_the_model(pooling: Any) -> None:
    """`functional_call`, `grad`, `jvp` and `vmap`, without naming a backend."""
    torch.manual_seed(0)
    model = MultilingualModel(replace(SMALL, bigrams=1), pooling).double()
    parameters = {name: x.detach() for name, x in model.named_parameters()}

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        with nn.utils.stateless._reparametrize_module(model, dict(parameters)):
            vectors = model.sentence_vectors(BATCH, normalise=False)
            logits = model.token_logits(BATCH, torch.tensor([0, 3]))
        return vectors.square().sum() + logits.square().mean()

    named = dict(model.named_parameters())
    total = loss(named)
    wanted = torch.autograd.grad(total, list(named.values()), allow_unused=True, materialize_grads=True)
    expected = dict(zip(named, wanted, strict=True))
    torch.testing.assert_close(grad(loss)(parameters), expected, rtol=1e-9, atol=1e-9)
    slope = sum((expected[name] * x).sum() for name, x in parameters.items())
    torch.testing.assert_close(jvp(loss, (parameters,), (parameters,))[1], slope, rtol=1e-9, atol=1e-9)
    two = {name: torch.stack([x, 0.5 * x]) for name, x in parameters.items()}
    each = torch.stack([loss(parameters), loss({name: 0.5 * x for name, x in parameters.items()})])
    torch.testing.assert_close(vmap(loss)(two), each, rtol=1e-9, atol=1e-9)


def test_functional_call_takes_other_weights() -> None:
    model = encoder()
    halved = {name: 0.5 * x for name, x in model.state_dict().items()}
    out = functional_call(model, halved, (BATCH,))
    model.load_state_dict(halved)
    assert torch.equal(out, model(BATCH))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positions": "learned", "n_segments": 2, "bias": True, "tie_embeddings": False},
        {"positions": "t5", "norm": "rmsnorm", "bigrams": 1, "zero_init_residual": True},
    ],
    ids=["modernbert", "bert", "t5"],
)
def test_meta_initialisation_gives_the_same_bits(changes: dict[str, Any]) -> None:
    """Memory first and weights then, as a sharded model is begun, or weights that are assigned."""
    config = replace(SMALL, **changes)
    makers: tuple[Any, ...] = (MultilingualModel, lambda config: Classifier(config, 3, "weighted"))
    for make in makers:
        torch.manual_seed(7)
        ordinary = make(config)
        with torch.device("meta"):
            later = make(config)
        assert all(parameter.is_meta for parameter in later.parameters())
        later.to_empty(device="cpu")
        for parameter in later.parameters():
            nn.init.constant_(parameter, torch.nan)
        torch.manual_seed(7)
        later.reset_parameters()
        drawn, expected = later.state_dict(), ordinary.state_dict()
        assert all(torch.equal(drawn[name], expected[name]) for name in expected)
        with torch.device("meta"):
            assigned = make(config)
        assigned.load_state_dict(expected, assign=True)
        assert all(assigned.state_dict()[name].data_ptr() == x.data_ptr() for name, x in expected.items())


def test_hooks_see_every_module_that_computes() -> None:
    """One that is hooked is called, where its weight alone would have been used."""
    model = encoder()
    expected = model(BATCH)
    seen: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: seen.add(name))
        for name, module in model.named_modules()
    ]
    torch.testing.assert_close(model(BATCH), expected, rtol=0, atol=1e-5)
    silent = {name for name, _ in model.named_modules()} - seen
    # A list of blocks is not called; a block without cross-attention has no norm of it.
    assert silent == {"layers", *(f"layers.{layer}.cross_norm" for layer in range(2))}
    for hook in hooks:
        hook.remove()
    assert torch.equal(model(BATCH), expected)


def test_weight_norm_changes_no_output_and_learns() -> None:
    model = encoder()
    expected = model(BATCH)
    for module in list(model.modules()):
        if isinstance(module, nn.Linear):
            weight_norm(module)
    out = model(BATCH)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)
    out.square().sum().backward()
    named = dict(model.named_parameters())
    gains = [x.grad for name, x in named.items() if name.endswith("weight.original0")]
    assert len(gains) == 8
    assert all(gain is not None and gain.abs().max() > 0 for gain in gains)


class LowRank(nn.Module):
    """A linear layer with a product of two thin matrices added, which has the layer's attributes (LoRA)."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.A = nn.Parameter(torch.randn(rank, base.in_features))
        self.B = nn.Parameter(torch.randn(base.out_features, rank))

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + x @ self.A.T @ self.B.T
        return out


def test_an_adapter_around_any_projection_has_its_effect() -> None:
    """`peft` replaces layers by wrappers that still show the old weight."""
    model, merged = encoder().double(), encoder().double()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            wrapper = LowRank(module, 2).double()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, wrapper)
            with torch.no_grad():
                merged.get_parameter(f"{name}.weight").add_(wrapper.B @ wrapper.A)
    torch.testing.assert_close(model(BATCH), merged(BATCH), rtol=0, atol=1e-9)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_fully_shard_trains_to_the_same_losses_and_gives_the_whole_state_back() -> None:
    """Of several processes, each with its part, tell the tests of `tests/training`."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    models = [encoder().train(), encoder().train()]
    sharded = models[1]
    fully_shard(sharded.embeddings.tok_embeddings)
    for block in sharded.layers:
        fully_shard(block)
    fully_shard(sharded)
    assert all(isinstance(parameter, DTensor) for parameter in sharded.parameters())
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1) for one in models]
    for step in range(3):
        losses = []
        for one, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            loss = (one(pack(ROWS[step:])) * torch.linspace(-1, 1, 24)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    whole = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))
    torch.testing.assert_close(whole, dict(models[0].state_dict()), rtol=0, atol=1e-6)
    encoder().load_state_dict(whole)


def test_strict_loading_names_what_was_expected() -> None:
    model = encoder()
    weights = model.state_dict()
    weights["layers.0.attn.Wq.weight"] = weights.pop("layers.0.attn.Wqkv.weight")
    weights["final_norm.weight"] = torch.ones(25)
    with pytest.raises(RuntimeError) as failed:
        model.load_state_dict(weights)
    message = str(failed.value)
    assert 'Missing key(s) in state_dict: "layers.0.attn.Wqkv.weight"' in message
    assert 'Unexpected key(s) in state_dict: "layers.0.attn.Wq.weight"' in message
    assert "shape torch.Size([25]) from checkpoint, the shape in current model is torch.Size([24])" in message
