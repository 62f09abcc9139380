"""The logins and passwords of cost centres, as operators make and change them.

Each has two: one for HTTP, and one for SMPP, which has 15 and 8 characters for them (3.4, sections
5.2.1 and 5.2.2).
"""

import re

from msgspec.structs import replace

from recado.configuration import logins, put, remove, smpp_logins
from recado.costcentre import (
    KeptPassword,
    Login,
    digest,
    new_password,
    new_smpp_password,
    new_smpp_system_id,
)
from recado.errors import Conflict, Invalid, NotFound
from recado.wiring import Deps

_HTTP, _SMPP = "login", "smpp-login"  # kinds of configuration records: a Login by its name
_SHORTEST_PASSWORD = 6
_LONGEST_LOGIN = 255
# ASCII without blanks: one octet a character, and the field's last octet is a NUL.
_SYSTEM_ID = re.compile(r"[!-~]{1,15}")
_SMPP_PASSWORD = re.compile(r"[!-~]{1,8}")


def make_login(cost_centre: str, name: str, password: str | None, deps: Deps) -> tuple[Login, str]:
    """A new login for HTTP, and its password, made up where none is given. Raises Invalid, and
    Conflict where the login is taken."""
    if ":" in name or not name.isprintable() or not name.strip():
        raise Invalid("login", "must be printable and without a colon")
    if len(name) > _LONGEST_LOGIN:  # it is part of each access token
        raise Invalid("login", f"may have at most {_LONGEST_LOGIN} characters")
    if password and len(password) < _SHORTEST_PASSWORD:
        raise Invalid("password", f"must have at least {_SHORTEST_PASSWORD} characters")
    password = password or new_password()
    login = _login(name, cost_centre, password, deps)
    if not put(_HTTP, name, login, deps):
        raise Conflict(f"the login {name} is taken")
    return login, password


def make_smpp_login(
    cost_centre: str, system_id: str | None, password: str | None, deps: Deps
) -> tuple[Login, str]:
    """A new login for SMPP, and its password; what is not given is made up. Raises Invalid, and
    Conflict where the system_id is taken."""
    system_id = new_smpp_system_id() if system_id is None else system_id
    password = new_smpp_password() if password is None else password
    if not _SYSTEM_ID.fullmatch(system_id):
        raise Invalid("smpp_system_id", "must have 1 to 15 ASCII characters, and no blanks")
    if not _SMPP_PASSWORD.fullmatch(password):
        raise Invalid("smpp_password", "must have 1 to 8 ASCII characters, and no blanks")
    login = _login(system_id, cost_centre, password, deps)
    if not put(_SMPP, system_id, login, deps):
        raise Conflict(f"the SMPP system_id {system_id} is taken")
    return login, password


def unmake_smpp_login(login: Login, deps: Deps) -> None:
    """Takes one back that was just made."""
    remove(_SMPP, login.login, login.version, deps)


def _login(name: str, cost_centre: str, password: str, deps: Deps) -> Login:
    kept = KeptPassword(digest(password, deps.pepper))
    return Login(login=name, cost_centre=cost_centre, passwords=(kept,))


def rotate_login(cost_centre: str, overlap: float, deps: Deps) -> tuple[Login, str]:
    """A new password for HTTP; the old one opens for `overlap` seconds more. Raises NotFound, and
    Conflict."""
    login = next((login for login in logins(deps) if login.cost_centre == cost_centre), None)
    if login is None:
        raise NotFound(f"the cost centre {cost_centre} has no login")
    return _rotated(_HTTP, login, new_password(), overlap, deps)


def rotate_smpp_login(cost_centre: str, overlap: float, deps: Deps) -> tuple[Login, str]:
    """The same for SMPP; whoever has no login there gets one."""
    found = (login for login in smpp_logins(deps) if login.cost_centre == cost_centre)
    login = next(found, None)
    if login is None:
        return make_smpp_login(cost_centre, None, None, deps)
    return _rotated(_SMPP, login, new_smpp_password(), overlap, deps)


def _rotated(
    kind: str, login: Login, password: str, overlap: float, deps: Deps
) -> tuple[Login, str]:
    now = deps.clock()
    until = now + overlap
    kept = [
        KeptPassword(old.digest, min(until, old.until or until))
        for old in login.passwords
        if overlap > 0 and (old.until is None or old.until > now)
    ]
    passwords = (KeptPassword(digest(password, deps.pepper)), *kept)
    changed = replace(login, passwords=passwords, version=login.version + 1)
    if not put(kind, login.login, changed, deps):
        raise Conflict("somebody else has just rotated this password: look, and try again")
    return changed, password
