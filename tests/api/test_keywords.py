"""Arguments of other libraries are refused with the names that are meant."""

from __future__ import annotations

import pytest

from xformer.api.keywords import refuse
from xformer.errors import InputError

KNOWN = ("normalise", "batch_tokens", "progress", "as_tensor")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("batch_size", "batch_tokens"),
        ("show_progress_bar", "progress"),
        ("normalize_embeddings", "normalise"),
        ("convert_to_tensor", "as_tensor"),
        ("prompt", "unknown"),
    ],
)
def test_what_is_meant_is_named(name: str, meant: str) -> None:
    message = rf"^{name}: .*{meant}.*\. Expected normalise, batch_tokens, progress or as_tensor$"
    with pytest.raises(InputError, match=message):
        refuse({name: 1}, KNOWN)


def test_all_are_named_and_none_is_fine() -> None:
    refuse({}, KNOWN)
    with pytest.raises(InputError, match=r"^batch_size: .*; x: unknown\. Expected"):
        refuse({"batch_size": 32, "x": None}, KNOWN)
