"""Three SMPP clients that we did not write, made alike: smpplib, aiosmpplib and smpp34.

Each is used as its own users do: smpplib, which blocks, in a thread; aiosmpplib with a hook; smpp34
by its events, which may come in any order. What they show is what they have read.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeAlias

import aiosmpplib as aio  # type: ignore[import-untyped]  # ships no type information
import smpp34
import smpplib.client  # type: ignore[import-untyped]  # ships no type information
import smpplib.gsm  # type: ignore[import-untyped]  # ships no type information
import smpplib.smpp  # type: ignore[import-untyped]  # ships no type information
from msgspec import Struct, field

LIBRARIES = ("smpplib", "aiosmpplib", "smpp34")
MODES = ("transmitter", "receiver", "transceiver")
SOURCE = "27000"
PATIENCE = 30.0
GSM, LATIN1, UCS2 = 0, 3, 8

_SMPP34_MODES = {"transmitter": "TX", "receiver": "RX", "transceiver": "TRX"}
_AIO_NAMES = {GSM: None, LATIN1: "latin_1", UCS2: "ucs2"}
# Appendix B, letter by letter.
_receipt = re.compile(
    r"id:(?P<id>\S+) sub:001 dlvrd:(?P<dlvrd>00[01]) submit date:(?P<submitted>\d{10})"
    r" done date:(?P<done>\d{10}) stat:(?P<stat>[A-Z]{7}) err:(?P<err>\d{3}) text:(?P<text>.*)"
).fullmatch


class Refused(Exception):
    """A bind was; with its command_status, where the library shows it."""

    def __init__(self, command_status: int | None) -> None:
        super().__init__(command_status)
        self.command_status = command_status


class Answer(Struct, frozen=True):
    """A submit_sm_resp."""

    command_status: int
    message_id: str = ""


class Heard(Struct, frozen=True, kw_only=True):
    """A deliver_sm. Of a receipt there is what its text and its optional parameters say."""

    source: str
    destination: str
    text: str
    esm_class: int = 0
    id: str = ""
    stat: str = ""
    err: str = ""
    receipted_message_id: str = ""
    message_state: int = 0
    network_error_code: bytes = b""
    user_message_reference: int = 0


class Wish(Struct, frozen=True, kw_only=True):
    """A message to be sent. aiosmpplib encodes texts itself, and takes no octets."""

    to: str
    text: str = "oi"
    coding: int = GSM
    registered: int = 1
    validity: str = ""
    schedule: str = ""
    tlvs: dict[int, bytes] = field(default_factory=dict)
    esm_class: int = 0
    octets: bytes | None = None  # in place of the text, where it is given

    @property
    def content(self) -> bytes:
        return encoded(self.text, self.coding) if self.octets is None else self.octets


class Client(Protocol):
    """A bound client."""

    async def submit(self, wishes: Sequence[Wish]) -> list[Answer]:
        """Sends them all before it reads an answer; the answers in the wishes' order."""

    async def hear(self) -> Heard:
        """The next deliver_sm that has come, acknowledged."""

    async def leave(self) -> None:
        """Unbinds."""


class Place(Struct, frozen=True):
    """Where to bind, and as whom."""

    port: int
    system_id: str
    password: str
    host: str = "127.0.0.1"
    ca: str = ""  # a file; then it is TLS


def encoded(text: str, coding: int) -> bytes:
    if coding == GSM:
        return bytes(smpplib.gsm.gsm_encode(text))
    return text.encode("utf-16-be" if coding == UCS2 else "latin-1")


def decoded(octets: bytes, coding: int) -> str:
    if coding == GSM:
        return str(aio.GSM7BitCodec.get_codec_info().decode(octets)[0])
    return octets.decode("utf-16-be" if coding == UCS2 else "latin-1")


def _heard(esm_class: int, text: str, **fields: Any) -> Heard:
    if esm_class != 0x04:
        return Heard(esm_class=esm_class, text=text, **fields)
    found = _receipt(text)
    assert found is not None, text
    assert (found["dlvrd"] == "001") is (found["stat"] == "DELIVRD")
    fields |= {name: found[name] for name in ("id", "stat", "err", "text")}
    return Heard(esm_class=esm_class, **fields)


# --- smpplib -------------------------------------------------------------------------------------


class Smpplib:
    """smpplib: one thread reads and writes, as its own examples do."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.answers: dict[int, Answer] = {}
        self.others: deque[Any] = deque()
        self._heard: deque[Heard] = deque()
        self.delivered: Callable[[Any], int | None] = lambda pdu: None  # a command_status
        client.set_error_pdu_handler(lambda pdu: None)
        client.set_message_sent_handler(self._sent)
        client.set_message_received_handler(self._received)
        client.set_query_resp_handler(self.others.append)

    def _sent(self, pdu: Any) -> None:
        message_id = pdu.message_id or b""
        self.answers[pdu.sequence] = Answer(pdu.status, message_id.decode())

    def _received(self, pdu: Any) -> int | None:
        command_status = self.delivered(pdu)
        octets = pdu.short_message or pdu.message_payload or b""
        heard = _heard(
            pdu.esm_class,
            decoded(octets, pdu.data_coding),
            source=pdu.source_addr.decode(),
            destination=pdu.destination_addr.decode(),
            receipted_message_id=(pdu.receipted_message_id or b"").decode(),
            message_state=pdu.message_state or 0,
            network_error_code=pdu.network_error_code or b"",
            user_message_reference=pdu.user_message_reference or 0,
        )
        self._heard.append(heard)
        return command_status

    def read(self) -> None:
        """Deals with one PDU more."""
        self.client.read_once(auto_send_enquire_link=False)

    def _submit(self, wishes: Sequence[Wish]) -> list[Answer]:
        sent = [self._send(wish) for wish in wishes]
        while not all(sequence in self.answers for sequence in sent):
            self.read()
        return [self.answers[sequence] for sequence in sent]

    def _send(self, wish: Wish) -> int:
        names = {0x0204: "user_message_reference", 0x020C: "sar_msg_ref_num"}
        names |= {0x020E: "sar_total_segments", 0x020F: "sar_segment_seqnum"}
        numbers = {names[tag]: int.from_bytes(v) for tag, v in wish.tlvs.items() if tag in names}
        payload = wish.tlvs.get(0x0424)
        pdu = self.client.send_message(
            source_addr_ton=0,
            source_addr_npi=1,
            source_addr=SOURCE,
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=wish.to,
            short_message=b"" if payload else wish.content,
            message_payload=payload,
            data_coding=wish.coding,
            esm_class=wish.esm_class,
            registered_delivery=wish.registered,
            schedule_delivery_time=wish.schedule,
            validity_period=wish.validity,
            **numbers,
        )
        return int(pdu.sequence)

    def _hear(self) -> Heard:
        while not self._heard:
            self.read()
        return self._heard.popleft()

    async def submit(self, wishes: Sequence[Wish]) -> list[Answer]:
        return await asyncio.to_thread(self._submit, wishes)

    async def hear(self) -> Heard:
        return await asyncio.to_thread(self._hear)

    async def leave(self) -> None:
        answer = await asyncio.to_thread(self.client.unbind)
        assert (answer.command, answer.status) == ("unbind_resp", 0)


@asynccontextmanager
async def by_smpplib(place: Place, mode: str) -> AsyncIterator[Smpplib]:
    """It asks for no name to compare a certificate with: the authority alone is looked at."""
    context = None
    if place.ca:
        context = ssl.create_default_context(cafile=place.ca)
        context.check_hostname = False
    client = smpplib.client.Client(
        place.host,
        place.port,
        timeout=PATIENCE,
        ssl_context=context,
        allow_unknown_opt_params=True,
    )
    try:
        await asyncio.to_thread(client.connect)
        bind = getattr(client, f"bind_{mode}")
        try:
            await asyncio.to_thread(bind, system_id=place.system_id, password=place.password)
        except smpplib.exceptions.PDUError as error:
            raise Refused(error.args[1]) from error
        yield Smpplib(client)
    finally:
        client.disconnect()


# --- aiosmpplib ----------------------------------------------------------------------------------


class Hook(aio.AbstractHook):  # type: ignore[misc]  # the library asks for it
    """Keeps what the library tells."""

    def __init__(self) -> None:
        self.esme: Any = None
        self.came: asyncio.Queue[tuple[Any, bytes]] = asyncio.Queue()
        self.first: Callable[[Any], None] = lambda message: None  # before it is acknowledged
        self.problems: list[Exception] = []
        self.writers: set[asyncio.StreamWriter] = set()

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        self.writers.add(self.esme._writer)  # it does not close them itself

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        self.first(smpp_message)
        self.came.put_nowait((smpp_message, pdu))

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        self.problems.append(error)


class Aiosmpplib:
    """aiosmpplib: messages go into its queue, and its hook hears of all that comes."""

    def __init__(self, esme: Any, hook: Hook) -> None:
        self.esme, self.hook = esme, hook
        self.others: deque[Any] = deque()
        self._answers: dict[str, Answer] = {}
        self._heard: deque[Heard] = deque()
        self._receipted: set[str] = set()
        self._serial = 0

    async def read(self) -> None:
        """Deals with one PDU more."""
        message, _ = await asyncio.wait_for(self.hook.came.get(), PATIENCE)
        if isinstance(message, aio.SubmitSmResp) and not isinstance(message, aio.DeliverSmResp):
            answer = Answer(int(message.command_status), message.message_id)
            self._answers[message.log_id] = answer
        elif isinstance(message, aio.DeliverSm):
            self._heard.append(self._of(message))
        else:
            self.others.append(message)

    def _of(self, message: Any) -> Heard:
        tlvs = {param.tag: param.value for param in message.optional_params}
        heard = _heard(
            message.esm_class,
            message.short_message or message.message_payload,
            source=message.source.number,
            destination=message.destination.number,
            receipted_message_id=tlvs.get(0x001E, ""),
            message_state=tlvs.get(0x0427, 0),
            network_error_code=tlvs.get(0x0423, "").encode(),
            user_message_reference=tlvs.get(0x0204, 0),
        )
        if message.is_receipt():  # it reads them itself, too
            read = message.parse_receipt()
            assert (read["id"], read["stat"]) == (heard.id, heard.stat)
            assert (read["err"], read["text"]) == (int(heard.err), heard.text)
            # It has found the message that was sent; it forgets that with the first receipt.
            assert message.log_id or heard.id in self._receipted
            self._receipted.add(heard.id)
        return heard

    async def submit(self, wishes: Sequence[Wish]) -> list[Answer]:
        return await self.send([self._message(wish) for wish in wishes])

    async def send(self, messages: Sequence[Any]) -> list[Answer]:
        """Messages of the library's own."""
        names = []
        for message in messages:
            self._serial += 1
            names.append(f"message-{self._serial}")
            message.log_id = names[-1]
            await self.esme.broker.enqueue(message)
        while not all(name in self._answers for name in names):
            await self.read()
        assert not self.hook.problems
        return [self._answers[name] for name in names]

    def _message(self, wish: Wish) -> Any:
        times = aio.SubmitSm.smpp_time_to_datetime
        return aio.SubmitSm(
            short_message=wish.text,
            source=aio.PhoneNumber(SOURCE, aio.TON.UNKNOWN, aio.NPI.ISDN),
            destination=aio.PhoneNumber(wish.to, aio.TON.INTERNATIONAL, aio.NPI.ISDN),
            encoding=_AIO_NAMES[wish.coding],
            esm_class=wish.esm_class,
            registered_delivery=wish.registered,
            validity_period=times(wish.validity),
            schedule_delivery_time=times(wish.schedule),
            optional_params=[
                aio.OptionalParam(tag, int.from_bytes(value)) for tag, value in wish.tlvs.items()
            ],
        )

    async def hear(self) -> Heard:
        while not self._heard:
            await self.read()
        return self._heard.popleft()

    async def leave(self) -> None:
        await self.esme.stop()


@asynccontextmanager
async def by_aiosmpplib(
    place: Place, mode: str, enquire: float = 55.0
) -> AsyncIterator[Aiosmpplib]:
    hook = Hook()
    esme = hook.esme = aio.ESME(
        place.host,
        place.port,
        place.system_id,
        place.password,
        bind_mode=aio.BindMode[mode.upper()],
        hook=hook,
        log_level="CRITICAL",
        enquire_link_interval=enquire,
    )
    running = asyncio.create_task(esme.start())
    try:
        message, pdu = await asyncio.wait_for(hook.came.get(), PATIENCE)
        if message is None:
            # Where a bind was refused it looks for a system_id, which is not there then (4.1.2):
            # its hook is shown the octets alone.
            raise Refused(int.from_bytes(pdu[8:12]))
        assert message.system_id == "Recado"
        assert message.sc_interface_version == 0x34
        yield Aiosmpplib(esme, hook)
    finally:
        await esme.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        for writer in hook.writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


# --- smpp34 --------------------------------------------------------------------------------------


class Smpp34:
    """smpp34: everything at once; it acknowledges what comes before it shows it."""

    def __init__(self, client: Any, smsc: Any) -> None:
        self.client, self.smsc = client, smsc

    async def submit(self, wishes: Sequence[Wish]) -> list[Answer]:
        return await asyncio.gather(*(self._submit(wish) for wish in wishes))

    async def _submit(self, wish: Wish) -> Answer:
        answer = await self.smsc.submit_sm(
            wish.to,
            b"" if 0x0424 in wish.tlvs else wish.content,
            source_addr=SOURCE,
            source_addr_npi=1,
            dest_addr_ton=1,
            dest_addr_npi=1,
            data_coding=wish.coding,
            esm_class=wish.esm_class,
            registered_delivery=wish.registered,
            schedule_delivery_time=wish.schedule,
            validity_period=wish.validity,
            tlvs=[smpp34.Tlv(tag, value) for tag, value in wish.tlvs.items()],
        )
        return Answer(answer.command_status, answer.message_id or "")

    async def hear(self) -> Heard:
        event = await asyncio.wait_for(self.smsc.next(), PATIENCE)
        assert isinstance(event, smpp34.DeliverSmEvent), event
        tlvs = {tlv.tag: tlv.value for tlv in event.tlvs}
        return _heard(
            event.esm_class,
            decoded(event.short_message or tlvs.get(0x0424, b""), event.data_coding),
            source=event.source_addr,
            destination=event.destination_addr,
            receipted_message_id=tlvs.get(0x001E, b"").rstrip(b"\0").decode(),
            message_state=int.from_bytes(tlvs.get(0x0427, b"")),
            network_error_code=tlvs.get(0x0423, b""),
            user_message_reference=int.from_bytes(tlvs.get(0x0204, b"")),
        )

    async def leave(self) -> None:
        await asyncio.wait_for(self.smsc.unbind(), PATIENCE)


@asynccontextmanager
async def by_smpp34(
    place: Place, mode: str, capacity: int = 2_000, connect_seconds: float = 10.0
) -> AsyncIterator[Smpp34]:
    """For TLS it asks the environment (SSL_CERT_FILE) whom to trust."""
    client = smpp34.Client(
        place.host,
        place.port,
        place.system_id,
        place.password,
        bind_type=_SMPP34_MODES[mode],
        tls=bool(place.ca),
        window_size=64,
        inbound_capacity=capacity,
        connect_timeout_ms=int(connect_seconds * 1000),
    )
    try:
        try:
            smsc = await client.connect()
        except smpp34.SmppError as error:
            raise Refused(None) from error  # whatever the reason, "bind timed out"
        assert smsc.system_id == place.system_id
        yield Smpp34(client, smsc)
    finally:
        await client.stop()


Bound: TypeAlias = Callable[..., Any]
BY: dict[str, Bound] = {"smpplib": by_smpplib, "aiosmpplib": by_aiosmpplib, "smpp34": by_smpp34}


def bound(library: str, place: Place, mode: str = "transceiver", **how: Any) -> Any:
    """A bound client of that library, until the block ends."""
    return BY[library](place, mode, **how)
