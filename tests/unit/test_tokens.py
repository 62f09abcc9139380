"""Access tokens: whom they open for, and until when."""

import base64

import pytest
from msgspec.structs import replace

from recado.costcentre import KeptPassword, Login, digest
from recado.tokens import issue, login_in, opens

PEPPER, NOW = b"pepper", 1_780_000_000.0
SECRET, NEWER = digest("segredo", PEPPER), digest("outro segredo", PEPPER)
ANA = Login(login="ana@exemplo.com.br", cost_centre="1", passwords=(KeptPassword(SECRET),))


def token_of(login: Login = ANA, seconds: float = 3600.0) -> str:
    return issue(login.login, SECRET, PEPPER, NOW, seconds)


def raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def written(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("login", ["ana", "ana@exemplo.com.br", "cliente çedilha", "a" * 255])
def test_a_token_opens_the_login_that_it_was_given_for(login: str) -> None:
    who = replace(ANA, login=login)
    token = token_of(who)
    assert login_in(token) == login
    assert opens(token, who, PEPPER, NOW) == NOW + 3600


def test_a_token_needs_no_escaping_in_a_url_or_a_form() -> None:
    tokens = [token_of() for _ in range(50)]
    assert all(token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_no_two_tokens_are_alike() -> None:
    assert len({token_of() for _ in range(50)}) == 50


def test_a_token_ends_to_the_millisecond() -> None:
    token = token_of(seconds=60)
    assert opens(token, ANA, PEPPER, NOW + 59.999) == NOW + 60
    assert opens(token, ANA, PEPPER, NOW + 60) is None
    assert login_in(token) == ANA.login


def test_a_token_ends_with_the_password_that_it_was_given_for() -> None:
    rotated = replace(ANA, passwords=(KeptPassword(NEWER),))
    assert opens(token_of(), rotated, PEPPER, NOW) is None


def test_while_two_passwords_overlap_a_token_of_the_old_one_opens_until_that_ends() -> None:
    kept = (KeptPassword(NEWER), KeptPassword(SECRET, NOW + 100))
    overlapping = replace(ANA, passwords=kept)
    assert opens(token_of(), overlapping, PEPPER, NOW) == NOW + 100
    assert opens(token_of(), overlapping, PEPPER, NOW + 100) is None
    new = issue(ANA.login, NEWER, PEPPER, NOW, 3600)
    assert opens(new, overlapping, PEPPER, NOW + 100) == NOW + 3600


def test_a_token_never_outlives_its_own_time_though_its_password_does() -> None:
    kept = replace(ANA, passwords=(KeptPassword(SECRET, NOW + 9999),))
    assert opens(token_of(seconds=60), kept, PEPPER, NOW) == NOW + 60


def test_a_token_opens_no_other_login_and_nothing_under_another_pepper() -> None:
    assert opens(token_of(), replace(ANA, login="bia"), PEPPER, NOW) is None
    assert opens(token_of(), ANA, b"paprika", NOW) is None


def test_a_login_without_passwords_is_opened_by_nothing() -> None:
    assert opens(token_of(), replace(ANA, passwords=()), PEPPER, NOW) is None


def test_no_byte_of_a_token_can_be_changed() -> None:
    content = raw(token_of())
    for place in range(len(content)):
        forged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        token = written(forged)
        login = login_in(token)
        who = ANA if login is None else replace(ANA, login=login)
        assert opens(token, who, PEPPER, NOW) is None, place


def test_the_digest_of_a_password_as_it_is_kept_makes_no_token() -> None:
    kept = base64.urlsafe_b64encode(bytes.fromhex(SECRET)).decode()
    assert opens(kept, ANA, PEPPER, NOW) is None
    forged = issue(ANA.login, SECRET, b"", NOW, 3600)  # all that a reader of the store has
    assert opens(forged, ANA, PEPPER, NOW) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: " " + token,
        lambda token: token[:10] + "\n" + token[10:],
        lambda token: token[:10] + "!" + token[10:],
        lambda token: token.replace("-", "+").replace("_", "/") + "*",
    ],
)
def test_a_token_is_written_in_one_way_only(change: object) -> None:
    assert callable(change)
    other = change(token_of())
    assert login_in(other) is None
    assert opens(other, ANA, PEPPER, NOW) is None


@pytest.mark.parametrize(
    "nonsense", ["", "a", "=", "ana", "é", "\ud800", "A" * 72, "A" * 100_000, written(b"\xff" * 80)]
)
def test_what_is_no_token_names_nobody_and_opens_nothing(nonsense: str) -> None:
    assert login_in(nonsense) is None
    assert opens(nonsense, ANA, PEPPER, NOW) is None
