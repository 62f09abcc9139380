"""What is on its way in: submissions and the packets that they become."""

from recado.message import encode
from recado.submission import Recipient, Submission, packet_of

FULL = Submission(
    cost_centre="ana",
    dialect="smpp",
    accepted_at=1_780_000_000.5,
    due_at=1_780_000_060.25,
    expires_at=1_780_086_460.25,
    recipients=(Recipient("id", "+5534998887755", "5534998887755", "oi", 1, 2, "r-1"),),
    batch_id="batch",
    text="common",
    segments=3,
    units=4,
    voice=True,
    source="5511",
    udh="050003010201",
    registered=1,
    fields={"Campo": "x"},
    price=700,
)
SCARCE = Submission("ana", "zoug", 1.0, 2.0, 3.0, FULL.recipients)


def test_a_submission_in_line_is_written_as_the_packet_of_all_its_recipients() -> None:
    """So one that is a single message goes to its queue as it is."""
    for submission in (FULL, SCARCE):
        assert encode(submission) == encode(packet_of(submission, submission.recipients))
