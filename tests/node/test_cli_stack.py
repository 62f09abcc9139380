"""`recado --stack`: the commands on a stack in an account that an emulator plays."""

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import botocore.session
import pytest

from node.control import Command
from node.installation import TEMPLATE
from node.stack import ask_stack
from recado.engine import Mail
from recado.engine.aws.clients import Clients
from recado.expand import expand
from recado.ids import new_id
from recado.message import Message, State
from recado.operations import OPERATIONS
from recado.wiring import Deps, on_aws
from tests.support.aws import Stack
from tests.support.emulator import NO_EMULATOR, REGION, Emulator, available
from tests.support.processes import RECADO, Ran, environment, recado

NUMBER = "5534998887755"
API = "https://abc123.execute-api.sa-east-1.amazonaws.com"
CALLBACKS = "https://abc456.lambda-url.sa-east-1.on.aws"
SIMULATOR = f"{API}/simulator"
STACK, FULL, BARE = "sms", "sms-full", "no-sms"
SERVICES = ("cloudformation", "dynamodb", "iam", "lambda", "s3", "secretsmanager", "sqs")
_numbers = count(1)
needs_emulator = pytest.mark.skipif(not available(), reason=NO_EMULATOR)

# Whoever runs the tests may have an account; nothing of it may be asked, or reached by mistake.
NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SESSION_TOKEN": "",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": "",
}
SOMEBODY = {
    **NOBODY,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
}


@pytest.fixture(autouse=True)
def nobodys_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def session_at(endpoint: str) -> botocore.session.Session:
    """One whose clients ask an endpoint."""
    session = botocore.session.Session()
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("region", REGION)
    session.set_credentials("test", "test")
    session.full_config["profiles"]["default"] = {"endpoint_url": endpoint}
    return session


class Account:
    """Three stacks that share the template's tables, queues, bucket and secret: one as a first
    deployment makes it, one with a domain and a simulator, and one that is no Recado."""

    def __init__(self, endpoint: str) -> None:
        self.env = {**SOMEBODY, "AWS_ENDPOINT_URL": endpoint}
        self.session = session_at(endpoint)
        self.variables = {
            **Stack(Clients(self.session)).environment(),
            "RECADO_KEYRING_PREFIX": STACK,
        }
        public = {**self.variables, "RECADO_PUBLIC_BASE_URL": "https://sms.example"}
        outputs = {"ApiUrl": API, "CallbackUrl": CALLBACKS}
        self._deploy(STACK, "SendFunction", self.variables, outputs)
        self._deploy(FULL, "SendFunction", public, {**outputs, "SimulatorUrl": SIMULATOR})
        self._deploy(BARE, "OtherFunction", {}, {})

    def _deploy(
        self, name: str, function: str, variables: dict[str, str], outputs: dict[str, str]
    ) -> None:
        properties = {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": "arn:aws:iam::000000000000:role/any",
            "Code": {"ZipFile": "def handler(event, context): ..."},
            "Environment": {"Variables": variables},
        }
        template = {
            "Resources": {function: {"Type": "AWS::Lambda::Function", "Properties": properties}},
            "Outputs": {output: {"Value": value} for output, value in outputs.items()},
        }
        formation: Any = self.session.create_client("cloudformation")
        formation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        formation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    def deps(self) -> Deps:
        """As a function of the stack has them."""
        return on_aws(self.variables, Clients(session_at(self.env["AWS_ENDPOINT_URL"])))

    def recado(self, *arguments: str, stack: str = STACK, **env: str) -> Ran:
        return recado("--stack", stack, *arguments, env={**self.env, **env})

    def json(self, *arguments: str, stack: str = STACK) -> Any:
        return self.recado(*arguments, "--json", stack=stack).json()

    def problem(self, *arguments: str, stack: str = STACK, **env: str) -> str:
        return problem(self.recado(*arguments, stack=stack, **env))

    def create(self, *options: str) -> Any:
        return self.json("costcentre", "create", "--name", fresh(), *options)

    def connector(self, *options: str, stack: str = STACK) -> Any:
        kind = ("--kind", "simulator")
        return self.json("connector", "add", fresh(), *kind, *options, stack=stack)


def problem(ran: Ran) -> str:
    """The one line that a command ends with that could not do what it was asked."""
    assert (ran.code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    assert line.startswith("recado: ")
    return line


def fresh() -> str:
    return f"name-{next(_numbers)}"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    emulator = Emulator(tmp_path_factory.mktemp("aws"), SERVICES)
    with contextlib.closing(emulator):
        yield Account(emulator.endpoint)


# --- commands ------------------------------------------------------------------------------------


@needs_emulator
def test_a_cost_centre_made_from_here_opens_the_door_of_the_functions(account: Account) -> None:
    made = account.create("--login", fresh())
    token = base64.b64encode(f"{made['login']}:{made['password']}".encode()).decode()
    found = account.deps().directory.authenticate(f"Basic {token}")
    assert found is not None
    assert found.id == made["id"]
    assert account.json("costcentre", "show", made["login"])["id"] == made["id"]
    assert made["id"] in [shown["id"] for shown in account.json("costcentre", "list")]


@needs_emulator
def test_a_cost_centre_is_changed_suspended_and_given_a_new_password(account: Account) -> None:
    made = account.create("--callback-url", "https://customer.example/")
    changed = account.json("costcentre", "update", made["id"], "--per-second", "7")
    assert (changed["per_second"], changed["version"]) == (7, 1)
    assert account.json("costcentre", "suspend", made["id"])["suspended"] is True
    assert account.json("costcentre", "resume", made["id"])["suspended"] is False
    assert account.json("costcentre", "rotate", made["id"])["password"] != made["password"]


@needs_emulator
def test_a_login_that_is_taken_leaves_no_cost_centre_behind(account: Account) -> None:
    made = account.create("--login", fresh())
    before = account.json("costcentre", "list")
    line = account.problem("costcentre", "create", "--name", fresh(), "--login", made["login"])
    assert made["login"] in line
    assert account.json("costcentre", "list") == before


@needs_emulator
def test_a_message_sent_from_here_lies_on_the_stacks_queue(account: Account) -> None:
    connector = account.connector("--setting", "url=https://simulator.example")
    account.json("route", "add", "default", "--upstream", connector["name"])
    made = account.create()
    sent = account.json("send", "--cost-centre", made["id"], "--to", NUMBER, "oi")
    [queue] = [row for row in account.json("queue", "list") if row["queue"] == "Submit"]
    assert queue["ready"] == 1
    [received] = account.deps().engine.queue.receive("Submit", 10)
    assert sent["message_id"] in received.body
    assert "queued still" in account.problem("message", "show", sent["message_id"])
    assert account.json("route", "remove", "default") == {"removed": "default"}


@needs_emulator
def test_a_message_is_shown_with_what_is_kept_of_it(account: Account) -> None:
    made = account.create()
    at = account.deps().clock()
    message = Message(
        cost_centre=made["id"],
        id=new_id(at),
        dialect="zoug",
        state=State.DELIVERED,
        due_at=at,
        expires_at=at,
        accepted_at=at,
        text="oi",
    )
    account.deps().engine.store.create([message])
    assert account.json("message", "show", message.id)["state"] == "DELIVERED"


@needs_emulator
def test_reports_are_replayed_and_an_endpoint_is_opened_by_the_notify_queue(
    account: Account,
) -> None:
    made = account.create("--callback-url", "https://customer.example/")
    account.json("replay", "--cost-centre", made["id"], "--since", "2h")
    account.json("costcentre", "update", made["id"], "--callback-url", "https://other.example/")
    received = account.deps().engine.queue.receive("Notify", 10)
    assert received
    assert all(made["id"] in row.body for row in received)


@needs_emulator
def test_dead_letters_go_back_on_their_queue(account: Account) -> None:
    account.deps().engine.queue.bury("Inbound", "a callback", "simulator")
    rows = {row["queue"]: row for row in account.json("queue", "list")}
    assert (rows["Inbound"]["ready"], rows["Inbound"]["dead"]) == (0, 1)
    assert account.json("queue", "redrive", "inbound") == {"queue": "Inbound", "redriven": 1}
    [received] = account.deps().engine.queue.receive("Inbound", 10)
    assert received.body == "a callback"


@needs_emulator
def test_what_a_person_reads_is_what_one_machine_shows(account: Account) -> None:
    made = account.create()
    lines = account.recado("costcentre", "show", made["id"]).out.splitlines()
    assert ["id", made["id"]] in [line.split() for line in lines]
    assert account.recado("queue", "list").out.startswith("queue       ready  delayed  dead\n")


@needs_emulator
def test_it_runs_as_a_process_of_its_own_and_leaves_nothing_here(account: Account) -> None:
    env = environment({**account.env, "RECADO_STACK": STACK, "RECADO_DATA": "nowhere"})
    done = subprocess.run(
        [*RECADO, "costcentre", "list", "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(json.loads(done.stdout), list)


# --- connectors: what a stack knows of itself ----------------------------------------------------


@needs_emulator
def test_upstreams_are_told_the_url_at_which_no_call_is_paid_for(account: Account) -> None:
    made = account.connector("--setting", "url=https://simulator.example")
    path = f"/callback/{made['name']}/[A-Za-z0-9_-]{{22,}}"
    assert re.fullmatch(re.escape(CALLBACKS) + path, made["callback_url"])
    assert made["settings"]["callback_url"] == made["callback_url"]
    shown = account.json("connector", "show", made["name"], "--secrets")
    assert shown["callback_url"] == made["callback_url"]


@needs_emulator
def test_the_stacks_parameter_goes_before_the_url_of_the_function(account: Account) -> None:
    made = account.connector(stack=FULL)
    assert made["callback_url"].startswith(f"https://sms.example/callback/{made['name']}/")


@needs_emulator
def test_a_base_that_is_named_goes_before_both(account: Account) -> None:
    for stack in (STACK, FULL):
        options = ("--setting", "url=https://simulator.example", "--callback-base")
        made = account.connector(*options, "https://other.example/sms/", stack=stack)
        assert made["callback_url"].startswith("https://other.example/sms/callback/name-")


@needs_emulator
def test_the_stacks_own_simulator_is_found_unless_another_is_named(account: Account) -> None:
    assert account.connector(stack=FULL)["settings"]["url"] == SIMULATOR
    options = ("--setting", "url=https://simulator.example")
    made = account.connector(*options, stack=FULL)
    assert made["settings"]["url"] == "https://simulator.example"
    line = account.problem("connector", "add", fresh(), "--kind", "simulator")
    assert "url is missing" in line


# --- where the stack is looked for ---------------------------------------------------------------


@needs_emulator
def test_a_stack_that_does_not_exist_is_told_with_its_region(account: Account) -> None:
    line = account.problem("queue", "list", stack="nothing")
    assert "nothing" in line
    assert REGION in line


@needs_emulator
def test_a_stack_that_is_no_recado_is_told(account: Account) -> None:
    assert "no Recado" in account.problem("queue", "list", stack=BARE)


@needs_emulator
def test_the_region_that_is_named_goes_before_the_environments(account: Account) -> None:
    env = {**account.env, "AWS_DEFAULT_REGION": "eu-west-1"}
    assert "eu-west-1" in problem(recado("--stack", "x", "queue", "list", env=env))
    env |= {"AWS_REGION": "eu-west-2"}
    assert "eu-west-2" in problem(recado("--stack", "x", "queue", "list", env=env))
    options = ("--stack", "x", "--region", "eu-west-3")
    assert "eu-west-3" in problem(recado(*options, "queue", "list", env=env))
    options = ("--stack", STACK, "--region", REGION)
    assert recado(*options, "queue", "list", env=env).code == 0


# --- what is refused -----------------------------------------------------------------------------

ONE_MACHINE = [("up",), ("simulator", "--log", "x"), ("backup", "x"), ("restore", "x")]


@pytest.mark.parametrize("command", ONE_MACHINE)
def test_what_is_for_one_machine_takes_no_stack(command: tuple[str, ...]) -> None:
    for ran in (
        recado("--stack", STACK, *command, env=SOMEBODY),
        recado(*command, env={**SOMEBODY, "RECADO_STACK": STACK}),
    ):
        line = problem(ran)
        assert command[0] in line
        assert "one machine" in line


def test_a_directory_and_a_stack_at_once_are_refused() -> None:
    for ran in (
        recado("--stack", STACK, "queue", "list", "--data", "here", env=SOMEBODY),
        recado("queue", "list", "--data", "here", env={**SOMEBODY, "RECADO_STACK": STACK}),
    ):
        assert "--data" in problem(ran)


def test_a_stack_without_a_name_and_a_region_without_a_stack_are_refused() -> None:
    assert "--stack" in problem(recado("--stack", "", "queue", "list", env=SOMEBODY))
    assert "--region" in problem(recado("--region", REGION, "queue", "list", env=SOMEBODY))


def test_the_region_of_whoever_has_one_machine_is_no_matter() -> None:
    env = {**SOMEBODY, "AWS_REGION": REGION, "RECADO_DATA": "nowhere"}
    assert "no data directory" in problem(recado("queue", "list", env=env))


def test_an_account_without_credentials_or_region_is_told() -> None:
    line = problem(recado("--stack", STACK, "queue", "list", env=NOBODY))
    assert "region" in line
    options = ("--stack", STACK, "--region", REGION)
    assert "credentials" in problem(recado(*options, "queue", "list", env=NOBODY))
    env = {**NOBODY, "AWS_PROFILE": "nobody"}
    assert "nobody" in problem(recado(*options, "queue", "list", env=env))


def test_an_account_that_can_not_be_reached_is_told() -> None:
    assert "127.0.0.1:1" in problem(recado("--stack", STACK, "queue", "list", env=SOMEBODY))


@pytest.mark.parametrize("region", ["", "not a region"])
def test_a_region_that_can_be_none_is_told(region: str) -> None:
    env = {**SOMEBODY, "AWS_ENDPOINT_URL": ""}
    line = problem(recado("--stack", STACK, "--region", region, "queue", "list", env=env))
    assert "AWS" in line
    line = problem(
        recado("--stack", STACK, "queue", "list", env={**SOMEBODY, "AWS_ENDPOINT_URL": "nonsense"})
    )
    assert "nonsense" in line


def test_without_boto3_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['botocore'] = None\n"
        "from node.cli import main; sys.argv[1:] = ['--stack', 'sms', 'queue', 'list']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(SOMEBODY),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "recado: --stack needs boto3, which is not installed: pip install 'recado[aws]'\n"
    )


class NaySayer(BaseHTTPRequestHandler):
    """AWS as it refuses: the same answer to every request."""

    refusal: tuple[int, bytes] = (500, b"")

    def do_POST(self) -> None:
        status, body = self.refusal
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """To nobody."""


@contextlib.contextmanager
def refusing(status: int, body: str) -> Iterator[str]:
    """The URL of an AWS that refuses everything."""
    handler = type("Refusing", (NaySayer,), {"refusal": (status, body.encode())})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def as_xml(code: str, message: str) -> str:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f"<ErrorResponse>{error}</ErrorResponse>"


@pytest.mark.parametrize(
    ("status", "code", "message", "told"),
    [
        (403, "AccessDenied", "User: x is not\n authorized", "denies DescribeStackResource: User"),
        (400, "Throttling", "Rate exceeded", "slower (DescribeStackResource: Throttling)"),
        (403, "ExpiredToken", "The security token is expired", "(ExpiredToken): The security"),
    ],
)
def test_what_cloudformation_refuses_is_told_in_one_line(
    status: int, code: str, message: str, told: str
) -> None:
    with refusing(status, as_xml(code, message)) as url:
        line = problem(
            recado("--stack", STACK, "queue", "list", env={**SOMEBODY, "AWS_ENDPOINT_URL": url})
        )
    assert told in line
    assert ("docs/operating.md" in line) == (code == "AccessDenied")


@needs_emulator
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AccessDeniedException", "denies Query"),
        ("ThrottlingException", "slower (Query"),
        ("ResourceNotFoundException", "refused Query (ResourceNotFoundException)"),
    ],
)
def test_what_a_table_refuses_is_told_in_one_line(account: Account, code: str, told: str) -> None:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"})
    with refusing(400, body) as url:
        line = account.problem("costcentre", "list", AWS_ENDPOINT_URL_DYNAMODB=url)
    assert told in line


@needs_emulator
def test_a_connector_to_an_smsc_is_kept_without_its_password_and_tested_elsewhere(
    account: Account,
) -> None:
    name, password = fresh(), "s3gred0!"
    settings = ("host=smsc.example", "system_id=nos", f"password={password}")
    options = [f"--setting={setting}" for setting in settings]
    made = account.json("connector", "add", name, "--kind", "smpp", *options)
    assert (made["settings"]["password"], "callback_url" in made) == ("***", False)
    upstream = account.deps().engine.store.config("upstream", name)
    assert upstream is not None
    assert password not in upstream.decode()
    assert account.deps().keyring.get(f"connector/{name}/password") == password
    assert "not from here" in account.problem("connector", "test", name)
    assert account.json("connector", "remove", name) == {"removed": name}
    assert account.deps().keyring.get(f"connector/{name}/password") is None


# --- what the operator has to be allowed ---------------------------------------------------------

# What an action is called in a policy, where the call has another name.
_ACTIONS = {
    "sqs:SendMessageBatch": {"sqs:SendMessage"},
    "sqs:DeleteMessageBatch": {"sqs:DeleteMessage"},
    "s3:HeadObject": {"s3:GetObject"},
    # What a transaction may hold of ours.
    "dynamodb:TransactWriteItems": {"dynamodb:PutItem", "dynamodb:UpdateItem"},
}


def called(account: Account) -> set[str]:
    """The actions that every operation once takes."""
    seen: set[str] = set()

    def note(**told: Any) -> None:
        model = told["model"]
        name = f"{model.service_model.endpoint_prefix}:{model.name}"
        seen.update(_ACTIONS.get(name, {name}))

    account.session.register("before-call", note, unique_id="note")
    done: set[str] = set()

    def ask(operation: str, stack: str = STACK, **arguments: Any) -> Any:
        answer = ask_stack(stack, None, Command(operation, arguments), account.session)
        assert answer.problem is None
        done.add(operation)
        return answer.result

    try:
        _every_operation(ask, account)
    finally:
        account.session.unregister("before-call", note, unique_id="note")
    assert done == OPERATIONS.keys()
    return seen


def _every_operation(ask: Any, account: Account) -> None:
    who, upstream, route = fresh(), fresh(), fresh()
    ask("costcentre_create", name=who, callback_url="https://customer.example/")
    ask("costcentre_update", which=who, callback_url="https://customer.example/", per_second=9)
    ask("connector_add", stack=FULL, name=upstream, kind="simulator")
    ask("connector_add", name=fresh(), kind="simulator", settings={"url": "https://sim.example"})
    ask("connector_update", name=upstream, concurrency=5)
    ask("connector_show", name=upstream)
    ask("connector_pause", name=upstream)
    ask("connector_resume", name=upstream)
    ask("connector_test", name=upstream)
    _smsc(ask)
    ask("connector_list")
    ask("route_add", name=route, upstream=upstream)
    ask("route_test", number=NUMBER)
    ask("route_update", name=route, cost_centre=who)
    ask("route_list")
    sent = ask("send_message", which=who, to=NUMBER, text="oi")["message_id"]
    assert sent
    at = account.deps().clock()
    batch = {"dialect": "zoug", "state": State.DELIVERED, "due_at": at, "expires_at": at}
    owner = ask("costcentre_show", which=who)["id"]
    message = Message(cost_centre=owner, id=new_id(at), accepted_at=at, **batch)  # type: ignore[arg-type] # their types are mixed
    account.deps().engine.store.create([message])
    ask("message_show", identifier=message.id)
    ask("replay", which=who, since=at - 60)
    account.deps().engine.queue.bury("Inbound", "x", "simulator")
    ask("queue_list")
    ask("queue_redrive", name="Inbound")
    ask("route_remove", name=route)
    ask("connector_remove", name=upstream)
    ask("costcentre_rotate", which=who)
    ask("costcentre_rotate", which=who, smpp=True)
    ask("costcentre_suspend", which=who)
    ask("costcentre_resume", which=who)
    ask("costcentre_list")
    _money(ask, who)
    _schedules(ask, account, who)
    _files(ask, account, who)
    account.deps().engine.store.post(
        [Mail(owner, f"{int(at * 1000):013d}#{message.id}#2", "{}", at + 60)]
    )
    assert ask("mailbox_list", which=who)[0]["waiting"] == 1
    assert ask("mailbox_drop", which=who)["dropped"] == 1


def _smsc(ask: Any) -> None:
    """What has a secret in the keyring."""
    name, settings = fresh(), {"host": "smsc.example", "system_id": "nos", "password": "s3gred0"}
    made = ask("connector_add", name=name, kind="smpp", settings=settings)
    assert made["settings"]["password"] == "***"
    ask("connector_update", name=name, settings={"password": "another"})
    ask("connector_remove", name=name)


def _money(ask: Any, who: str) -> None:
    ask("credit_add", which=who, amount="10")
    ask("credit_show", which=who)
    ask("credit_ledger", which=who)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    ask("usage", since=str(yesterday), which=who)


def _schedules(ask: Any, account: Account, who: str) -> None:
    ask("route_add", name=fresh(), upstream=ask("connector_list")[0]["name"])
    waiting = _file(ask, account, who, send_at=account.deps().clock() + 3_600)
    ask("bulk_send", identifier=waiting)
    ask("schedule_list", which=who)
    ask("schedule_move", identifier=waiting, to=account.deps().clock() + 7_200)
    ask("schedule_cancel", identifier=waiting)


def _files(ask: Any, account: Account, who: str) -> None:
    sent = _file(ask, account, who)
    for act in ("send", "pause", "resume", "show", "cancel"):
        ask(f"bulk_{act}", identifier=sent)
    ask("bulk_list", which=who)


def _file(ask: Any, account: Account, who: str, **fields: Any) -> str:
    """A file that was checked, by a function of the stack; its id."""
    made = ask("bulk_create", which=who, text="oi", **fields)
    functions = account.deps()
    functions.engine.blobs.put(made["blob"], f"telefone\n{NUMBER}\nabc\n".encode())
    identifier: str = made["bulk_id"]
    ask("bulk_check", identifier=identifier)
    while ask("bulk_show", identifier=identifier)["state"] == "checking":
        received = functions.engine.queue.receive("Expand", 1)
        for row in received:
            expand(row.body, functions)
        functions.engine.queue.done(received)
    return identifier


@needs_emulator
def test_the_guide_lists_the_actions_that_the_commands_take_and_no_other(account: Account) -> None:
    guide = (TEMPLATE.parent / "docs" / "operating.md").read_text()
    listed = set(
        re.findall(r"`((?:cloudformation|lambda|dynamodb|sqs|s3|secretsmanager):\w+)`", guide)
    )
    # The URL to which `bulk send` puts a file is signed with the operator's own credentials.
    assert listed == called(account) | {"s3:PutObject"}
