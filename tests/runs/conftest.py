"""Small runs on a synthetic corpus."""

from tests.synthetic_runs import (  # noqa: F401 - fixtures
    _no_picture,
    _one_thread,
    _signals_are_heard,
    begin,
    config,
    corpus,
    listening,
    make_corpus,
    prepared,
)
