"""A browser."""

from tests.browsing import browser, opened  # noqa: F401 - fixtures
