"""A run that is trained, on a synthetic corpus."""

from tests.synthetic_runs import (  # noqa: F401 - fixtures
    _one_thread,
    _signals_are_heard,
    begin,
    config,
    corpus,
    prepared,
    trained,
)
