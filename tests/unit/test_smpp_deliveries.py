"""A reply as deliver_sm, however long it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.costcentre import CostCentre
from recado.dialects.smpp_deliveries import deliver_body
from recado.mailbox import MailedReply
from recado.smpp import pdu
from recado.smpp.text import decoded

_MOST = 0xFFFE  # octets of message_payload, in whole units of UCS-2


def shown(text: str) -> str:
    """What its customer reads."""
    mailed = MailedReply("5534998887755", "27000", text, 0.0, "m1")
    cost_centre = CostCentre(id="c1", name="ana", created_at=0.0)
    message = pdu.read_message(deliver_body(mailed, cost_centre))
    return decoded(message.payload, message.data_coding)


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("a" * 40_000 + "\u0416", _MOST // 2),  # one letter that GSM 03.38 lacks
        ("a" + "\U0001f600" * 20_000, 1 + 16_383),
        ("\U0001f600" * 20_000, 16_383),  # not half of a pair
        ("a" * 70_000, _MOST),
        ("a" * (_MOST - 1) + "\u20ac", _MOST - 1),  # not half of a character of two septets
    ],
)
def test_of_a_reply_that_is_too_long_for_any_pdu_its_beginning_goes(
    text: str, characters: int
) -> None:
    assert shown(text) == text[:characters]


@given(st.text(st.sampled_from("a\u20ac\u00e3\U0001f600"), max_size=300))
def test_a_reply_is_told_as_it_was_written(text: str) -> None:
    assert shown(text) == text
