"""User data headers, and which part of a long text a message is (3GPP TS 23.040, 9.2.3.24; SAR
parameters: SMPP 3.4, 5.3.2.22 to 5.3.2.24).

A header, here, is whole: its length octet and its information elements. In the unpacked octets of
SMPP the text begins right behind it.
"""

from recado.connectors import Part
from recado.smpp import pdu, status
from recado.smpp.pdu import Malformed, ShortMessage, Tlvs

_CONCATENATION_8 = 0x00
_CONCATENATION_16 = 0x08


def split_udh(octets: bytes) -> tuple[bytes, bytes]:
    """The header that the octets of a message with UDHI begin with, and the text behind it. Raises
    Malformed (RINVESMCLASS) where there is no whole header, for then esm_class is wrong."""
    if not octets or octets[0] >= len(octets):
        raise Malformed(status.ESME_RINVESMCLASS, "the user data header is cut off")
    end = octets[0] + 1
    return octets[:end], octets[end:]


def header_and_text(message: ShortMessage) -> tuple[bytes, bytes]:
    """The message's header, empty where its esm_class says there is none, and its text's octets.
    Raises Malformed as `split_udh` does."""
    return split_udh(message.payload) if message.esm_class & pdu.UDHI else (b"", message.payload)


def elements(udh: bytes) -> list[tuple[int, bytes]]:
    """The information elements of a whole header: identifier and content, in order. Raises
    Malformed (RINVESMCLASS) where they don't fill it exactly."""
    if not udh or udh[0] != len(udh) - 1:
        raise Malformed(status.ESME_RINVESMCLASS, "the user data header is cut off")
    found, at = [], 1
    while at + 2 <= len(udh):
        end = at + 2 + udh[at + 1]
        found.append((udh[at], udh[at + 2 : end]))
        at = end
    if at != len(udh):
        raise Malformed(status.ESME_RINVESMCLASS, "the user data header's elements don't fill it")
    return found


def part_of_udh(udh: bytes) -> Part | None:
    """Which part of a long text the header says; None where it says nothing, or what has to be
    ignored (no parts, number 0, a number beyond the total: TS 23.040, 9.2.3.24.1). The last of
    several counts. Raises Malformed as `elements` does, and on a concatenation of another length
    than its own."""
    part = None
    for identifier, content in elements(udh):
        if identifier not in (_CONCATENATION_8, _CONCATENATION_16):
            continue
        if len(content) != (3 if identifier == _CONCATENATION_8 else 4):
            raise Malformed(status.ESME_RINVESMCLASS, "a concatenation of the wrong length")
        told = Part(int.from_bytes(content[:-2]), content[-2], content[-1])
        part = told if 1 <= told.number <= told.total else None
    return part


def part_of_sar(tlvs: Tlvs) -> Part | None:
    """Which part of a long text the SAR parameters say; None unless all three are there, as
    5.3.2.22 asks. Raises Malformed (RINVPARLEN, RINVOPTPARAMVAL) on what they can't hold."""
    values = [
        tlvs.get(tag)
        for tag in (pdu.SAR_MSG_REF_NUM, pdu.SAR_TOTAL_SEGMENTS, pdu.SAR_SEGMENT_SEQNUM)
    ]
    reference, total, number = values
    if reference is None or total is None or number is None:
        return None
    # Some write the reference in one octet.
    if not 1 <= len(reference) <= 2 or len(total) != 1 or len(number) != 1:
        raise Malformed(status.ESME_RINVPARLEN, "a SAR parameter of the wrong length")
    part = Part(int.from_bytes(reference), total[0], number[0])
    if not 1 <= part.number <= part.total:
        raise Malformed(status.ESME_RINVOPTPARAMVAL, "SAR parameters say no part of any text")
    return part


def concatenation_of(message: ShortMessage) -> Part | None:
    """Which part of a long text the message is: by its header, else by its SAR parameters; None of
    one that is whole. Raises Malformed as `split_udh`, `part_of_udh` and `part_of_sar` do."""
    udh, _ = header_and_text(message)
    return (part_of_udh(udh) if udh else None) or part_of_sar(message.tlvs)


def concatenation(part: Part) -> bytes:
    """The header that says it: 6 octets, with a reference above 255 seven. Raises ValueError on
    numbers that it can't hold."""
    _check(part)
    if part.reference <= 0xFF:
        return bytes((5, _CONCATENATION_8, 3, part.reference, part.total, part.number))
    high, low = divmod(part.reference, 256)
    return bytes((6, _CONCATENATION_16, 4, high, low, part.total, part.number))


def sar(part: Part) -> dict[int, bytes]:
    """The SAR parameters that say it. Raises ValueError on numbers that they can't hold."""
    _check(part)
    return {
        pdu.SAR_MSG_REF_NUM: part.reference.to_bytes(2),
        pdu.SAR_TOTAL_SEGMENTS: bytes((part.total,)),
        pdu.SAR_SEGMENT_SEQNUM: bytes((part.number,)),
    }


def _check(part: Part) -> None:
    if not (0 <= part.reference <= 0xFFFF and 1 <= part.number <= part.total <= 0xFF):
        raise ValueError(f"part {part.number} of {part.total}, reference {part.reference}")
