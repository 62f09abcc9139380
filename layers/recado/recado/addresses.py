"""Where a request of ours goes: the URL read, the IP address judged, a failure put into words.

Both couriers (recado.courier on Lambda, node.courier on one machine) stand on this module, so that
they send the same bytes, reach the same addresses and name the same problems.
"""

import base64
import os
import re
import socket
import ssl
import time
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from recado.http import Outgoing

CONNECT_SECONDS = 5.0  # of an exchange's timeout, at most this much goes to connecting
KEPT_BYTES = 64 * 1024  # of an answer's body
READ_BYTES = 1024 * 1024  # of an answer's body, before the connection is given up instead
IDLE_SECONDS = 30.0  # a connection unused for longer is not used again

PRIVATE = "the address is private: that is not allowed"  # never with the address it resolved to
TIMED_OUT = "timed out"
NO_TURN = "timed out while it waited for a connection"
NO_ANSWER = "the connection was closed before the answer was complete"
NO_HTTP = "the answer is not HTTP"
INVALID_HEADER = "a header is invalid"

# IANA's special-purpose registries (RFC 6890 and its successors), without the few blocks of theirs
# that are ordinary global unicast. Our own list, because `is_global` of the ipaddress module
# differs between patch releases of Python 3.11, and lets multicast (224.0.1.1), the 6to4 relays
# (192.88.99.0/24), the rest of 192.0.0.0/24, site-local (fec0::/10), all of 6to4 and NAT64, and
# 3fff::/20 (RFC 9637) pass.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")  # whatever lies outside is not public
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20")
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[^\r\n\0]*")
_HOST = re.compile(r"[0-9A-Za-z_.~-]+")
_PATH_SAFE = "/:@!$&'()*+,;=%"
_READY_QUERY = re.compile(r"(?:[0-9A-Za-z/:@!$&'()*+,;=?._~-]|%[0-9A-F]{2})*")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_OURS = frozenset(("host", "content-length", "transfer-encoding", "connection"))
_PORTS = {"http": 80, "https": 443}


class PrivateAddress(Exception):
    """Every address of the host is one that this request must not reach."""


class Place(Struct, frozen=True):
    """A URL up to its query."""

    scheme: str
    host: str  # ASCII, without brackets
    port: int
    path: str
    authority: str  # for the Host header
    authorization: str  # of user:pass@, or empty


class Wire(Struct, frozen=True):
    """A request made ready to be written."""

    place: Place
    method: str
    target: str  # path and query, percent-encoded
    headers: dict[str, str]


def forbidden(address: str) -> bool:
    """Whether an IP address is anything but public unicast. An IPv4 address inside an IPv6 one
    (mapped, NAT64, 6to4) is judged as itself; what is no IP address is forbidden."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(ip, IPv6Address):
        inner = _v4_inside(ip)
        if inner is None:
            return ip not in _GLOBAL_UNICAST_V6 or any(ip in net for net in _NOT_PUBLIC_V6)
        ip = inner
    return any(ip in net for net in _NOT_PUBLIC_V4)


def _v4_inside(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


@lru_cache(maxsize=1024)
def place_of(url: str) -> Place:
    """The place that a URL without query and fragment names. Raises ValueError."""
    if not url.isprintable():
        raise ValueError("it holds control characters")
    parts = urlsplit(url)
    port = parts.port
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise ValueError("it names no place of http or https")
    host = _ascii_host(parts.hostname)
    authority = f"[{host}]" if ":" in host else host
    default = _PORTS[parts.scheme]
    credentials = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = "Basic " + base64.b64encode(pair.encode()).decode()
    return Place(
        scheme=parts.scheme,
        host=host,
        port=port or default,
        path=_encoded(parts.path) or "/",
        authority=authority if port in {None, default} else f"{authority}:{port}",
        authorization=credentials,
    )


def _ascii_host(host: str) -> str:
    if ":" in host:
        return str(IPv6Address(host))
    ascii_host = host.encode("idna").decode()  # refuses labels that the resolver would choke on
    if not _HOST.fullmatch(ascii_host):
        raise ValueError("its host name is invalid")
    return ascii_host


def _encoded(part: str, also_safe: str = "") -> str:
    whole = _PERCENT.sub(lambda found: found[0].upper() if found[1] else "%25", part)
    return quote(whole, safe=_PATH_SAFE + also_safe)


def wire_of(request: Outgoing) -> Wire:
    """The request with its URL read, and its headers completed: Host, User-Agent "Recado", no
    content coding, Basic credentials out of the URL, Content-Length. Raises ValueError, with the
    words for the outcome, where it cannot be sent as it stands."""
    if not _TOKEN.fullmatch(request.method):
        raise ValueError("the method is invalid")
    base, _, query = request.url.partition("#")[0].partition("?")
    try:
        place = place_of(base)
    except ValueError:  # the library's own words may repeat the URL, which may hold credentials
        raise ValueError("the URL is invalid") from None
    target = place.path + query_of(query)
    return Wire(place, request.method, target, _headers_of(request, place))


def query_of(query: str) -> str:
    """What follows a target's path: the URL's query, percent-encoded, with its question mark.
    Raises ValueError as `wire_of` does."""
    if not query:
        return ""
    if not _READY_QUERY.fullmatch(query):
        try:
            query = _encoded(query, "?")
        except ValueError:  # see above
            raise ValueError("the URL is invalid") from None
    return f"?{query}"


def _headers_of(request: Outgoing, place: Place) -> dict[str, str]:
    headers = {"host": place.authority, "user-agent": "Recado", "accept-encoding": "identity"}
    if place.authorization:
        headers["authorization"] = place.authorization
    for name, value in request.headers.items():
        lower = _field_name(name)
        if not _is_field_value(value):
            raise ValueError(INVALID_HEADER)
        if lower not in _OURS:
            headers[lower] = value
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        headers["content-length"] = str(len(request.body))
    return headers


@lru_cache(maxsize=1024)
def _field_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(INVALID_HEADER)
    return name.lower()


def _is_field_value(value: str) -> bool:
    if value.isascii() and value.isprintable():
        return True
    return bool(_VALUE.fullmatch(value)) and all(ord(character) < 256 for character in value)


def connect_problem(error: BaseException) -> str:
    """Why connecting failed, in words that disclose no address that a name resolved to."""
    if isinstance(error, PrivateAddress):
        return PRIVATE
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the TLS certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    if isinstance(error, TimeoutError):
        return "connecting timed out"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, OSError) and error.errno:
        return f"connecting failed: {os.strerror(error.errno)}"
    return "connecting failed"


def connected_socket(host: str, port: int, private_allowed: bool, timeout: float) -> socket.socket:
    """A socket connected to one of the host's addresses. Raises PrivateAddress, OSError."""
    until = time.monotonic() + timeout
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed = [info for info in infos if private_allowed or not forbidden(str(info[4][0]))]
    problem: Exception = PrivateAddress()
    for left, (family, kind, protocol, _, address) in zip(
        range(len(allowed), 0, -1), allowed, strict=True
    ):
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:
            problem = error
            continue
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(max(0.001, (until - time.monotonic()) / left))
            connection.connect(address)
        except OSError as error:
            connection.close()
            problem = error
        else:
            connection.settimeout(max(0.001, until - time.monotonic()))  # TLS has the rest
            return connection
    raise problem
