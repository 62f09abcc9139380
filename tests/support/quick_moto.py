"""moto without what it works out again and again: half of the time that it takes.

It answers as ever: what is kept here depends on nothing but what it is kept by.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from unittest.mock import patch

from moto.core import responses
from moto.core.utils import camelcase_to_underscores, method_names_from_class, unix_time
from moto.sqs.models import Message, SQSBackend

# Names of actions and attributes, spelt in Python's way letter by letter at each request.
_spelt = cache(camelcase_to_underscores)
# What a class can answer, which is looked up by a tour of all that it has at each request.
_methods = cache(method_names_from_class)


def _is_retained(self: SQSBackend, queue_name: str, message: Message) -> bool:
    """As its own, which works out all of the queue's attributes for each message that is received,
    and for some of them looks at every message that is there."""
    retention: Any = self.get_queue(queue_name).message_retention_period  # type: ignore[attr-defined] # set by its name
    return bool(retention + message.sent_timestamp / 1000 > unix_time())  # type: ignore[operator] # set when it was sent


@contextlib.contextmanager
def quicker(milliseconds: Callable[[], float]) -> Iterator[None]:
    """`milliseconds`: the time, which it asks for so often, and so slowly, that a long queue takes
    it seconds."""
    with (
        patch("moto.sqs.models.unix_time_millis", milliseconds),
        patch("moto.sqs.models.camelcase_to_underscores", _spelt),
        patch.object(responses, "camelcase_to_underscores", _spelt),
        patch.object(responses, "method_names_from_class", _methods),
        patch.object(SQSBackend, "is_message_valid_based_on_retention_period", _is_retained),
    ):
        yield
