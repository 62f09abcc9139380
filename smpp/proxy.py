"""The PROXY protocol, version 2: a balancer says whose connection it hands on.

(haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2. AWS's Network Load Balancer sends it
where its target group has proxy_protocol_v2.enabled.)
"""

import struct
from ipaddress import IPv4Address, IPv6Address

HEAD_SIZE = 16
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD = struct.Struct(">12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_LONGEST = 2_048  # the addresses and what a balancer adds


def rest_of(head: bytes) -> int:
    """How many octets follow the sixteen that are always there. Raises ValueError on what is no
    such header."""
    signature, command, _, length = _HEAD.unpack(head)
    if signature != _SIGNATURE or command not in (_LOCAL, _PROXY) or length > _LONGEST:
        raise ValueError("no PROXY header of version 2")
    return int(length)


def source_of(head: bytes, rest: bytes) -> str:
    """Whose connection it is; empty where it is the balancer's own (a health check), or of no
    family that we know. Raises ValueError where the header is cut off."""
    _, command, family, _ = _HEAD.unpack(head)
    if command == _LOCAL or family not in (_TCP4, _TCP6):
        return ""
    size = 4 if family == _TCP4 else 16
    if len(rest) < 2 * size + 4:
        raise ValueError("a PROXY header without addresses")
    if family == _TCP4:
        return str(IPv4Address(rest[:size]))
    address = IPv6Address(rest[:size])
    return str(address.ipv4_mapped or address)
