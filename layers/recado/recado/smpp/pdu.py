"""PDUs: octets to records and back (section 4), for both ends of a session.

A PDU is a header of 16 octets and a body. Bodies are read only as far as somebody wants them; what
can't be read is a `Malformed`, which says the command_status that answers it.

This is the module to import: the numbers stand here, what they are for in `records`, `reading` and
`writing`.
"""

from recado.smpp.reading import (
    MOST_ID,
    read_bind,
    read_cancel,
    read_data,
    read_id,
    read_message,
    read_multi,
    read_query,
    read_replacement,
    split,
)
from recado.smpp.records import (
    HEADER,
    HEADER_SIZE,
    MESSAGE_PAYLOAD,
    MOST_TEXT,
    NOBODY,
    Address,
    Bind,
    Malformed,
    Multi,
    Pdu,
    Query,
    Replacement,
    ShortMessage,
    Tlvs,
)
from recado.smpp.writing import (
    bind_body,
    framed,
    id_body,
    message_body,
    multi_answer,
    query_answer,
    renumbered,
    tlv_octets,
)

__all__ = [
    "HEADER",
    "HEADER_SIZE",
    "MESSAGE_PAYLOAD",
    "MOST_ID",
    "MOST_TEXT",
    "NOBODY",
    "Address",
    "Bind",
    "Malformed",
    "Multi",
    "Pdu",
    "Query",
    "Replacement",
    "ShortMessage",
    "Tlvs",
    "bind_body",
    "framed",
    "id_body",
    "message_body",
    "multi_answer",
    "query_answer",
    "read_bind",
    "read_cancel",
    "read_data",
    "read_id",
    "read_message",
    "read_multi",
    "read_query",
    "read_replacement",
    "renumbered",
    "split",
    "tlv_octets",
]

LAST_SEQUENCE = 0x7FFFFFFF

GENERIC_NACK = 0x80000000
RESPONSE = 0x80000000  # set in the id of every response
BIND_RECEIVER = 0x01
BIND_TRANSMITTER = 0x02
QUERY_SM = 0x03
SUBMIT_SM = 0x04
DELIVER_SM = 0x05
UNBIND = 0x06
REPLACE_SM = 0x07
CANCEL_SM = 0x08
BIND_TRANSCEIVER = 0x09
OUTBIND = 0x0B
ENQUIRE_LINK = 0x15
SUBMIT_MULTI = 0x21
ALERT_NOTIFICATION = 0x102
DATA_SM = 0x103

BINDS = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})

# Optional parameters (section 5.3.2).
USER_MESSAGE_REFERENCE = 0x0204
SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
SC_INTERFACE_VERSION = 0x0210
QOS_TIME_TO_LIVE = 0x0017
RECEIPTED_MESSAGE_ID = 0x001E
NETWORK_ERROR_CODE = 0x0423
MESSAGE_STATE = 0x0427

UDHI = 0x40  # of esm_class: the short message begins with a user data header (5.2.12)
RECEIPT = 0x04  # of esm_class in deliver_sm: an SMSC delivery receipt
TYPE_MASK = 0x3C
