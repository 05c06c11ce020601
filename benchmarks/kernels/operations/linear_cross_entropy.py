"""The operation `linear_cross_entropy`: a linear layer and the cross-entropy of its logits at chosen
positions.

Shapes: T tokens, K chosen ones, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels import linear_cross_entropy

from ..operation import (
    COMPILE,
    Amount,
    Backend,
    Case,
    Composed,
    Contender,
    DeviceKind,
    Inputs,
    Prepared,
    eager_and_compiled,
    in_direction,
    our_contenders,
    peer,
    random_normal,
)
from ..record import Direction

IGNORE = -100

# Logits of the exact result that are computed at a time: 2 GiB in fp64.
_LARGEST_LOGITS = 2**28


@dataclass(frozen=True)
class LossCase(Case):
    """A masked-LM head's loss.

    Attributes:
        n_tokens: T.
        n_selected: K; all tokens where it is T.
        width: C.
        vocabulary: V.
    """

    n_tokens: int
    n_selected: int
    width: int
    vocabulary: int

    @property
    def selective(self) -> bool:
        """Whether some positions have no target."""
        return self.n_selected < self.n_tokens

    def tiny(self) -> LossCase:
        """A handful of tokens and words."""
        kept = 2 if self.selective else 8
        return LossCase(f"tiny {kept}", "tiny", 8, kept, 16, 32)


class LinearCrossEntropy(Composed[LossCase]):
    """The operation `linear_cross_entropy`.

    The backward pass is not measured alone: fused implementations compute the gradients in the forward pass,
    where they have the logits.
    """

    name = "linear_cross_entropy"
    directions = ("forward", "forward+backward")
    gpu_seconds = 45.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[LossCase]:
        """15% of the positions chosen, as in masked language models; and all, as in causal ones."""
        if quick:
            return [_case(0.15, 512, 128, 4096)]
        if kind == "cpu":
            return [
                _case(0.15, 2048, 256, 16_384, compiled=COMPILE),
                _case(1, 256, 256, 16_384, compiled=COMPILE),
                _case(0.15, 1024, 256, 65_536),
                _case(0.15, 1024, 256, 250_002),
            ]
        return [
            _case(0.15, 8192, 768, 250_002, compiled=COMPILE),
            _case(1, 4096, 768, 250_002),
            _case(1, 4096, 768, 131_072, compiled=COMPILE),
            *(_case(0.15, 8192, 768, size) for size in (131_072, 65_536, 32_768, 16_384)),
            *(_case(1, 4096, 768, size) for size in (65_536, 32_768, 16_384)),
            _case(0.15, 8192, 256, 250_002),
            _case(0.15, 8192, 1024, 250_002),
        ]

    def contenders(self) -> Sequence[Contender[LossCase]]:
        """Ours, the formula over all and over the chosen positions, Liger's, Apple's."""
        return [
            *our_contenders(_ours),
            Contender("eager full logits", _eager_full),
            *eager_and_compiled(self.define),
            Contender("liger", _liger, "liger-kernel"),
            Contender("cut-cross-entropy", _cut, "cut-cross-entropy"),
        ]

    def draw(self, case: LossCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw hidden (T, C), weight (V, C), for logits of spread 2; selected and targets (K,) int64."""
        normal = random_normal(seed, dtype, device)
        generator = torch.Generator(device).manual_seed(seed)
        order = torch.randperm(case.n_tokens, generator=generator, device=device)
        targets = torch.randint(case.vocabulary, (case.n_selected,), generator=generator, device=device)
        leaves = {
            "hidden": normal(case.n_tokens, case.width),
            "weight": normal(case.vocabulary, case.width, scale=2 / case.width**0.5),
        }
        fixed = {"selected": order[: case.n_selected].sort().values, "targets": targets}
        return Inputs(leaves, fixed, {"loss": torch.ones((), device=device)})

    def truth(self, case: LossCase, inputs: Inputs) -> dict[str, Tensor]:
        """Results and gradients by the equations in fp64, some rows at a time."""
        exact = inputs.double()
        hidden, weight = exact.leaves["hidden"], exact.leaves["weight"]
        selected, targets = exact.fixed["selected"], exact.fixed["targets"]
        loss = hidden.new_zeros(())
        grad_hidden, grad_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
        size = max(1, _LARGEST_LOGITS // case.vocabulary)
        for rows, wanted in zip(selected.split(size), targets.split(size), strict=True):
            logits = hidden[rows] @ weight.T
            loss += functional.cross_entropy(logits, wanted, reduction="sum") / case.n_selected
            share = torch.softmax(logits, dim=-1)
            share[torch.arange(len(rows), device=rows.device), wanted] -= 1
            share /= case.n_selected
            grad_hidden[rows] = share @ weight
            grad_weight += share.T @ hidden[rows]
        return {"loss": loss, "dhidden": grad_hidden, "dweight": grad_weight}

    def define(self, case: LossCase, inputs: Inputs) -> Prepared:
        """Logits for the chosen positions."""
        return _of_rows(case, inputs, _eager)

    def amount(self, case: LossCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """One product forward, two backward, over the chosen rows; each tensor is read or written once."""
        product = 2.0 * case.n_selected * case.width * case.vocabulary
        weight, rows = case.vocabulary * case.width, case.n_selected * case.width
        hidden = case.n_tokens * case.width
        numbers = in_direction(direction, weight + rows, 2 * weight + rows + hidden)
        return Amount(in_direction(direction, product, 2 * product), numbers * dtype.itemsize)


def _case(
    share: float, n_tokens: int, width: int, vocabulary: int, *, compiled: tuple[str, ...] = ()
) -> LossCase:
    """A case with a target at some share of the positions."""
    sweep = f"{'all rows' if share == 1 else f'selected {share:.0%}'} C={width}"
    sizes = (n_tokens, round(share * n_tokens), width, vocabulary)
    return LossCase(f"{sweep} V={vocabulary}", sweep, *sizes, compiled=compiled)


def _ours(backend: Backend, case: LossCase, inputs: Inputs) -> Prepared:
    selected = inputs.fixed["selected"] if case.selective else None
    targets = inputs.fixed["targets"]

    def loss(hidden: Tensor, weight: Tensor) -> Tensor:
        return linear_cross_entropy(hidden, weight, targets, selected=selected, backend=backend)

    return inputs.prepared(loss)


def _eager_full(case: LossCase, inputs: Inputs) -> Prepared:
    """Logits for every position, as most trainers of masked language models compute them."""
    if not case.selective:
        raise NotImplementedError("all rows are chosen: the same as eager")
    everywhere = inputs.fixed["targets"].new_full((case.n_tokens,), IGNORE)
    everywhere[inputs.fixed["selected"]] = inputs.fixed["targets"]

    def loss(hidden: Tensor, weight: Tensor) -> Tensor:
        logits = _precise(functional.linear(hidden, weight))
        return functional.cross_entropy(logits, everywhere, ignore_index=IGNORE)

    return inputs.prepared(loss)


def _precise(logits: Tensor) -> Tensor:
    """The logits in fp32 at least: their log-sum-exp is inaccurate in half precision."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _eager(rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(_precise(functional.linear(rows, weight)), targets)


def _liger(case: LossCase, inputs: Inputs) -> Prepared:
    loss_of = peer("liger_kernel.transformers", "LigerFusedLinearCrossEntropyLoss")()
    return _of_rows(case, inputs, lambda rows, weight, targets: loss_of(weight, rows, targets))


def _cut(case: LossCase, inputs: Inputs) -> Prepared:
    return _of_rows(case, inputs, peer("cut_cross_entropy", "linear_cross_entropy"))


def _of_rows(case: LossCase, inputs: Inputs, loss_of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Prepared:
    """A loss of the chosen rows, the weight and the targets."""
    selected, targets = inputs.fixed["selected"], inputs.fixed["targets"]

    def loss(hidden: Tensor, weight: Tensor) -> Tensor:
        return loss_of(hidden[selected] if case.selective else hidden, weight, targets)

    return inputs.prepared(loss)
