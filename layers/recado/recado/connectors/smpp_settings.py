"""The settings of an SMSC that we bind to, and what they say of messages and of binds.

They are checked here once more: a record may have been written by another hand than ours.
"""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Literal, TypeVar, cast

from msgspec import Struct

from recado.connectors import Setting, Upstream
from recado.errors import Misconfigured
from recado.segments import GSM7_SIZES, UCS2_SIZES
from recado.smpp.receipt import IdForm
from recado.smpp.text import Alphabet

T = TypeVar("T")

_YES_NO = "yes|no"
_BYTE = r"\d{1,2}|1\d\d|2[0-4]\d|25[0-5]"
_ID_FORM = "text|hex|decimal"
_PORT = "2775"
# What fits a segment of text that GSM-7 has: septets, octets where an SMSC reads those as Latin-1,
# and units of UCS-2, as many as it has septets or fewer.
_SIZES = {"gsm": GSM7_SIZES, "latin1": (140, 134), "ucs2": UCS2_SIZES}

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "host": Setting(
            "the SMSC's name or address, such as smsc.example.com", needed=True, form=r"[^\s/]+"
        ),
        "port": Setting(f"its port: {_PORT} unless set", form=r"[1-9]\d{0,4}"),
        "tls": Setting("yes or no (unless set): whether to speak TLS with it", form=_YES_NO),
        "ca": Setting(
            "a file of certificates (PEM) to trust in place of the system's, for TLS: /etc/smsc.pem"
        ),
        "system_id": Setting("who we are to it: 15 characters", needed=True, form=r"[ -~]{1,15}"),
        # By the book 8 characters; some SMSCs hand out longer ones, and take them.
        "password": Setting("our password there: 8 characters", secret=True, form=r"[ -~]{1,64}"),
        "system_type": Setting("what it wants to be told so, such as VMA", form=r"[ -~]{1,12}"),
        "bind_mode": Setting(
            "transceiver (unless set), or separate: a transmitter and a receiver each",
            form="transceiver|separate",
        ),
        "binds": Setting("how many at once: 1 unless set", form=r"[1-9]\d?"),
        "window": Setting(
            "messages without an answer that a bind may have: 50 unless set", form=r"[1-9]\d{0,3}"
        ),
        "per_second": Setting(
            "messages a second over all binds together: 0 (unless set) is without limit",
            form=r"\d{1,5}",
        ),
        "enquire": Setting(
            "seconds of silence until enquire_link: 30 unless set", form=r"[1-9]\d{0,3}"
        ),
        "source": Setting(
            "who every message is from; unless set, whom its customer names", form=r"[ -~]{1,20}"
        ),
        "source_ton": Setting("its type of number; unless set, by its look", form=_BYTE),
        "source_npi": Setting("its numbering plan; unless set, by its look", form=_BYTE),
        "dest_ton": Setting("type of number of the destination: 1 unless set", form=_BYTE),
        "dest_npi": Setting("numbering plan of the destination: 1 unless set", form=_BYTE),
        "encoding": Setting(
            "what data_coding 0 means there: gsm (unless set), latin1, or ucs2: never use it",
            form="gsm|latin1|ucs2",
        ),
        "long": Setting(
            "how long texts go: udh (unless set), sar, or payload: whole, for it to split",
            form="udh|sar|payload",
        ),
        "receipts": Setting("yes (unless set) or no: whether to ask for them", form=_YES_NO),
        "validity": Setting(
            "yes (unless set) or no: whether to say how long it may go on trying", form=_YES_NO
        ),
        "id_in_answer": Setting(
            "how submit_sm_resp writes ids: text (unless set), hex or decimal", form=_ID_FORM
        ),
        "id_in_receipt": Setting(
            "how a receipt's text writes them: text (unless set), hex or decimal", form=_ID_FORM
        ),
        "service_type": Setting("what it wants to be told so, such as CMT", form=r"[ -~]{1,5}"),
    }
)


class Terms(Struct, frozen=True, kw_only=True):
    """What the settings say of messages."""

    source: str
    source_ton: int | None  # None: by its look
    source_npi: int | None
    dest_ton: int
    dest_npi: int
    encoding: Literal["gsm", "latin1", "ucs2"]
    alphabet: Alphabet  # that of what we send with data_coding 0
    gsm7_sizes: tuple[int, int]  # what fits a single segment of a text that GSM-7 has, or a part
    long: Literal["udh", "sar", "payload"]
    registered: int
    validity: bool
    id_in_answer: IdForm
    id_in_receipt: IdForm
    service_type: str


class Dialling(Struct, frozen=True, kw_only=True):
    """What the settings say of binds, as far as a bind has to be made anew where it changes."""

    host: str
    port: int
    tls: bool
    ca: str
    system_id: str
    system_type: str
    separate: bool
    enquire: float


class Measure(Struct, frozen=True, kw_only=True):
    """What they say of how many and how much."""

    binds: int
    window: int
    per_second: int


def once_a_reading(read: Callable[[Upstream], T]) -> Callable[[Upstream], T]:
    """What `read` makes of an upstream's settings, made once for each reading of the configuration
    and not once a message."""
    seen: dict[str, tuple[Upstream, T]] = {}

    @wraps(read)
    def found(upstream: Upstream) -> T:
        last = seen.get(upstream.name)
        if last is None or last[0] is not upstream:
            last = seen[upstream.name] = upstream, read(upstream)
        return last[1]

    return found


@once_a_reading
def terms_of(upstream: Upstream) -> Terms:
    """Raises Misconfigured on a value that makes no sense."""
    said = upstream.settings
    ton, npi = _value(said, "source_ton", ""), _value(said, "source_npi", "")
    encoding = cast(Literal["gsm", "latin1", "ucs2"], _value(said, "encoding", "gsm"))
    return Terms(
        source=_value(said, "source", ""),
        source_ton=int(ton) if ton else None,
        source_npi=int(npi) if npi else None,
        dest_ton=int(_value(said, "dest_ton", "1")),
        dest_npi=int(_value(said, "dest_npi", "1")),
        encoding=encoding,
        alphabet="latin1" if encoding == "latin1" else "gsm",
        gsm7_sizes=_SIZES[encoding],
        long=cast(Literal["udh", "sar", "payload"], _value(said, "long", "udh")),
        registered=int(_value(said, "receipts", "yes") == "yes"),
        validity=_value(said, "validity", "yes") == "yes",
        id_in_answer=cast(IdForm, _value(said, "id_in_answer", "text")),
        id_in_receipt=cast(IdForm, _value(said, "id_in_receipt", "text")),
        service_type=_value(said, "service_type", ""),
    )


def dialling_of(upstream: Upstream) -> Dialling:
    """Raises Misconfigured on a value that makes no sense, or on one that is missing."""
    said = upstream.settings
    port = int(_value(said, "port", _PORT))
    if port > 0xFFFF:
        raise Misconfigured("connector setting port is above 65535")
    return Dialling(
        host=_value(said, "host", None),
        port=port,
        tls=_value(said, "tls", "no") == "yes",
        ca=_value(said, "ca", ""),
        system_id=_value(said, "system_id", None),
        system_type=_value(said, "system_type", ""),
        separate=_value(said, "bind_mode", "transceiver") == "separate",
        enquire=float(_value(said, "enquire", "30")),
    )


def measure_of(upstream: Upstream) -> Measure:
    """Raises Misconfigured on a value that makes no sense."""
    said = upstream.settings
    return Measure(
        binds=int(_value(said, "binds", "1")),
        window=int(_value(said, "window", "50")),
        per_second=int(_value(said, "per_second", "0")),
    )


def _value(said: Mapping[str, str], name: str, usual: str | None) -> str:
    """What is set, or the usual; None: it has to be set."""
    value = said.get(name)
    if not value:
        if usual is None:
            raise Misconfigured(f"connector setting {name} is missing")
        return usual
    if not re.fullmatch(SETTINGS[name].form, value):
        raise Misconfigured(f"connector setting {name} makes no sense")
    return value
