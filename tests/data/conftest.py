"""Token shards in memory for the tests of data."""

from tests.synthetic_shards import make_shards  # noqa: F401 - a fixture
