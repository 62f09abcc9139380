"""The flow suite, word for word, on the template as it is deployed."""

from tests.flow.test_directcall_over_http import *  # noqa: F403 - the same
from tests.flow.test_over_http import *  # noqa: F403 - all of its tests, and the fixtures they use
