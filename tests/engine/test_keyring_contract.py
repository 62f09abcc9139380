"""What every keyring has to do, sentence by sentence of recado.keyring.Keyring; and where each puts
its secrets."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recado.engine.aws.keyring import SecretsKeyring
from recado.engine.embedded.keyring import FolderKeyring
from recado.errors import Misconfigured
from recado.keyring import NO_KEYS, Keyring
from recado.wiring import on_aws
from tests.engine.conftest import START
from tests.support.aws import Account

Open = Callable[[], Keyring]
"""A keyring as another process opens it, on what the ones before it left."""

PREFIX = "recado/upstreams"
NAME = "connector/claro/password"


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account(START, ("Submit",))
    yield made
    made.close()


@pytest.fixture(params=["aws", "embedded"])
def keyring(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "embedded":
        return lambda: FolderKeyring(tmp_path / "secrets")
    account: Account = request.getfixturevalue("account")
    return lambda: SecretsKeyring(account.clients(), PREFIX)


def test_a_secret_is_there_for_whoever_opens_the_keyring_next(keyring: Open) -> None:
    keyring().put(NAME, "s3nh@ \r\n ção\n")
    assert keyring().get(NAME) == "s3nh@ \r\n ção\n"


def test_there_is_no_secret_that_nobody_put_there(keyring: Open) -> None:
    assert keyring().get(NAME) is None
    keyring().put("connector/claro/passwor", "a")
    keyring().put(f"{NAME}s", "b")
    assert keyring().get(NAME) is None
    assert keyring().get("connector/claro") is None


def test_a_secret_goes_over_the_one_that_had_its_name(keyring: Open) -> None:
    ring = keyring()
    ring.put(NAME, "a longer one than the next")
    ring.put(NAME, "next")
    assert ring.get(NAME) == keyring().get(NAME) == "next"


def test_what_is_removed_is_gone_and_may_be_removed_again(keyring: Open) -> None:
    ring = keyring()
    ring.remove(NAME)
    ring.put(NAME, "a")
    ring.put("other", "b")
    for _ in range(2):
        ring.remove(NAME)
        assert keyring().get(NAME) is None
    assert keyring().get("other") == "b"


def test_a_name_that_was_removed_is_free_at_once(keyring: Open) -> None:
    ring = keyring()
    for secret in ("one", "two"):
        ring.put(NAME, secret)
        assert ring.get(NAME) == secret
        ring.remove(NAME)


def test_secrets_of_any_name_are_kept_apart(keyring: Open) -> None:
    names = ["a/b", "a%2Fb", "a=2Fb", "a", "..", ".", "../a", "/a", "a/", "ção", "a b", "x" * 200]
    ring = keyring()
    for name in names:
        ring.put(name, f"secret of {name}")
    again = keyring()
    assert {name: again.get(name) for name in names} == {n: f"secret of {n}" for n in names}


# --- on one machine ------------------------------------------------------------------------------


def test_nobody_else_may_read_what_is_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    ring = FolderKeyring(folder)
    for name in (NAME, "..", "../outside"):
        ring.put(name, "a")
        ring.put(name, "b")
    files = list(folder.iterdir())
    assert len(files) == 3
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert [path.name for path in tmp_path.iterdir()] == ["secrets"]


def test_a_secret_that_can_not_be_written_leaves_the_one_before_it_and_no_draft(
    tmp_path: Path,
) -> None:
    ring = FolderKeyring(tmp_path / "secrets")
    ring.put(NAME, "before")
    with pytest.raises(UnicodeEncodeError):
        ring.put(NAME, "half of it \ud800")
    assert ring.get(NAME) == "before"
    assert len(list((tmp_path / "secrets").iterdir())) == 1


# --- on AWS --------------------------------------------------------------------------------------


def test_all_secrets_lie_under_the_prefix(account: Account) -> None:
    clients = account.clients()
    before = _names(account)
    ring = SecretsKeyring(clients, f"{PREFIX}/")
    ring.put(NAME, "a")
    ring.put("ção com espaço", "b")
    new = _names(account) - before
    assert new == {f"{PREFIX}/{NAME}", f"{PREFIX}/=C3=A7=C3=A3o=20com=20espa=C3=A7o"}
    assert SecretsKeyring(clients, "another").get(NAME) is None


def _names(account: Account) -> set[str]:
    return {one["Name"] for one in account.clients().secrets.list_secrets()["SecretList"]}


def test_a_process_has_the_keyring_that_its_environment_names(account: Account) -> None:
    environment = {**account.environment(), "RECADO_KEYRING_PREFIX": PREFIX}
    on_aws(environment, account.clients()).keyring.put(NAME, "a")
    assert SecretsKeyring(account.clients(), PREFIX).get(NAME) == "a"


def test_where_the_environment_names_none_there_is_no_place_for_secrets(account: Account) -> None:
    environment = dict(account.environment())
    environment.pop("RECADO_KEYRING_PREFIX", None)
    deps = on_aws(environment, account.clients())
    assert deps.keyring is NO_KEYS
    assert not deps.holds_binds
    with pytest.raises(Misconfigured, match="no place for secrets"):
        deps.keyring.put(NAME, "a")
