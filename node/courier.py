"""The node's courier: requests of ours over kept connections, at the cost of a write and a read.

A batch is one future and one timer. Connections are kept by place, and apart by whether private
addresses are allowed, so that no request rides on a connection that it could not have opened.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, cast

from node.courier_connection import Batch, Connection, Job
from node.courier_host import CLOSED, Host
from node.courier_request import written
from recado.addresses import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    NO_TURN,
    TIMED_OUT,
    Place,
    PrivateAddress,
    forbidden,
)
from recado.http import Outgoing, Reached, Unreached

_DNS_SECONDS = 5.0
_DNS_ENTRIES = 256
_TLS_SHUTDOWN_SECONDS = 2.0


class Courier:
    """Made and used within one running loop. TLS trusts what the system trusts, unless a context
    says otherwise."""

    def __init__(
        self, ssl_context: ssl.SSLContext | None = None, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._idle_seconds = idle_seconds
        self._ssl_context = ssl_context
        self._hosts: dict[tuple[str, str, int, bool], Host] = {}
        self._names: dict[tuple[str, int], tuple[float, asyncio.Task[list[str]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def exchange(self, requests: Sequence[Outgoing]) -> list[Reached | Unreached]:
        """As recado.http.Exchange: all at once, outcomes in order, raises nothing for what the
        network does. Redirects are not followed; a timeout is for all of an exchange, its wait
        for a connection included (at most 64 a host)."""
        if self._closed:
            return [Unreached(CLOSED, sent=False) for _ in requests]
        batch = Batch(len(requests), self._loop.create_future())
        timed: dict[float, list[Job]] = {}
        for index, request in enumerate(requests):
            try:
                form, data = written(request)
            except ValueError as problem:
                batch.settle(index, Unreached(str(problem), sent=False))
                continue
            job = Job(batch, index, data, form.head_only)
            timed.setdefault(request.timeout, []).append(job)
            self._host(form.place, request.private_allowed).submit(job)
        if batch.left:
            timers = [self._loop.call_later(after, _expire, jobs) for after, jobs in timed.items()]
            try:
                await batch.done
            finally:
                for timer in timers:
                    timer.cancel()
                for jobs in timed.values():
                    _expire(jobs)  # what is left where the caller itself was cancelled
        return cast(list[Reached | Unreached], batch.outcomes)

    async def close(self) -> None:
        """Cuts off what is on its way, which ends as Unreached, and closes every connection. To
        be called once; nothing is exchanged any more."""
        self._closed = True
        hosts = tuple(self._hosts.values())
        for host in hosts:
            host.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        tasks = [*self._tasks, *(task for _, task in self._names.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while any(host.connections for host in hosts):
            await asyncio.sleep(0)  # the loop tells of an abort in one of its next turns

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it, and remembers it as long as it runs."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, place: Place, private_allowed: bool) -> Connection:
        """A new connection to one of the place's addresses: the very address that was checked, so
        that no second look-up can lead elsewhere. Raises PrivateAddress, OSError."""
        until = self._loop.time() + CONNECT_SECONDS
        async with asyncio.timeout_at(until):
            found = await self._addresses(place.host, place.port)
            allowed = [each for each in found if private_allowed or not forbidden(each)]
            problem: Exception = PrivateAddress()
            for left, address in zip(range(len(allowed), 0, -1), allowed, strict=True):
                try:
                    async with asyncio.timeout((until - self._loop.time()) / left):
                        return await self._connected_to(address, place)
                except OSError as error:  # a timeout and a TLS error are ones too
                    problem = error
            raise problem

    async def _connected_to(self, address: str, place: Place) -> Connection:
        connection = Connection()
        secure = place.scheme == "https"
        if secure and self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        try:
            await self._loop.create_connection(
                lambda: connection,
                address,
                place.port,
                ssl=self._ssl_context if secure else None,
                server_hostname=place.host.rstrip(".") if secure else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS if secure else None,
            )
        except BaseException:
            connection.abandon()  # it may just have been made
            raise
        return connection

    async def _addresses(self, host: str, port: int) -> list[str]:
        now = self._loop.time()
        asked, task = self._names.get((host, port), (now, None))
        if task is None or (task.done() and now - asked > _DNS_SECONDS):
            if len(self._names) >= _DNS_ENTRIES:
                self._names = {k: v for k, v in self._names.items() if not v[1].done()}
            task = self._loop.create_task(self._look_up(host, port))
            task.add_done_callback(partial(self._looked_up, (host, port)))
            self._names[host, port] = (now, task)
        return await asyncio.shield(task)  # others may wait for it too

    async def _look_up(self, host: str, port: int) -> list[str]:
        infos = await self._loop.getaddrinfo(host, port, type=1)
        return list(dict.fromkeys(str(info[4][0]) for info in infos))

    def _looked_up(self, key: tuple[str, int], task: asyncio.Task[list[str]]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._names.pop(key, None)

    def _host(self, place: Place, private_allowed: bool) -> Host:
        key = (place.scheme, place.host, place.port, private_allowed)
        host = self._hosts.get(key)
        if host is None:
            connect = partial(self._connected, place, private_allowed)
            host = self._hosts[key] = Host(connect, self._spawn, self._loop.time)
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(self._idle_seconds / 3, self._sweep)
        return host

    def _sweep(self) -> None:
        before = self._loop.time() - self._idle_seconds
        for key, host in tuple(self._hosts.items()):
            host.drop_idle(before)
            if host.empty():
                del self._hosts[key]
        self._sweeper = None
        if self._hosts:
            self._sweeper = self._loop.call_later(self._idle_seconds / 3, self._sweep)


def _expire(jobs: list[Job]) -> None:
    for job in jobs:
        if job.over:
            continue
        if job.connection is None:
            job.finish(Unreached(NO_TURN, sent=False))
        else:
            job.connection.abandon()
            job.finish(Unreached(TIMED_OUT, sent=True))
