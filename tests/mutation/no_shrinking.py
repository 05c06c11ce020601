"""A pytest plugin: hypothesis stops at the first failure, and draws the same examples each time.

A mutant is caught by any failure; looking for the smallest, in Triton's interpreter, takes minutes.
"""

from __future__ import annotations

import hypothesis
from hypothesis import Phase


def pytest_collection() -> None:
    """After `conftest.py` has chosen a profile, before test modules take their settings from it."""
    hypothesis.settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
    )
    hypothesis.settings.load_profile("mutants")
