from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.addresses import forbidden, wire_of
from recado.http import Outgoing

_PUBLIC = ["1.1.1.1", "8.8.8.8", "177.1.2.3", "223.255.255.254", "2001:4860:4860::8888", "2a00::1"]
_NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.171",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", _PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert not forbidden(address)


@pytest.mark.parametrize("address", _NOT_PUBLIC)
def test_an_address_that_is_not_public_unicast_is_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize(
    "address", ["", "localhost", "127.1", "2130706433", "0x7f.1", "1.1.1.1:80", "[::1]"]
)
def test_what_is_no_ip_address_is_forbidden(address: str) -> None:
    assert forbidden(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_one_is_judged_as_itself(address: IPv4Address) -> None:
    number = int(address)
    mapped = IPv6Address(0xFFFF << 32 | number)
    nat64 = IPv6Address((0x64FF9B << 96) | number)
    six_to_four = IPv6Address((0x2002 << 112) | (number << 80) | 1)
    judged = {forbidden(str(each)) for each in (address, mapped, nat64, six_to_four)}
    assert len(judged) == 1


@given(st.ip_addresses())
def test_what_python_calls_private_is_forbidden_too(address: IPv4Address | IPv6Address) -> None:
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour):
        return  # judged by the address inside, which older releases of Python do not do
    if not address.is_global:
        assert forbidden(str(address))


@given(st.ip_addresses(v=6), st.sampled_from(["eth0", "1", "25eth0"]))
def test_a_zone_changes_nothing(address: IPv6Address, zone: str) -> None:
    assert forbidden(f"{address}%{zone}") == forbidden(str(address))


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://example.com", "example.com", "/"),
        ("HTTP://EXAMPLE.com:80/A", "example.com", "/A"),
        ("https://example.com:443/", "example.com", "/"),
        ("https://example.com:80/", "example.com:80", "/"),
        ("http://example.com?a=b", "example.com", "/?a=b"),
        ("http://example.com/a?", "example.com", "/a"),
        ("http://example.com/a b?c d", "example.com", "/a%20b?c%20d"),
        ("http://example.com/%c3%a9/%zz?%c3%", "example.com", "/%C3%A9/%25zz?%C3%25"),
        ("http://example.com/?a=b?c/d:@!$&'()*+,;=~", "example.com", "/?a=b?c/d:@!$&'()*+,;=~"),
        ("http://example.com/?to[]=é\r\n", "example.com", "/?to%5B%5D=%C3%A9%0D%0A"),
        ("http://example.com/a#b?c", "example.com", "/a"),
        ("http://u:p@example.com/a", "example.com", "/a"),
        ("http://münchen.example/", "xn--mnchen-3ya.example", "/"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080", "/"),
    ],
)
def test_a_url_becomes_authority_and_target(url: str, authority: str, target: str) -> None:
    wire = wire_of(Outgoing("GET", url, {}))
    assert (wire.place.authority, wire.target) == (authority, target)
    assert wire.headers["host"] == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "http:///a",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:x/",
        "http://exa mple.com/",
        "http://example.com\r\nHost: b/",
        "http://example%2ecom/",
        "http://a..b/",
        "http://" + "a" * 64 + ".com/",
        "http://[::1/",
        "http://[1.2.3.4]:x:y/",
        "http://example.com/\ud800",
        "http://example.com/?\ud800",
    ],
)
def test_an_invalid_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^the URL is invalid$"):
        wire_of(Outgoing("GET", url, {}))


@pytest.mark.parametrize(
    "headers", [{"a b": "c"}, {"": "c"}, {"a:": "c"}, {"a": "b\r\nc: d"}, {"a": "é€"}, {"a": "\0"}]
)
def test_a_header_that_cannot_be_written_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^a header is invalid$"):
        wire_of(Outgoing("GET", "http://example.com/", headers))


@pytest.mark.parametrize("method", ["", "GET /", "GE\r\nT", "GÉT"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=r"^the method is invalid$"):
        wire_of(Outgoing(method, "http://example.com/", {}))


def test_user_and_password_of_the_url_become_basic_credentials() -> None:
    wire = wire_of(Outgoing("GET", "http://us%40er:p%3Aw@example.com/", {}))
    assert wire.headers["authorization"] == "Basic dXNAZXI6cDp3"


def test_a_header_of_the_request_goes_before_a_default() -> None:
    headers = {"User-Agent": "mine", "Authorization": "Bearer x"}
    wire = wire_of(Outgoing("GET", "http://u:p@example.com/", headers))
    assert wire.headers["user-agent"] == "mine"
    assert wire.headers["authorization"] == "Bearer x"


def test_framing_is_not_the_caller_s() -> None:
    headers = {"Content-Length": "9", "Transfer-Encoding": "chunked", "Connection": "close"}
    wire = wire_of(Outgoing("POST", "http://example.com/", headers, b"abc"))
    assert wire.headers["content-length"] == "3"
    assert not {"transfer-encoding", "connection"} & set(wire.headers)


@given(st.text(), st.text(max_size=20))
def test_no_url_breaks_out_of_its_line(path: str, query: str) -> None:
    try:
        wire = wire_of(Outgoing("GET", f"http://example.com/{path}?{query}", {}))
    except ValueError:
        return
    assert wire.target.isascii()
    assert not set(wire.target) & set(" \r\n\t\0")
