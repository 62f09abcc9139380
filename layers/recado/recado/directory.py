"""The directory: cost centres and logins as the hot path reads them."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from recado import tokens
from recado.costcentre import (
    CostCentre,
    KeptPassword,
    Login,
    basic_credentials,
    digest,
    opens,
)
from recado.engine import Store

_CACHED_SECONDS = 60.0
_CACHED_HEADERS = 10_000  # a client may ask for a token before each request, and each is a header

# In place of a login that there is not: no digest is that.
_NOBODY = Login(login="", cost_centre="nobody", passwords=(KeptPassword("-" * 64),))


class Client(Struct, frozen=True):
    """Who came with a login and its password: what a token is made of."""

    login: Login
    cost_centre: CostCentre
    digest: str


class Directory:
    """Cost centres and logins, cached for 60 s in each environment.

    An unknown login is never cached, so a new customer gets in at once and guessing fills nothing.
    The pepper is read when somebody first authenticates: functions to which no customer comes
    need not be able to.
    """

    def __init__(
        self, store: Store, read_pepper: Callable[[], bytes], clock: Callable[[], float]
    ) -> None:
        self._store, self._read_pepper, self._clock = store, read_pepper, clock
        self._by_id: dict[str, tuple[float, CostCentre | None]] = {}
        self._by_header: dict[str, tuple[float, CostCentre]] = {}

    def forget(self) -> None:
        """Read everything anew: the configuration has changed."""
        self._by_id.clear()
        self._by_header.clear()

    def cost_centre(self, identifier: str) -> CostCentre | None:
        now = self._clock()
        cached = self._by_id.get(identifier)
        if cached and now < cached[0]:
            return cached[1]
        body = self._store.config("cost-centre", identifier)
        found = msgspec.json.decode(body, type=CostCentre) if body else None
        self._by_id[identifier] = (now + _CACHED_SECONDS, found)
        return found

    def authenticate(self, header: str) -> CostCentre | None:
        """The cost centre that this Authorization header opens ("Basic ..." or, with an access
        token, "Bearer ..."), suspended or not, or None."""
        now = self._clock()
        cached = self._by_header.get(header)
        if cached and now < cached[0]:
            return cached[1]
        self._by_header.pop(header, None)
        opened = self._opened(header, now)
        found = self.cost_centre(opened[0].cost_centre) if opened else None
        if opened and found is not None:
            if len(self._by_header) >= _CACHED_HEADERS:
                self._by_header.clear()
            # What ends sooner than the cache must end on time.
            self._by_header[header] = (min(now + _CACHED_SECONDS, opened[1]), found)
        return found

    def client(self, login: str, password: str) -> Client | None:
        """Who has this login and this password, suspended or not. Never cached."""
        record = self._login(login)
        if record is None or not opens(record, password, self._read_pepper(), self._clock()):
            return None
        found = self.cost_centre(record.cost_centre)
        if found is None:
            return None
        return Client(record, found, digest(password, self._read_pepper()))

    def smpp_client(self, system_id: str, password: str) -> Client | None:
        """Who has this system_id and this password, suspended or not. Never cached, for a bind is
        rare; and it reads and computes as much for a system_id that there is not."""
        record = self._smpp_login(system_id) or _NOBODY
        offered = digest(password, self._read_pepper())
        opened = opens(record, password, self._read_pepper(), self._clock())
        found = self._cost_centre_now(record.cost_centre)
        return Client(record, found, offered) if opened and found is not None else None

    def smpp_standing(self, system_id: str, password_digest: str) -> CostCentre | None:
        """The cost centre as it is now, while the password of that digest still opens this
        system_id. Never cached."""
        record = self._smpp_login(system_id)
        now = self._clock()
        stands = record is not None and any(
            kept.digest == password_digest and (kept.until is None or now < kept.until)
            for kept in record.passwords
        )
        return self._cost_centre_now(record.cost_centre) if record and stands else None

    def knows_system_id(self, system_id: str) -> bool:
        return self._smpp_login(system_id) is not None

    def _smpp_login(self, system_id: str) -> Login | None:
        if not system_id:
            return None
        body = self._store.config("smpp-login", system_id)
        return None if body is None else msgspec.json.decode(body, type=Login)

    def _cost_centre_now(self, identifier: str) -> CostCentre | None:
        body = self._store.config("cost-centre", identifier)
        return msgspec.json.decode(body, type=CostCentre) if body else None

    def _login(self, name: str) -> Login | None:
        body = self._store.config("login", name)
        return None if body is None else msgspec.json.decode(body, type=Login)

    def _opened(self, header: str, now: float) -> tuple[Login, float] | None:
        """The login that a header opens, and until when it certainly does."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            return self._opened_by_token(token.strip(), now)
        credentials = basic_credentials(header)
        login = self._login(credentials[0]) if credentials else None
        if credentials is None or login is None:
            return None
        if not opens(login, credentials[1], self._read_pepper(), now):
            return None
        # Whichever password it was: the first that ends.
        ends = [kept.until for kept in login.passwords if kept.until and kept.until > now]
        return login, min(ends, default=float("inf"))

    def _opened_by_token(self, token: str, now: float) -> tuple[Login, float] | None:
        name = tokens.login_in(token)
        login = self._login(name) if name else None
        if login is None:
            return None
        until = tokens.opens(token, login, self._read_pepper(), now)
        return (login, until) if until is not None else None
