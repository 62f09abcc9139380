"""`python -m smpp.container`: the SMPP service on AWS, in a container.

What it works on it knows from the variables that functions have (template.yaml). Besides the
service itself it does what Lambda does for functions: it takes packets off the queues Smpp and
SmppBulk and has them dispatched, where the binds are: the task that carries them, while the others
stand by and serve their customers. SIGTERM ends it within Fargate's stop time-out: nothing new is
taken, what is in hand is finished, customers and SMSCs are unbound, leases are given back.
"""

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from functools import partial

import msgspec
import uvloop
from msgspec import Struct

from recado import batches, dispatch
from recado.engine.aws.clients import Clients
from recado.errors import Misconfigured
from recado.observability import log
from recado.settings import read_settings
from recado.wiring import Deps
from smpp import probe
from smpp.aws_hands import AwsHands, bind_queues, deps_for_container
from smpp.crossing import Crossing
from smpp.health import Health
from smpp.precedence import Precedence
from smpp.pump import Pump, Source
from smpp.server import ServerSettings
from smpp.service import Service, ServiceSettings
from smpp.telling import Tally, log_as_functions_do

_WAIT = 20  # seconds: SQS lets a receive wait no longer
# Of packets of many the other messages wait in the queue, where those of all customers have turns.
_FEW_PACKETS, _FEW_BATCHES = 2, 4
# Together less than the StopTimeout in template.yaml. A dispatch submits for 20 s at most, and then
# waits for the last answers.
_DISPATCHING = 38.0
_UNBINDING = 10.0
_THREADS = 16
_SILENCE = 90.0  # seconds without a word from AWS until the container is ill
_TALLY_EVERY = 60.0


class ContainerSettings(Struct, frozen=True, kw_only=True):
    """What differs between containers."""

    service: str = "smpp"  # whose log lines and metrics these are
    health_port: int = probe.PORT
    server: ServerSettings


def read_container_settings(environment: Mapping[str, str]) -> ContainerSettings:
    """From RECADO_SMPP_SERVICE, RECADO_SMPP_PORT, RECADO_SMPP_HEALTH_PORT, and
    RECADO_SMPP_PROXY_PROTOCOL: 2 where a balancer says whose connection it hands on. Raises
    Misconfigured, naming the variable."""
    return ContainerSettings(
        service=environment.get("RECADO_SMPP_SERVICE") or "smpp",
        health_port=_port(environment, probe.VARIABLE, probe.PORT),
        server=ServerSettings(
            host="0.0.0.0",  # noqa: S104 - a container's own network; its security group guards it
            port=_port(environment, "RECADO_SMPP_PORT", 1910),
            proxy_protocol=environment.get("RECADO_SMPP_PROXY_PROTOCOL") == "2",
        ),
    )


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    value = environment.get(variable) or str(default)
    if not value.isdecimal() or int(value) > 65_535:
        raise Misconfigured(f"{variable}={value} is no port")
    return int(value)


class Container:
    """Everything in one process, from `start` to `close`, in the running loop. `source`: of what
    goes over binds. `idle`: as a Pump's."""

    def __init__(
        self, deps: Deps, source: Source, settings: ContainerSettings, *, idle: float = 0.0
    ) -> None:
        loop = asyncio.get_running_loop()
        self._crossing, precedence = Crossing(deps.exchange), Precedence()
        deps = msgspec.structs.replace(deps, exchange=self._crossing, turns=precedence.as_turns())
        self._hands = AwsHands(deps, loop, _THREADS)
        holder = f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        self.service = Service(
            deps, self._hands, ServiceSettings(server=settings.server, holder=holder)
        )
        work = partial(
            batches.together,
            decode=dispatch.decode_packet,
            work=partial(dispatch.dispatch, deps=deps),
        )
        pump = partial(Pump, source, is_turn=self._carries, idle=idle)
        self._single: Pump = pump(dispatch.BIND_QUEUE, precedence.given(work))
        self._bulk: Pump = pump(
            dispatch.BIND_BULK_QUEUE, work, batch=_FEW_PACKETS, at_once=_FEW_BATCHES
        )
        self.health = Health(self._problem, settings.server.host, settings.health_port)
        self._tally = Tally(settings.service)
        self._tallying: asyncio.TimerHandle | None = None
        self._ending = False

    def _carries(self) -> bool:
        """Packets are dispatched where the binds are: others could only put them back."""
        return self.service.binds.carries

    async def start(self) -> None:
        """Raises OSError where a port is taken."""
        self._crossing.open(asyncio.get_running_loop(), self.service.binds.exchange)
        await self.service.start()
        self._single.start()
        self._bulk.start()
        await self.health.start()
        self._count()

    async def close(self) -> None:
        """Ends it without losing anything: what is not finished in time comes again elsewhere."""
        self._ending = True
        began = time.monotonic()
        _, finished = await asyncio.gather(
            self.service.stop_serving(_UNBINDING), asyncio.to_thread(self._finish)
        )
        if not finished:
            log.warning("packets were left in hand: they come again, elsewhere")
        await self.service.binds.close(_UNBINDING)
        await self._hands.close()
        # Another task has the binds by now. What a receive that still waits may bring is its.
        over_at = began + _DISPATCHING + _UNBINDING
        for pump in (self._bulk, self._single):
            await asyncio.to_thread(pump.ended, over_at - time.monotonic())
        await self.health.close()
        if self._tallying is not None:
            self._tallying.cancel()
        self._tally.tell()

    def _finish(self) -> bool:
        """Whether all packets in hand were finished. As long as what is many takes, single messages
        are still taken: nobody else has the binds yet."""
        over_at = time.monotonic() + _DISPATCHING
        self._bulk.stop()
        self._bulk.wait(dispatch.BUDGET)
        self._single.stop()
        return all([pump.wait(over_at - time.monotonic()) for pump in (self._single, self._bulk)])

    def _problem(self) -> str | None:
        """It stays well while it ends: an ill one's connections the balancer would cut off."""
        if self._ending:
            return None
        heard_at = (self._single.heard_at, self._bulk.heard_at, self.service.binds.looked_at)
        silent = time.monotonic() - min(heard_at)
        if silent > _SILENCE:
            return f"AWS has not answered for {silent:.0f} s"
        return self.service.healthy()

    def _count(self) -> None:
        self._tally.tell()
        self._tallying = asyncio.get_running_loop().call_later(_TALLY_EVERY, self._count)


async def run(deps: Deps, source: Source, settings: ContainerSettings) -> None:
    """Until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    container = Container(deps, source, settings)
    await container.start()
    log.warning("the SMPP service is up")
    await ended.wait()
    log.warning("the SMPP service ends")
    await container.close()


def main(environment: Mapping[str, str]) -> int:
    """The exit status: 2 where the environment won't do."""
    try:
        level = read_settings(environment).log_level
        settings = read_container_settings(environment)
        log_as_functions_do(settings.service, level)
        clients = Clients()
        deps = deps_for_container(environment, clients)
        source = bind_queues(environment, clients, _WAIT)
    except Misconfigured as problem:
        print(f"smpp: {problem}", file=sys.stderr)  # noqa: T201 - perhaps there is no log yet
        return 2
    uvloop.run(run(deps, source, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
