"""Synthetic corpora as token shards in memory."""

from tests.synthetic_shards import make_shards, parallel_test, parallel_train, tiny_model  # noqa: F401 - fixtures
