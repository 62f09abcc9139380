"""Directcall's API through a world: clients' requests go to the real routes and handlers."""

from typing import Any

import requests

from tests.support.directcall_clients import JsonClient, Sending
from tests.support.world import World

BASE = "https://sms.example.com"


def sending(world: World) -> Sending:
    """Brings a client's request to the world's front door: status and body."""

    def send(request: requests.PreparedRequest) -> tuple[int, bytes]:
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert request.method
        status, _, answer = world.call_raw(
            request.method, request.path_url, content, login=None, headers=headers
        )
        return status, answer.encode()

    return send


def client_of(world: World, login: str = "ana") -> JsonClient:
    """A client with a token."""
    client = JsonClient(BASE, sending(world))
    client.enter(login, "segredo")
    return client


def the_record(world: World) -> Any:
    """The one message of the world."""
    (record,) = world.every_record()
    return record
