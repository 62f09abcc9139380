"""The container between a customer and an SMSC, over a simulated AWS, with the functions before and
behind it; and its role, held against all that it asked AWS for."""

import asyncio
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recado.customers import costcentre_create
from recado.dispatch import BIND_BULK_QUEUE, BIND_QUEUE
from recado.message import State
from recado.route_operations import route_add
from recado.smpp import pdu as wire
from recado.smpp import status
from recado.upstreams import connector_add
from recado.wiring import Deps
from smpp.aws_hands import deps_for_container
from smpp.probe import is_well
from tests.engine.test_privileges import _named, _needs
from tests.support.aws import Stack, clients_at
from tests.support.aws_world import AwsWorld
from tests.support.emulator import NO_EMULATOR, REGION, Emulator, available
from tests.support.metering import Call
from tests.support.processes import Process, free_port, until
from tests.support.smpp_asking import cancel_sm, query_sm, replace_sm, submit_multi, submit_sm
from tests.support.smpp_container import PATIENCE, PREFIX, Scene, one_at_a_time
from tests.support.smpp_wire import Wire
from tests.support.smsc import Said, Smsc
from tests.support.smsc_binds import NAME
from tests.template.resolved import resolved
from tests.template.test_smpp import SMPP, TEMPLATE

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one_at_a_time(monkeypatch)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with AwsWorld(tmp_path) as aws, Smsc() as smsc:
        yield Scene(aws, smsc)


def _receipt(identifier: str) -> bytes:
    text = f"id:{identifier} sub:001 dlvrd:001 submit date:2605281200 done date:2605281201"
    return submit_sm(f"{text} stat:DELIVRD err:000 text:oi".encode(), esm_class=4)


async def _delivered(customer: Wire) -> bytes:
    """The body of the next deliver_sm, which is answered."""
    pdu = await customer.read()
    assert pdu.command == wire.DELIVER_SM
    customer.answer(pdu, wire.id_body(""))
    return pdu.body


# --- there and back ------------------------------------------------------------------------------


def test_a_message_goes_from_bind_to_bind_and_its_receipt_comes_back(scene: Scene) -> None:
    async def test() -> None:
        customer = await scene.customer()
        answer = await customer.call(wire.SUBMIT_SM, submit_sm(registered_delivery=1))
        assert answer.command_status == 0
        identifier = wire.read_id(answer.body)
        assert scene.left("Submit") == 1
        await scene.functions()  # dispatch hands it on
        await scene.smsc.until(lambda: len(scene.smsc.taken) == 1)
        await scene.until(lambda: scene.is_in(identifier, State.ENROUTE))
        scene.smsc.tell(_receipt(scene.smsc.taken[0].id))
        await scene.smsc.until(lambda: len(scene.smsc.answers) == 1)
        assert scene.smsc.answers[0].command_status == 0
        await scene.functions()  # track, and notify into the mailbox
        told = wire.read_message(await _delivered(customer))
        assert told.text.startswith(f"id:{identifier} ".encode())
        assert b"stat:DELIVRD" in told.text
        assert scene.is_in(identifier, State.DELIVERED)
        await scene.until(lambda: scene.left("Smpp") == 0)
        await customer.close()

    scene.run(test)


def test_what_came_by_http_goes_over_a_bind_too(scene: Scene) -> None:
    async def test() -> None:
        identifier = await scene.by_http()
        await scene.functions()
        await scene.smsc.until(lambda: len(scene.smsc.taken) == 1)
        record = partial(scene.world.record, identifier)
        await scene.until(lambda: record().state is State.ENROUTE)

    scene.run(test)


def test_what_the_smsc_has_no_room_for_comes_again(scene: Scene) -> None:
    full = threading.Event()
    full.set()
    scene.smsc.answering = lambda _: Said(status.ESME_RTHROTTLED if full.is_set() else 0)

    async def test() -> None:
        customer = await scene.customer()
        answer = await customer.call(wire.SUBMIT_SM, submit_sm())
        await scene.functions()
        await scene.until(lambda: bool(scene.left("Submit")))  # put back, for later
        full.clear()
        scene.aws.at(scene.world.now + 61)
        await scene.functions()
        await scene.until(lambda: scene.is_in(wire.read_id(answer.body), State.ENROUTE))
        await customer.close()

    scene.run(test)


def test_the_container_is_well_until_aws_is_silent_or_nobody_can_bind(scene: Scene) -> None:
    async def test() -> None:
        assert await asyncio.to_thread(is_well, scene.container.health.port)
        pump = scene.container._single
        pump.stop()
        assert await asyncio.to_thread(pump.ended, PATIENCE)
        pump.heard_at -= 91
        assert not await asyncio.to_thread(is_well, scene.container.health.port)
        pump.heard_at += 91
        assert await asyncio.to_thread(is_well, scene.container.health.port)
        for listener in scene.container.service.server._listeners:
            await listener.close()
        assert not await asyncio.to_thread(is_well, scene.container.health.port)

    scene.run(test)


def test_the_end_says_goodbye_to_customers_and_smscs_and_gives_its_leases_back(
    scene: Scene,
) -> None:
    async def test() -> None:
        customer = await scene.customer()
        ended = asyncio.ensure_future(scene.container.close())
        pdu = await customer.read()
        assert pdu.command == wire.UNBIND
        customer.answer(pdu)
        await ended
        assert await customer.until_closed() == b""
        assert scene.smsc.unbound
        assert not is_well(scene.container.health.port)
        # At once, and not when the lease runs out: the clock stands still here.
        following = await scene.started()
        await following.close()
        await customer.close()

    async def whole() -> None:
        scene.container = await scene.started()
        await test()

    asyncio.run(whole())
    assert len(scene.smsc.asked) == 2


# --- what it may do ------------------------------------------------------------------------------


def _asked(call: Call) -> set[tuple[str, str]]:
    if call.action == "secretsmanager:GetSecretValue":
        own = call.params["SecretId"].startswith(f"{PREFIX}/")
        return {(call.action, "the keyring" if own else "PepperSecret")}
    return _needs(call)


def _granted() -> set[tuple[str, str]]:
    resources = resolved(TEMPLATE, **SMPP)["Resources"]
    role = resources["SmppRole"]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    documents += [
        resources[managed["Ref"]]["Properties"]["PolicyDocument"]
        for managed in role["ManagedPolicyArns"]
    ]
    granted = set()
    for statement in (it for document in documents for it in document["Statement"]):
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                keyring = ":secret:${AWS::StackName}/*" in str(resource)
                granted.add((action, "the keyring" if keyring else _named(resource)))
    return granted


def _listed(one_or_many: Any) -> list[Any]:
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


async def _everything(scene: Scene) -> None:
    """One of each thing that customers and SMSCs do to it."""
    customer = await scene.customer()

    async def asked(command: int, body: bytes) -> Any:
        answer = await customer.call(command, body)
        assert answer.command_status == 0, answer
        return answer

    sent = wire.read_id((await asked(wire.SUBMIT_SM, submit_sm(registered_delivery=1))).body)
    later = "260529120000000+"
    for command in ("cancel", "replace"):
        held = wire.read_id(
            (await asked(wire.SUBMIT_SM, submit_sm(schedule_delivery_time=later))).body
        )
        await asked(wire.QUERY_SM, query_sm(held))
        if command == "cancel":
            await asked(wire.CANCEL_SM, cancel_sm(held))
        else:
            await asked(wire.REPLACE_SM, replace_sm(held))
    await scene.functions()
    await scene.until(lambda: scene.is_in(sent, State.ENROUTE))
    numbers = [f"55349988877{n:02}" for n in range(3)]
    scene.smsc.answering = lambda _: Said(status.ESME_RTHROTTLED)
    multi = wire.read_id((await asked(wire.SUBMIT_MULTI, submit_multi(*numbers))).body)
    await scene.functions()
    await scene.until(lambda: bool(scene.left("SubmitBulk")))  # put back, for later
    scene.smsc.answering = lambda _: Said()
    await scene.by_http()
    await scene.functions()
    await scene.smsc.until(lambda: len(scene.smsc.taken) >= 5)
    await asked(wire.QUERY_SM, query_sm(multi))
    scene.smsc.tell(_receipt(scene.smsc.taken[0].id))
    await scene.smsc.until(lambda: len(scene.smsc.answers) == 1)
    await scene.until(partial(_has_told_of_a_report, scene))
    await scene.functions()
    await _delivered(customer)
    await customer.close()
    scene.container.service.binds.carries = False  # another task has them now
    await asyncio.to_thread(_received_in_vain, scene)


def _has_told_of_a_report(scene: Scene) -> bool:
    """It may lie on its queue no more: functions are fast."""
    told = ("sqs:SendMessage", "NotifyQueue")
    return any(told in _asked(call) for call in list(scene.noted.calls))


def _received_in_vain(scene: Scene) -> None:
    """What a receive brings when the container takes nothing any more."""
    source = scene.source()
    for queue in (BIND_QUEUE, BIND_BULK_QUEUE):
        scene.world.bare.queue.send(queue, ["{}"], "")
        rows = source.receive(queue, 10)
        assert len(rows) == 1
        source.give_back(rows)
        scene.aws.at(scene.world.now + 0.01)  # at once, and not after minutes
        assert len(source.receive(queue, 10)) == 1


def test_the_container_asks_aws_for_what_its_role_allows_and_for_nothing_else(
    scene: Scene,
) -> None:
    scene.run(partial(_everything, scene))
    asked = set[tuple[str, str]]().union(*map(_asked, scene.noted.calls))
    # S3 itself asks for it where an object isn't there, before it says so.
    asked.add(("s3:ListBucket", "BlobBucket"))
    assert asked == _granted()


# --- as a process --------------------------------------------------------------------------------


@pytest.mark.skipif(not available(), reason=NO_EMULATOR)
def test_the_process_serves_binds_and_ends_by_itself_at_sigterm(tmp_path: Path) -> None:
    """`python -m smpp.container`, as the image starts it, with nothing but its environment."""
    services = ("dynamodb", "s3", "secretsmanager", "sqs")
    with contextlib.closing(Emulator(tmp_path, services)) as emulator, Smsc() as smsc:
        account = Stack(clients_at(emulator))
        port, health = free_port(), free_port()
        given = {
            **account.environment(),
            "RECADO_KEYRING_PREFIX": PREFIX,
            "RECADO_SMPP_PORT": str(port),
            "RECADO_SMPP_HEALTH_PORT": str(health),
            "RECADO_SMPP_SERVICE": "recado-smpp",
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        deps = deps_for_container(given, clients_at(emulator))
        _configured(deps, smsc)
        process = Process("smpp", [sys.executable, "-m", "smpp.container"], tmp_path, given)
        try:
            until(lambda: is_well(health), lambda: process.said, 60.0)
            smsc.wait(lambda: len(smsc.lines()) == 1)
            asyncio.run(_submits(port))
            assert _depth(deps, "Submit") == 1
            process.popen.send_signal(signal.SIGTERM)
            smsc.wait(lambda: smsc.unbound == [1])
            assert not process.ended()  # its receives may still bring something
            for queue in (BIND_QUEUE, BIND_BULK_QUEUE):
                deps.engine.queue.send(queue, ["{}"], "")
            assert process.popen.wait(PATIENCE) == 0, process.said
            for queue in (BIND_QUEUE, BIND_BULK_QUEUE):
                # Whoever has the binds now has it at once, and not after minutes.
                assert len(deps.engine.queue.receive(queue, 10)) == 1
        finally:
            process.kill()
        said = [json.loads(line) for line in process.out.read_text().splitlines()]
        assert {line["function_name"] for line in said if "function_name" in line} == {
            "recado-smpp"
        }
        metrics = [line for line in said if "_aws" in line]
        assert sum(sum(line.get("messages_accepted", [])) for line in metrics) == 1


def _configured(deps: Deps, smsc: Smsc) -> None:
    """A connector, a route to it, and a customer, as an operator makes them."""
    place = {"host": "127.0.0.1", "port": str(smsc.port)}
    settings = {**place, "system_id": "recado", "password": "segredo"}
    connector_add(deps, NAME, "smpp", settings)
    route_add(deps, "default", upstream=NAME)
    costcentre_create(
        deps, "Ana", smpp_system_id="ana", smpp_password="segredo", sends_by=("smpp",)
    )


async def _submits(port: int) -> None:
    customer = await Wire.to(port)
    assert (await customer.bind()).command_status == 0
    assert (await customer.call(wire.SUBMIT_SM, submit_sm())).command_status == 0
    await customer.close()


def _depth(deps: Deps, queue: str) -> int:
    return next(depth.ready for depth in deps.engine.queue.depths() if depth.queue == queue)
