"""Descriptions of settings from the docstrings of their dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from xformer.storage.describe import Described, describe


@dataclass(frozen=True)
class _Inner:
    """A table.

    Attributes:
        rate (share): how much,
            over two lines. A second sentence: with a colon (and brackets).
    """

    rate: float = 0.5


@dataclass(frozen=True)
class _Outer:
    """Tables.

    Attributes:
        names: which of them.
        limit (bytes per step): the most; none for no limit.
        on: whether at all.
    """

    inner: _Inner = field(default_factory=_Inner)
    names: tuple[Literal["a", "b"], ...] = ("a",)
    limit: int | None = None
    on: bool = True


def test_name_type_default_unit_and_meaning_are_those_of_the_dataclass() -> None:
    assert list(describe(_Outer)) == [
        Described(
            "inner.rate", "number", (), False, 0.5, "share",
            "how much, over two lines. A second sentence: with a colon (and brackets).",
        ),
        Described("names", "list of choices", ("a", "b"), False, ("a",), "", "which of them."),
        Described("limit", "whole number", (), True, None, "bytes per step", "the most; none for no limit."),
        Described("on", "true or false", (), False, True, "", "whether at all."),
    ]  # fmt: skip


@dataclass(frozen=True)
class _Undocumented:
    """Without a section of attributes."""

    size: int = 1


@dataclass(frozen=True)
class _NoDefault:
    """A table.

    Attributes:
        size (rows): of it.
    """

    size: int


def test_what_is_not_documented_or_has_no_default_is_refused() -> None:
    with pytest.raises(ValueError, match="_Undocumented: expected size in the docstring"):
        list(describe(_Undocumented))
    with pytest.raises(ValueError, match="_NoDefault: expected a default of size"):
        list(describe(_NoDefault))
