"""Who may be timed: those whose results and gradients are about as near to fp64 as plain PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch

from .accuracy import Yardstick, largest_errors, yardstick
from .operation import Case, Contender, Inputs, Operation, Prepared, solve, solve_forward
from .record import Record


class Judge:
    """Knows the truth of one case.

    Args:
        operation: whose case it is.
        case: the case.
        inputs: what everyone is given.
    """

    def __init__(self, operation: Operation[Any], case: Case, inputs: Inputs) -> None:
        self._operation, self._case, self._inputs = operation, case, inputs
        dtype = next(iter(inputs.leaves.values())).dtype
        self._true = operation.truth(case, inputs)
        self._yardstick = yardstick(operation.plain(case, inputs), self._true, dtype)

    def examine(self, contender: Contender[Any], blank: Record) -> tuple[Prepared | None, list[Record]]:
        """Get a contender ready, and hold its results and gradients against the truth.

        Args:
            contender: who.
            blank: its record so far.

        Returns:
            The contender ready to be timed, or None if it cannot do the case at all; and a record for each
            direction with its errors, or with the reason why there will be no time.
        """
        records = {each: replace(blank, direction=each) for each in self._operation.directions}
        trained = [each for each in records if each != "forward"]
        try:
            prepared = self._prepare(contender)
            errors = largest_errors(solve_forward(prepared), self._true)
            if "forward" in records:
                records["forward"] = verdict(records["forward"], errors, prepared.results, self._yardstick)
        except Exception as error:  # whatever a peer may raise, the others go on
            return None, [ended(record, error) for record in records.values()]
        try:
            if trained:
                if contender.requires is not None:
                    prepared = self._prepare(contender)
                errors = largest_errors(solve(prepared), self._true)
                for each in trained:
                    names = (*(prepared.results if each != "backward" else ()), *prepared.gradients)
                    records[each] = verdict(records[each], errors, names, self._yardstick)
        except Exception as error:
            records |= {each: ended(records[each], error) for each in trained}
        return prepared, list(records.values())

    def _prepare(self, contender: Contender[Any]) -> Prepared:
        """Packages from elsewhere may write into their inputs: they get copies, fresh ones for each look."""
        inputs = self._inputs if contender.requires is None else self._inputs.copy()
        prepared: Prepared = contender.prepare(self._case, inputs)
        return prepared


def verdict(record: Record, errors: Mapping[str, float], names: Sequence[str], by: Yardstick) -> Record:
    """Fill in the errors, and whether they are too large."""
    multiple, worst = by.multiple(errors, names)
    passes = by.passes(errors, names)
    return replace(
        record,
        status="ok" if passes else "wrong",
        note="" if passes else f"{worst} is {multiple:.3g} times as far from fp64 as plain PyTorch",
        error=errors[worst] if math.isfinite(errors[worst]) else None,
        error_multiple=multiple if math.isfinite(multiple) else None,
    )


def ended(record: Record, error: Exception) -> Record:
    """Why there are no times: it says itself that it cannot do this, or it broke down."""
    status: Literal["unsupported", "failed"] = (
        "unsupported" if isinstance(error, NotImplementedError) else "failed"
    )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    note = lines[0][:300] if lines else type(error).__name__
    if isinstance(error, torch.OutOfMemoryError):
        note = "out of memory"
    return replace(record, status=status, note=note, error=None, error_multiple=None)
