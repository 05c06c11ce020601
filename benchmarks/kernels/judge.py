"""The error check of the bench: only implementations that keep the fp64 rule are timed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from xformer.kernels.testing import RATIO, ROUNDING, Error, distances, largest

from .operation import Case, Contender, Inputs, Operation, Prepared, solve, solve_forward
from .record import Record


class Judge:
    """Judges implementations of one case by their errors against fp64.

    Args:
        operation: the operation.
        case: one of its cases.
        inputs: the inputs that all implementations get.
    """

    def __init__(self, operation: Operation[Any], case: Case, inputs: Inputs) -> None:
        self._operation, self._case, self._inputs = operation, case, inputs
        self._half = torch.finfo(next(iter(inputs.leaves.values())).dtype).eps / 2
        self._exact = operation.truth(case, inputs)
        self._eager = distances(operation.plain(case, inputs), self._exact)

    def examine(self, contender: Contender[Any], blank: Record) -> tuple[Prepared | None, list[Record]]:
        """Prepare a contender, and compare its results and gradients with fp64.

        Args:
            contender: the implementation.
            blank: its record so far.

        Returns:
            The contender ready to be timed, or None if it cannot do the case at all; and a record for each
            direction with its errors, or with the reason why it is not timed.
        """
        records = {each: replace(blank, direction=each) for each in self._operation.directions}
        trained = [each for each in records if each != "forward"]
        try:
            prepared = self._prepare(contender)
            errors = self.errors(solve_forward(prepared))
            if "forward" in records:
                records["forward"] = verdict(records["forward"], errors, prepared.results, self._half)
        except Exception as error:  # whatever a peer may raise, the others go on
            return None, [ended(record, error) for record in records.values()]
        try:
            if trained:
                if contender.requires is not None:
                    prepared = self._prepare(contender)
                errors = self.errors(solve(prepared))
                for each in trained:
                    names = (*(prepared.results if each != "backward" else ()), *prepared.gradients)
                    records[each] = verdict(records[each], errors, names, self._half)
        except Exception as error:
            records |= {each: ended(records[each], error) for each in trained}
        return prepared, list(records.values())

    def errors(self, found: Mapping[str, Tensor]) -> dict[str, Error]:
        """Errors by name. Rounding each of both results to the inputs' dtype is allowed."""
        rounding = ROUNDING + RATIO * self._half
        return {
            name: Error(off, self._eager[name], largest(self._exact[name]), rounding)
            for name, off in distances(found, self._exact).items()
        }

    def _prepare(self, contender: Contender[Any]) -> Prepared:
        """Third-party packages may write into their inputs, so that they get fresh copies each time."""
        inputs = self._inputs if contender.requires is None else self._inputs.copy()
        prepared: Prepared = contender.prepare(self._case, inputs)
        return prepared


def verdict(record: Record, errors: Mapping[str, Error], names: Sequence[str], half: float) -> Record:
    """Fill in the errors, and whether they are too large.

    Args:
        record: the record.
        errors: error of each result and gradient.
        names: the results and gradients that count.
        half: half a unit in the last place of 1 in the inputs' dtype.
    """
    multiple, worst = worst_multiple(errors, names, half)
    passes = all(errors[name].passes for name in names)
    return replace(
        record,
        status="ok" if passes else "wrong",
        note="" if passes else f"{worst} is {multiple:.3g} times as far from fp64 as plain PyTorch",
        error=errors[worst].found if math.isfinite(errors[worst].found) else None,
        error_multiple=multiple if math.isfinite(multiple) else None,
    )


def worst_multiple(errors: Mapping[str, Error], names: Sequence[str], half: float) -> tuple[float, str]:
    """The largest error as a multiple of PyTorch's, and its name; NaN counts as infinite.

    PyTorch's error counts as at least `half` of the largest exact value, which rounding alone may cost.
    """
    worst, where = 0.0, names[0]
    for name in names:
        error = errors[name]
        unit = max(error.eager, half * error.largest)
        # Where all exact values are 0, only an error of 0 will do.
        multiple = error.found / unit if unit else (0.0 if error.found == 0 else math.inf)
        multiple = math.inf if math.isnan(multiple) else multiple
        if multiple > worst:
            worst, where = multiple, name
    return worst, where


def ended(record: Record, error: Exception) -> Record:
    """The record of a contender that is not timed: it does not support the case, or it failed."""
    status: Literal["unsupported", "failed"] = (
        "unsupported" if isinstance(error, NotImplementedError) else "failed"
    )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    note = lines[0][:300] if lines else type(error).__name__
    if isinstance(error, torch.OutOfMemoryError):
        note = "out of memory"
    return replace(record, status=status, note=note, error=None, error_multiple=None)
