"""Peers: the addresses at the other end."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


def plain_address(name: object) -> str:
    """The address in a socket's name, without its port; that of IPv4 within IPv6 as IPv4. Empty
    where it has none."""
    if not isinstance(name, tuple):
        return ""
    try:
        address = ip_address(str(name[0]).partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_within(peer: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of these networks (CIDR, or single addresses). What is no
    network lets nobody in."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in map(_network, networks) if network is not None)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None
