"""Access tokens: what Directcall's API gives for a client's id and secret, opaque and short-lived.

A token is base64url of

    expiry (6 bytes, milliseconds since 1970) | random (16) | MAC (32) | login (UTF-8)

and is kept nowhere. The MAC (HMAC-SHA-256) covers the digest of the password that the token was
given for, too: a token opens as long as that password does, and no longer than its own time. (What
a token looks like is not in the document. Its validity of an hour by default is that of the public
clients.)
"""

import base64
import binascii
import hmac
import secrets

from recado.costcentre import Login

_EXPIRY, _RANDOM, _MAC = 6, 16, 32
_HEAD = _EXPIRY + _RANDOM + _MAC
_LONGEST_LOGIN = 1024  # bytes: 255 characters
# What the pepper makes a token's key of. No password in UTF-8 has this byte, so no password's
# digest is ever that key.
_PURPOSE = b"\xffaccess token"


def issue(login: str, password_digest: str, pepper: bytes, now: float, seconds: float) -> str:
    """A new token for a login, whose password of that digest was offered, for so many seconds."""
    expiry = int((now + seconds) * 1000).to_bytes(_EXPIRY)
    random = secrets.token_bytes(_RANDOM)
    mac = _mac(expiry + random, login, password_digest, pepper)
    return _text(expiry + random + mac + login.encode())


def login_in(token: str) -> str | None:
    """The login that a token says it is for, not yet believed; None where it is no token."""
    content = _content(token)
    try:
        return content[_HEAD:].decode() if content else None
    except UnicodeDecodeError:
        return None


def opens(token: str, login: Login, pepper: bytes, now: float) -> float | None:
    """Until when this token opens this login, in seconds since 1970: the sooner of its own end and
    its password's. None where it does not open it now. Compares in constant time."""
    content = _content(token)
    if content is None or content[_HEAD:] != login.login.encode():
        return None
    head, mac = content[: _EXPIRY + _RANDOM], content[_EXPIRY + _RANDOM : _HEAD]
    expiry = int.from_bytes(content[:_EXPIRY]) / 1000
    ends = [  # the list is made whole: how long this takes tells nothing
        min(expiry, expiry if kept.until is None else kept.until)
        if hmac.compare_digest(mac, _mac(head, login.login, kept.digest, pepper))
        else 0.0
        for kept in login.passwords
    ]
    end = max(ends, default=0.0)
    return end if now < end else None


def _mac(head: bytes, login: str, password_digest: str, pepper: bytes) -> bytes:
    # The login comes last: all before it has a fixed length, so nothing can pass for another.
    key = hmac.digest(pepper, _PURPOSE, "sha256")
    return hmac.digest(key, head + password_digest.encode() + login.encode(), "sha256")


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _content(token: str) -> bytes | None:
    """A token's bytes, where it is written as we write it and not otherwise."""
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error):  # not ASCII, no Base64
        return None
    # Python's decoder skips what it does not know, and each way to write it would be cached.
    if not _HEAD < len(content) <= _HEAD + _LONGEST_LOGIN or _text(content) != token:
        return None
    return content
