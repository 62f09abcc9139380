"""Where a function's dependencies come from."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from recado import configuration, costcentre, operations, wiring
from recado.errors import Misconfigured
from recado.http import Outgoing, Unreached
from recado.settings import Settings
from recado.wiring import Deps, assemble
from tests.support.aws import Account
from tests.support.world import START, World


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account(START)
    yield made
    made.close()


@pytest.fixture
def on_lambda(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An environment of Lambda before its first event."""
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    wiring.use(None)
    yield account
    wiring.use(None)


def _login(deps: Deps) -> str:
    """An Authorization header that opens a cost centre."""
    operations.costcentre_create(deps, name="Ana", login="ana", password="segredo")
    return "Basic YW5hOnNlZ3JlZG8="


def test_without_an_engine_there_are_no_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECADO_ENGINE", raising=False)
    wiring.use(None)
    with pytest.raises(Misconfigured, match="recado up"):
        wiring.deps()


def test_what_is_given_is_used_whatever_the_environment_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECADO_ENGINE", "aws")
    assert wiring.deps() is world.deps


def test_on_lambda_they_are_what_the_templates_variables_name(on_lambda: Account) -> None:
    deps = wiring.deps()
    deps.engine.store.put_config("route", "r", b"{}", 0)
    other = on_lambda.engine(lambda: START, 90 * 86_400.0)
    assert other.store.config("route", "r") == b"{}"
    assert (deps.settings.retention_days, deps.settings.private_callbacks) == (90, None)
    assert deps.clock() == START


def test_they_are_made_once_in_an_environment(on_lambda: Account) -> None:
    assert wiring.deps() is wiring.deps()


@pytest.mark.parametrize("variable", ["RECADO_MESSAGES_TABLE", "RECADO_PEPPER_SECRET"])
def test_a_variable_that_is_missing_is_named(
    on_lambda: Account, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(Misconfigured, match=variable):
        wiring.deps()


def test_the_pepper_is_fetched_once_and_only_where_somebody_authenticates(account: Account) -> None:
    fetched: list[bytes] = []

    def pepper() -> bytes:
        fetched.append(b"pepper")
        return b"pepper"

    engine = account.engine(lambda: START, 90 * 86_400.0)
    deps = assemble(engine, pepper, lambda _: [], Settings(), lambda: START)
    assert deps.directory.cost_centre("nobody") is None
    assert fetched == []
    header = _login(deps)
    assert fetched == [b"pepper"]
    assert deps.directory.authenticate("Basic YW5hOmVycmFkbw==") is None
    found = deps.directory.authenticate(header)
    assert found
    assert found.name == "Ana"
    assert (deps.pepper, fetched) == (b"pepper", [b"pepper"])


def test_on_lambda_passwords_are_hashed_under_the_secret_of_the_template(
    on_lambda: Account,
) -> None:
    deps = wiring.deps()
    header = _login(deps)
    assert deps.pepper == b"pepper"
    [login] = configuration.logins(deps)
    assert login.passwords[0].digest == costcentre.digest("segredo", b"pepper")
    found = deps.directory.authenticate(header)
    assert found is not None


def test_a_cold_start_loads_neither_the_courier_nor_boto3_nor_what_one_machine_needs(
    account: Account,
) -> None:
    """Each of them would take a tenth of a second or more, of every customer's first request."""
    script = (
        "import sys\n"
        "from recado import accept, callback, query, wiring\n"
        "wiring.deps()\n"
        "unwanted = {'requests', 'boto3', 's3transfer', 'sqlite3', 'greenlet', 'uvloop', 'node'}\n"
        "print(sorted(unwanted & sys.modules.keys()), 'botocore' in sys.modules)\n"
    )
    names = {**os.environ, **account.environment(), "AWS_DEFAULT_REGION": "sa-east-1"}
    run = subprocess.run(
        [sys.executable, "-c", script], env=names, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("[] True\n", "")


def test_the_courier_is_made_when_there_is_first_something_to_carry(on_lambda: Account) -> None:
    asked = Outgoing("GET", "http://127.0.0.1:1/", {})  # a private address: refused unasked
    [answer] = wiring.deps().exchange([asked])
    assert isinstance(answer, Unreached)
    assert not answer.sent
