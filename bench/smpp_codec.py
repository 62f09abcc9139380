"""SMPP's codec: PDUs a second, read and written, beside the floor of the same run.

    .venv/bin/python bench/smpp_codec.py [--rounds 9] [--pdus 20000]

Read is what arrives at a session, in chunks of some thirty PDUs: cut into PDUs, and the body read.
Written is a record made into a body, with a header before it. The floor does the least that could
be done: read, the header unpacked and the body sliced; written, a header packed before a body that
is there. A machine's noise strikes both: told are the best round and the median of each, as JSON,
and how many times the floor's time the median takes.
"""

import argparse
import json
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial

from recado.smpp import pdu
from recado.smpp.pdu import Address, ShortMessage

_CHUNK = 32
_MOST = 70_000
_HEADER = struct.Struct(">IIII")

_SUBMIT = ShortMessage(
    source=Address(5, 0, "Clinica"),
    destination=Address(1, 1, "5541999990000"),
    text=b"Sua consulta e amanha, as 10 horas. Responda 1 para confirmar ou 2 para cancelar.",
    registered_delivery=1,
)
_RECEIPT_TEXT = (
    b"id:01a20029-d169-7d05-a52a-a01db102b1d3 sub:001 dlvrd:001 submit date:2611220730"
    b" done date:2611220731 stat:DELIVRD err:000 text:Sua consulta e amanh"
)
_DELIVER = ShortMessage(
    source=Address(1, 1, "5541999990000"),
    destination=Address(5, 0, "Clinica"),
    text=_RECEIPT_TEXT,
    esm_class=pdu.RECEIPT,
    tlvs={
        pdu.RECEIPTED_MESSAGE_ID: b"01a20029-d169-7d05-a52a-a01db102b1d3\0",
        pdu.MESSAGE_STATE: b"\2",
    },
)
_ID = "01a20029-d169-7d05-a52a-a01db102b1d3"


def _chunks(pdus: Sequence[bytes]) -> list[bytearray]:
    return [bytearray().join(pdus[at : at + _CHUNK]) for at in range(0, len(pdus), _CHUNK)]


def _read(read: Callable[[bytes], object], chunks: Sequence[bytearray]) -> None:
    for chunk in chunks:
        for found in pdu.split(chunk, _MOST)[0]:
            read(found.body)


def _read_floor(chunks: Sequence[bytearray]) -> None:
    unpack = _HEADER.unpack_from
    for chunk in chunks:
        octets, at = bytes(chunk), 0
        while at < len(octets):
            length, _, _, _ = unpack(octets, at)
            _ = octets[at + 16 : at + length]
            at += length


def _write_messages(message: ShortMessage, command: int, pdus: int) -> None:
    for sequence in range(pdus):
        pdu.framed(command, sequence, pdu.message_body(message))


def _write_answers(pdus: int) -> None:
    for sequence in range(pdus):
        pdu.framed(pdu.SUBMIT_SM | pdu.RESPONSE, sequence, pdu.id_body(_ID))


def _write_floor(body: bytes, pdus: int) -> None:
    pack = _HEADER.pack
    for sequence in range(pdus):
        _ = pack(16 + len(body), 4, 0, sequence) + body


def _jobs(pdus: int) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """By name: the work and its floor."""
    jobs: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {}
    for name, command, message in (
        ("submit_sm", pdu.SUBMIT_SM, _SUBMIT),
        ("deliver_sm receipt", pdu.DELIVER_SM, _DELIVER),
    ):
        body = pdu.message_body(message)
        chunks = _chunks([pdu.framed(command, 1, body)] * pdus)
        jobs[f"read {name}"] = (
            partial(_read, pdu.read_message, chunks),
            partial(_read_floor, chunks),
        )
        jobs[f"write {name}"] = (
            partial(_write_messages, message, command, pdus),
            partial(_write_floor, body, pdus),
        )
    answers = _chunks([pdu.framed(0x80000004, 1, pdu.id_body(_ID))] * pdus)
    jobs["read submit_sm_resp"] = (
        partial(_read, pdu.read_id, answers),
        partial(_read_floor, answers),
    )
    jobs["write submit_sm_resp"] = (
        partial(_write_answers, pdus),
        partial(_write_floor, pdu.id_body(_ID), pdus),
    )
    return jobs


def _took(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pdus", type=int, default=20_000)
    asked = parser.parse_args()
    for name, (work, floor) in _jobs(asked.pdus).items():
        # Turn by turn, so that what else the machine does strikes both alike.
        pairs = [(_took(work), _took(floor)) for _ in range(asked.rounds)]
        took, least = (sorted(column) for column in zip(*pairs, strict=True))
        median = statistics.median(took)
        told = {
            "what": name,
            "pdus_per_second": {
                "best": round(asked.pdus / took[0]),
                "median": round(asked.pdus / median),
            },
            "floor_per_second": {
                "best": round(asked.pdus / least[0]),
                "median": round(asked.pdus / statistics.median(least)),
            },
            "times_the_floor": round(statistics.median(a / b for a, b in pairs), 1),
        }
        print(json.dumps(told))


if __name__ == "__main__":
    main()
