"""A browser, and pages shown in it."""

from tests.browsing import browser, opened  # noqa: F401 - fixtures
from tests.inspect.page.shown import show  # noqa: F401 - a fixture
