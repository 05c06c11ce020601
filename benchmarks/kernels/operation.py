"""What the bench needs to know of an operation: cases, implementations, exact results, amount of work.

Each file in `operations/` describes one operation. `run.run` measures all of them in the same way.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import torch
from torch import Tensor

from .record import Direction

DeviceKind = Literal["cuda", "cpu"]
Backend = Literal["triton", "torch"]
ALL_DIRECTIONS: tuple[Direction, ...] = ("forward", "backward", "forward+backward")

# For cases with the compiled composition, and no other implementation that compiles.
COMPILE = ("torch.compile",)


@dataclass(frozen=True)
class Case:
    """One problem to be solved. Each operation has a subclass with its sizes and options.

    Attributes:
        name: its name in tables and records, unique within the operation.
        sweep: the cases it is drawn with; along a sweep one number grows.
        compiled: implementations that compile for each shape, which takes seconds, and are measured here.
        smallest: numbers of a case with hardly any work, by name.
    """

    name: str
    sweep: str
    compiled: tuple[str, ...] = field(default=(), kw_only=True)
    smallest: ClassVar[Mapping[str, Any]] = {}

    @property
    def shape(self) -> dict[str, int | float | str | bool]:
        """Its numbers and options by name, for a record; options that are None are left out."""
        own = [each.name for each in fields(self) if each.name not in ("name", "sweep", "compiled")]
        values = {name: getattr(self, name) for name in own}
        return {name: value for name, value in values.items() if value is not None}

    def tiny(self) -> Self:
        """The same with hardly any work, so that its time on a CPU is the cost of a call."""
        tiny = replace(self, sweep="tiny", compiled=(), **self.smallest)
        return replace(tiny, name=f"tiny {' '.join(map(str, tiny.shape.values()))}")


C = TypeVar("C", bound=Case)


@dataclass(frozen=True)
class Inputs:
    """The inputs of every implementation.

    Attributes:
        leaves: tensors with a gradient, by name.
        fixed: tensors without one.
        grads: the gradient of each result, by the result's name; none for results without one.
        derived: tensors that several implementations compute alike, such as padded copies. They are shared,
            because a GPU could not hold one for each.
    """

    leaves: Mapping[str, Tensor]
    fixed: Mapping[str, Tensor]
    grads: Mapping[str, Tensor]
    derived: dict[str, Tensor] = field(default_factory=dict)

    def double(self) -> Inputs:
        """The same numbers in fp64; integers stay."""
        return self._each(lambda x: x.double() if x.is_floating_point() else x)

    def copy(self) -> Inputs:
        """The same in memory of its own, for implementations that write into their inputs."""
        return self._each(Tensor.clone)

    def prepared(self, call: Callable[..., Tensor | tuple[Tensor, ...]]) -> Prepared:
        """A function of the leaves, whose results are those that have a gradient, in their order."""
        return Prepared(call, self.leaves, list(self.grads.values()), list(self.grads))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        every = (self.leaves, self.fixed, self.grads)
        return Inputs(*({name: change(x) for name, x in tensors.items()} for tensors in every))


def _as_it_is(name: str, value: Tensor) -> Tensor:
    return value


@dataclass(frozen=True)
class Prepared:
    """An implementation ready to run on one case.

    Attributes:
        call: takes the leaves in their order; returns one result, or a tuple of them.
        leaves: the inputs' leaves, in the implementation's layout.
        grads: a gradient for each result, in the same layout; empty where there is no backward pass.
        results: names of the results.
        restore: brings a result or a leaf's gradient, given by its name (`out`, `dq`), back to the layout of
            the inputs.
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
        name: its name in tables and records.
        prepare: gets it ready for a case and its inputs. Work that a training step does once for all layers
            (masks, boundaries) is done here and not timed. Raises NotImplementedError, with the reason, for
            what it cannot do.
        requires: the distribution that it comes from; None for PyTorch's and our own.
        compiled: it compiles for each shape, and is measured only in cases that name it.
    """

    name: str
    prepare: Callable[[C, Inputs], Prepared]
    requires: str | None = None
    compiled: bool = False


@dataclass(frozen=True)
class Amount:
    """Useful work of one call: what the case needs, not what an implementation does.

    Attributes:
        flops: floating-point operations of matrix products; elementwise ones are not counted, as usual.
        bytes: every input read once, every result written once.
    """

    flops: float
    bytes: float


class Operation(ABC, Generic[C]):
    """One operation, as the bench sees it.

    Attributes:
        name: of it in records.
        directions: which passes are timed.
        gpu_seconds: about how long all its cases take on a GPU of today, compilation included.
    """

    name: str
    directions: tuple[Direction, ...] = ALL_DIRECTIONS
    gpu_seconds: float

    @abstractmethod
    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[C]:
        """The cases for a kind of device, the most important first; with `quick` a few that take seconds."""

    @abstractmethod
    def contenders(self) -> Sequence[Contender[C]]:
        """All implementations, ours first. Those that cannot run here say so when they are prepared."""

    @abstractmethod
    def draw(self, case: C, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Random inputs, the same for the same seed on the same kind of device."""

    @abstractmethod
    def truth(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """Every result and gradient in fp64, from the inputs as rounded."""

    @abstractmethod
    def plain(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """The same by plain PyTorch in the inputs' dtype. Its errors are the measure for all others."""

    @abstractmethod
    def amount(self, case: C, dtype: torch.dtype, direction: Direction) -> Amount:
        """The work of one call."""


class Composed(Operation[C]):
    """An operation that a few lines of plain PyTorch define. They are also two of the implementations."""

    @abstractmethod
    def define(self, case: C, inputs: Inputs) -> Prepared:
        """The composition in plain PyTorch, differentiable, in whatever dtype the inputs have."""

    def truth(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """The composition in fp64."""
        return solve(self.define(case, inputs.double()))

    def plain(self, case: C, inputs: Inputs) -> dict[str, Tensor]:
        """The composition as it is."""
        return solve(self.define(case, inputs))


class Layer(Composed[C]):
    """A composition whose time is that of its memory traffic, with a fused kernel of ours and maybe of Liger.

    Attributes:
        liger: prepares Liger's kernel; None where it has none.
    """

    liger: Callable[[C, Inputs], Prepared] | None = None

    @abstractmethod
    def ours(self, backend: Backend, case: C, inputs: Inputs) -> Prepared:
        """Our kernel."""

    @abstractmethod
    def traffic(self, case: C) -> tuple[int, int]:
        """How many numbers the forward and the backward pass read and write."""

    def contenders(self) -> Sequence[Contender[C]]:
        """Ours, the composition as it is and compiled, and Liger's."""
        found = [*our_contenders(self.ours), *eager_and_compiled(self.define)]
        return found if self.liger is None else [*found, Contender("liger", self.liger, "liger-kernel")]

    def amount(self, case: C, dtype: torch.dtype, direction: Direction) -> Amount:
        """The bytes of all numbers; elementwise operations are not counted."""
        return Amount(0.0, in_direction(direction, *self.traffic(case)) * dtype.itemsize)


def eager_and_compiled(define: Callable[[C, Inputs], Prepared]) -> list[Contender[C]]:
    """`eager`: a composition in plain PyTorch; `torch.compile`: the same, compiled for each shape."""

    def compiled(case: C, inputs: Inputs) -> Prepared:
        prepared = define(case, inputs)
        return replace(prepared, call=torch.compile(prepared.call, fullgraph=True, dynamic=False))

    return [Contender("eager", define), Contender("torch.compile", compiled, compiled=True)]


def our_contenders(prepare: Callable[[Backend, C, Inputs], Prepared], what: str = "") -> list[Contender[C]]:
    """Our backends that are meant to be fast: `xformer triton` and `xformer torch`, with `what` behind it."""
    backends: tuple[Backend, ...] = ("triton", "torch")
    return [Contender(f"xformer {name}{what}", partial(prepare, name)) for name in backends]


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
    """A function or a class of an optional package."""
    return getattr(importlib.import_module(module), name)


def in_direction(direction: Direction, forward: float, backward: float) -> float:
    """The amount of a direction, given those of both passes."""
    return {"forward": forward, "backward": backward, "forward+backward": forward + backward}[direction]
