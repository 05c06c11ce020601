"""What the bench has to know of an operation: cases, who takes part, what is right, how much work it is.

Each file in `operations/` describes one. `run.run` does the rest, the same way for all of them.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor

from .record import Direction

DeviceKind = Literal["cuda", "cpu"]
ALL_DIRECTIONS: tuple[Direction, ...] = ("forward", "backward", "forward+backward")

# For cases where the compiled composition takes part, and nobody else who compiles.
COMPILE = ("torch.compile",)


@dataclass(frozen=True)
class Case:
    """One problem to be solved. An operation's own kind of case adds its sizes and options.

    Attributes:
        name: how tables and records call it; no other case of the operation has it.
        sweep: what it is drawn with: along a sweep one number grows.
        compiled: which of the contenders that compile for each shape, and take seconds, take part.
    """

    name: str
    sweep: str
    compiled: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def shape(self) -> dict[str, int | float | str | bool]:
        """Its numbers and options by name, for a record; options that are None are left out."""
        own = [each.name for each in fields(self) if each.name not in ("name", "sweep", "compiled")]
        values = {name: getattr(self, name) for name in own}
        return {name: value for name, value in values.items() if value is not None}


C = TypeVar("C", bound=Case)


@dataclass(frozen=True)
class Inputs:
    """What everyone is given.

    Attributes:
        leaves: what gets a gradient, by name.
        fixed: what does not.
        grads: the gradient of each result, by the result's name; none for results without one.
        derived: what several contenders make of these alike, such as padded copies: room for it to be shared,
            since a GPU could not hold it for each.
    """

    leaves: Mapping[str, Tensor]
    fixed: Mapping[str, Tensor]
    grads: Mapping[str, Tensor]
    derived: dict[str, Tensor] = field(default_factory=dict)

    def double(self) -> Inputs:
        """The same numbers in fp64; integers stay."""
        return self._each(lambda x: x.double() if x.is_floating_point() else x)

    def copy(self) -> Inputs:
        """The same in memory of its own, for those who write into their inputs."""
        return self._each(Tensor.clone)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        every = (self.leaves, self.fixed, self.grads)
        return Inputs(*({name: change(x) for name, x in tensors.items()} for tensors in every))


def _as_it_is(name: str, value: Tensor) -> Tensor:
    return value


@dataclass(frozen=True)
class Prepared:
    """An implementation ready to run on one case.

    Attributes:
        call: takes the leaves' values in their order; gives one result, or a tuple of them.
        leaves: the inputs' leaves in the layout it takes.
        grads: a gradient for each result, in its layout; empty where there is no backward.
        results: the results' names.
        restore: brings a result or a leaf's gradient, given by its name (`out`, `dq`), back to the inputs'
            layout.
    """

    call: Callable[..., Tensor | tuple[Tensor, ...]]
    leaves: Mapping[str, Tensor]
    grads: Sequence[Tensor]
    results: Sequence[str]
    restore: Callable[[str, Tensor], Tensor] = _as_it_is

    def forward(self, leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The results, always a tuple."""
        found = self.call(*leaves)
        return found if isinstance(found, tuple) else (found,)

    @property
    def gradients(self) -> tuple[str, ...]:
        """The names of the gradients: `dq` for the leaf `q`."""
        return tuple(f"d{name}" for name in self.leaves) if self.grads else ()


@dataclass(frozen=True)
class Contender(Generic[C]):
    """An implementation.

    Attributes:
        name: how tables and records call it.
        prepare: gets it ready for a case and its inputs. What a training step makes once for all layers
            (masks, boundaries) is done here and not timed. Raises NotImplementedError, saying why, for what
            it cannot do.
        requires: the distribution that it comes from; None for PyTorch's and our own.
        compiled: it compiles for each shape, so it takes part only where a case names it.
    """

    name: str
    prepare: Callable[[C, Inputs], Prepared]
    requires: str | None = None
    compiled: bool = False


@dataclass(frozen=True)
class Amount:
    """Useful work of one call: what the case needs, whatever is done.

    Attributes:
        flops: floating-point operations; multiplications and additions of matrix products alone, as usual.
        bytes: every input read once, every result written once.
    """

    flops: float
    bytes: float


class Operation(ABC, Generic[C]):
    """One operation, as the bench sees it.

    Attributes:
        name: of it in records.
        directions: what is timed of it.
        gpu_seconds: what all its cases take on a GPU of today, about, compilation included.
    """

    name: str
    directions: tuple[Direction, ...] = ALL_DIRECTIONS
    gpu_seconds: float

    @abstractmethod
    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[C]:
        """What to measure on a kind of device, the most wanted first; `quick` for a look in seconds."""

    @abstractmethod
    def contenders(self) -> Sequence[Contender[C]]:
        """All there are, ours first. Which of them can run here shows when they are asked."""

    @abstractmethod
    def draw(self, case: C, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Random inputs, the same for the same seed on the same kind of device."""

    @abstractmethod
    def truth(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """Every result and gradient in fp64, from the inputs as rounded."""

    @abstractmethod
    def plain(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """The same by plain PyTorch in the inputs' dtype: the yardstick of what error is to be expected."""

    @abstractmethod
    def amount(self, case: C, dtype: torch.dtype, direction: Direction) -> Amount:
        """How much work one call is."""

    @abstractmethod
    def tiny(self, case: C) -> C:
        """The same with next to nothing to do, so that a CPU's time is what starting costs."""


class Composed(Operation[C]):
    """An operation that plain PyTorch writes down in a few lines: they define it, and are two contenders."""

    @abstractmethod
    def define(self, case: C, inputs: Inputs) -> Prepared:
        """The composition in plain PyTorch, differentiable, in whatever dtype the inputs have."""

    def truth(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """The composition in fp64."""
        return solve(self.define(case, inputs.double()))

    def plain(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """The composition as it is."""
        return solve(self.define(case, inputs))

    def composed(self) -> list[Contender[C]]:
        """`eager`: the composition; `torch.compile`: the same, compiled."""
        return [
            Contender("eager", self.define),
            Contender("torch.compile", lambda case, inputs: compiled(self.define(case, inputs)), None, True),
        ]


def compiled(prepared: Prepared) -> Prepared:
    """The same through `torch.compile`, for this shape."""
    call: Any = torch.compile(prepared.call, fullgraph=True, dynamic=False)
    return Prepared(call, prepared.leaves, prepared.grads, prepared.results, prepared.restore)


def solve(prepared: Prepared) -> dict[str, Tensor]:
    """Results and gradients by name, in the inputs' layout.

    A result without a gradient of its own is left out of the backward pass.
    """
    if not prepared.grads:
        return solve_forward(prepared)
    leaves = [x.detach().requires_grad_() for x in prepared.leaves.values()]
    results = prepared.forward(leaves)
    found = dict(zip(prepared.results, (x.detach() for x in results), strict=True))
    gradients = torch.autograd.grad(results, leaves, list(prepared.grads))
    found |= dict(zip(prepared.gradients, gradients, strict=True))
    return {name: prepared.restore(name, value) for name, value in found.items()}


def solve_forward(prepared: Prepared) -> dict[str, Tensor]:
    """The results alone, as without training."""
    with torch.no_grad():
        results = prepared.forward(list(prepared.leaves.values()))
    return {name: prepared.restore(name, x) for name, x in zip(prepared.results, results, strict=True)}


def random_normal(seed: int, dtype: torch.dtype, device: torch.device) -> Callable[..., Tensor]:
    """`normal(*shape, scale=1.0)`: normal numbers, drawn on the device, one sequence of them for a seed."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=generator, device=device) * scale).to(dtype)

    return normal


def peer(module: str, name: str) -> Any:
    """A function or a class of a package that need not be installed."""
    return getattr(importlib.import_module(module), name)


def our_backends() -> tuple[Literal["triton", "torch"], ...]:
    """Those of our backends that are meant to be fast."""
    return ("triton", "torch")
