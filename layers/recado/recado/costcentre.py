"""Cost centres, their logins, and the credentials that open them.

Passwords are random, shown once, and stored as keyed hashes (HMAC-SHA-256 under the installation's
pepper): a slow hash would cost a request 25 ms and guard nothing, since 128 random bits can't be
guessed. A password that was imported may be weaker; it is stored the same way.
"""

import base64
import functools
import hashlib
import hmac
import re
import secrets
import uuid
from zoneinfo import ZoneInfo

from msgspec import Struct

from recado.errors import Invalid

REPORT_KINDS = frozenset({"1", "2"})
_LONGEST_URL = 2_048
CALLBACK_METHODS = frozenset({"POST", "GET"})
GET_FORMS = frozenset({"both", "body", "query"})
METHODS = frozenset({"http", "smpp"})
REPORTS_BY = frozenset({"origin", "http", "smpp"})
SMPP_ALPHABETS = frozenset({"gsm", "latin1"})
_CURRENCY = re.compile("[A-Z]{3}")
_UNAMBIGUOUS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class CostCentre(Struct, frozen=True, kw_only=True):
    """A customer, and every switch that it has. Times are in seconds."""

    id: str
    name: str
    created_at: float
    suspended: bool = False
    callback_url: str = ""
    callback_by_customer: bool = False  # it has set that URL by itself: no private address is its
    callback_method: str = "POST"
    callback_get_form: str = "both"  # what a GET callback carries: JSON body, query string, both
    reports: tuple[str, ...] = ("1", "2")
    signing_secret: str = ""  # Standard Webhooks, "whsec_..."; empty: unsigned
    time_zone: str = "America/Sao_Paulo"
    validity: int = 86_400
    strict_numbers: bool = False  # a leading "+" is refused
    fixed_lines: bool | None = None  # a text to a fixed line is tried; None: as its dialect has it
    international: bool = False  # 00 and another country's number are taken, by Directcall's API
    replace_accents: bool = True  # what GSM-7 lacks is sent without its accent, not as UCS-2
    max_segments: int = 10
    per_second: int = 0  # requests a second; 0: unlimited
    daily_quota: int = 0  # segments a day, in its time zone; 0: unlimited
    prepaid: bool = False  # it is charged in advance, and refused without balance
    price: int = 0  # of an SMS, in ten-thousandths of the currency
    voice_price: int = 0  # of a voice message
    low_balance: int = 0  # it is told when its balance falls below; 0: never
    currency: str = "BRL"  # what its prices and its balance are in (ISO 4217)
    token_seconds: int = 3600  # how long an access token of Directcall's API opens
    impediments_ok: bool = False  # impediments are answered with HTTP 200
    sends_by: tuple[str, ...] = ("http", "smpp")  # the ways by which it may send
    reports_by: str = "origin"  # where reports and replies go: the way their message came, or one
    smpp_binds: int = 4  # at once
    smpp_window: int = 64  # PDUs of its own without an answer, and of ours
    smpp_alphabet: str = "gsm"  # what its data_coding 0 means
    smpp_addresses: tuple[str, ...] = ()  # from where it may bind (CIDR); empty: from anywhere
    version: int = 0


class KeptPassword(Struct, frozen=True):
    """One password's keyed hash, and until when it opens the door (None: until it is rotated)."""

    digest: str
    until: float | None = None


class Login(Struct, frozen=True, kw_only=True):
    """A login name, whose cost centre it opens, and its passwords (two while they overlap)."""

    login: str
    cost_centre: str
    passwords: tuple[KeptPassword, ...]
    version: int = 0


def new_cost_centre_id() -> str:
    return str(uuid.uuid4())


def new_password() -> str:
    """144 random bits, in characters that need no escaping in a URL or a shell."""
    return secrets.token_urlsafe(18)


def new_smpp_system_id() -> str:
    """Ten characters of the fifteen that SMPP has for it (3.4, section 5.2.1)."""
    return f"cc{secrets.token_hex(4)}"


def new_smpp_password() -> str:
    """Eight characters, which is all that SMPP has (3.4, section 5.2.2): 46 random bits. Letters
    and digits that nobody takes for each other."""
    return "".join(secrets.choice(_UNAMBIGUOUS) for _ in range(8))


def new_signing_secret() -> str:
    """A Standard Webhooks secret: 192 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def digest(password: str, pepper: bytes) -> str:
    return hmac.new(pepper, password.encode(), hashlib.sha256).hexdigest()


def opens(login: Login, password: str, pepper: bytes, now: float) -> bool:
    """Whether this password opens this login now. Compares in constant time."""
    offered = digest(password, pepper)
    return any(  # the list is made whole: how long this takes tells nothing
        [
            hmac.compare_digest(offered, kept.digest) and (kept.until is None or now < kept.until)
            for kept in login.passwords
        ]
    )


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Login and password of an `Authorization: Basic` header (RFC 7617), or None."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        login, colon, password = (
            base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        )
    except ValueError:  # not Base64, not ASCII, not UTF-8
        return None
    return (login, password) if colon else None


_RANGES = {
    "validity": (5, 259_200),
    "max_segments": (1, 255),
    "per_second": (0, 1_000_000),
    "daily_quota": (0, 1_000_000_000),
    "price": (0, 1_000_000_000),
    "voice_price": (0, 1_000_000_000),
    "low_balance": (0, 1_000_000_000_000),
    "token_seconds": (60, 86_400),
    "smpp_binds": (1, 1_000),
    "smpp_window": (1, 1_000),
}


def checked(cost_centre: CostCentre) -> CostCentre:
    """The cost centre itself. Raises Invalid, naming the setting, where one makes no sense."""
    url = cost_centre.callback_url
    problems = {
        "name": not cost_centre.name.strip() and "must not be empty",
        "callback_url": bool(url) and not _is_http(url) and "must be an http or https URL",
        "callback_method": cost_centre.callback_method not in CALLBACK_METHODS
        and "must be POST or GET",
        "callback_get_form": cost_centre.callback_get_form not in GET_FORMS
        and "must be both, body or query",
        "reports": not set(cost_centre.reports) <= REPORT_KINDS and "must be 1,2, 1, 2 or none",
        "time_zone": not _is_time_zone(cost_centre.time_zone)
        and "is not a time zone of the IANA database",
        "currency": not _CURRENCY.fullmatch(cost_centre.currency)
        and "must be three capital letters, BRL for example",
        "sends_by": not _is_some_of(cost_centre.sends_by, METHODS)
        and "must be http,smpp, http or smpp",
        "reports_by": cost_centre.reports_by not in REPORTS_BY and "must be origin, http or smpp",
        "smpp_alphabet": cost_centre.smpp_alphabet not in SMPP_ALPHABETS
        and "must be gsm or latin1",
        "smpp_addresses": not all(_is_network(text) for text in cost_centre.smpp_addresses)
        and "must be IP addresses or networks, 192.0.2.0/24 for example",
    }
    for name, (low, high) in _RANGES.items():
        within = low <= getattr(cost_centre, name) <= high
        problems[name] = not within and f"must be between {low} and {high}"
    for name, problem in problems.items():
        if problem:
            raise Invalid(name, problem)
    return cost_centre


def _is_http(url: str) -> bool:
    """Whether a courier can read it."""
    from recado.addresses import place_of  # noqa: PLC0415 - few functions change settings

    if len(url) > _LONGEST_URL:
        return False
    try:
        place_of(url.partition("#")[0].partition("?")[0])
    except (ValueError, UnicodeError):
        return False
    return url.isprintable() and " " not in url


def _is_some_of(values: tuple[str, ...], allowed: frozenset[str]) -> bool:
    return bool(values) and len(set(values)) == len(values) and set(values) <= allowed


def _is_network(text: str) -> bool:
    from ipaddress import ip_network  # noqa: PLC0415 - few functions change settings

    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a directory, no name at all
        return False
    return True
