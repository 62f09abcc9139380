"""`python -m smpp.container`: the SMPP service on AWS, in a container.

What it works on it knows from the variables that functions have (template.yaml). Besides the
service itself it does what Lambda does for functions: it takes packets off the queue Smpp and has
them dispatched, here, where the binds are. SIGTERM ends it within Fargate's stop time-out: nothing
new is taken, what is in hand is finished, customers and SMSCs are unbound, leases are given back.
"""

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
import uvloop
from msgspec import Struct

from recado import batches, dispatch
from recado.connectors import Upstream
from recado.errors import Misconfigured
from recado.observability import log
from recado.settings import read_settings
from recado.wiring import Deps
from smpp import probe
from smpp.aws_hands import AwsHands, deps_for_container
from smpp.crossing import Crossing
from smpp.health import Health
from smpp.pump import Pump
from smpp.server import ServerSettings
from smpp.service import Service, ServiceSettings
from smpp.telling import Tally, log_as_functions_do

_KIND = "smpp"  # of the connectors that are reached by binds
# Together less than the StopTimeout in template.yaml. A dispatch submits for 20 s at most, and then
# waits for the last answers.
_DISPATCHING = 32.0
_UNBINDING = 10.0
_THREADS = 16
_SILENCE = 90.0  # seconds without a word from AWS until the container is ill
_TALLY_EVERY = 60.0
_LOOK_EVERY = 10.0


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


class Turn:
    """Whose turn it is to take packets. A task whose binds are all held by others could only put
    them back, so that a one-time password would wait for a task by chance: it leaves them to those
    others. Where no connector is configured any task takes them, and brings them to their end."""

    def __init__(self, deps: Deps, holds: Callable[[str], bool]) -> None:
        self._deps, self._holds = deps, holds
        self._connectors: list[str] = []
        self._looked_at = -_LOOK_EVERY

    def is_ours(self) -> bool:
        """Asks for the configuration every few seconds: raises what the store raises."""
        if time.monotonic() - self._looked_at >= _LOOK_EVERY:
            upstreams = [
                msgspec.json.decode(body, type=Upstream)
                for body in self._deps.engine.store.configs("upstream")
            ]
            self._connectors = [it.name for it in upstreams if it.kind == _KIND]
            self._looked_at = time.monotonic()
        return not self._connectors or any(map(self._holds, self._connectors))


class Container:
    """Everything in one process, from `start` to `close`, in the running loop. `idle`: as a
    Pump's."""

    def __init__(self, deps: Deps, settings: ContainerSettings, *, idle: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        self._crossing = Crossing(deps.exchange)
        deps = msgspec.structs.replace(deps, exchange=self._crossing)
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
        turn = Turn(deps, self.service.binds.holds)
        self._pump = Pump(
            deps.engine.queue, dispatch.BIND_QUEUE, work, is_turn=turn.is_ours, idle=idle
        )
        # It stays well while it ends: an ill one's connections the balancer would cut off.
        self.health = Health(self._problem, settings.server.host, settings.health_port)
        self._tally = Tally(settings.service)
        self._tallying: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Raises OSError where a port is taken."""
        self._crossing.open(asyncio.get_running_loop(), self.service.binds.exchange)
        await self.service.start()
        self._pump.start()
        await self.health.start()
        self._count()

    async def close(self) -> None:
        """Ends it without losing anything: what is not finished in time comes again elsewhere."""
        self._pump.stop()
        waiting = asyncio.to_thread(self._pump.wait, _DISPATCHING)
        _, finished = await asyncio.gather(self.service.stop_serving(_UNBINDING), waiting)
        if not finished:
            log.warning("packets were left in hand: they come again, elsewhere")
        await self.service.binds.close(_UNBINDING)
        await self._hands.close()
        await self.health.close()
        if self._tallying is not None:
            self._tallying.cancel()
        self._tally.tell()

    def _problem(self) -> str | None:
        silent = time.monotonic() - self._pump.heard_at
        if silent > _SILENCE:
            return f"AWS has not answered for {silent:.0f} s"
        return None

    def _count(self) -> None:
        self._tally.tell()
        self._tallying = asyncio.get_running_loop().call_later(_TALLY_EVERY, self._count)


async def run(deps: Deps, settings: ContainerSettings) -> None:
    """Until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    container = Container(deps, settings)
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
        deps = deps_for_container(environment)
    except Misconfigured as problem:
        print(f"smpp: {problem}", file=sys.stderr)  # noqa: T201 - perhaps there is no log yet
        return 2
    uvloop.run(run(deps, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
