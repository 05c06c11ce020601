"""Synthetic corpora as token shards in memory, and a browser."""

from tests.browsing import browser, opened  # noqa: F401 - fixtures
from tests.synthetic_shards import make_shards, parallel_test, parallel_train, tiny_model  # noqa: F401 - fixtures
