"""What a newcomer finds: a simulator as the upstream, a route to it, and a demo cost centre."""

from urllib.parse import urlsplit

import msgspec

from recado.connectors import Upstream
from recado.costcentre import CostCentre, new_password
from recado.operations import costcentre_create, costcentre_update
from recado.routing import Route
from recado.wiring import Deps

SIMULATOR = "simulator"
DEMO = "demo"
DEMO_CALLBACK = "/demo-callback"


def point_at_simulator(deps: Deps, simulator_url: str, own_url: str) -> None:
    """Makes the simulator an upstream, at the address that it has this time, and on the first
    start the one that every message goes through."""
    body = deps.engine.store.config("upstream", SIMULATOR)
    old = msgspec.json.decode(body, type=Upstream) if body else None
    secret = old.callback_secret if old else new_password()
    settings = {**(old.settings if old else {})}
    settings["url"] = simulator_url
    settings["callback_url"] = f"{own_url}/callback/{SIMULATOR}/{secret}"
    new = Upstream(
        name=SIMULATOR,
        kind="simulator",
        settings=settings,
        callback_secret=secret,
        version=old.version + 1 if old else 0,
    )
    deps.engine.store.put_config("upstream", SIMULATOR, msgspec.json.encode(new), new.version)
    if not deps.engine.store.configs("route"):
        route = Route(name="default", upstream=SIMULATOR)
        deps.engine.store.put_config("route", route.name, msgspec.json.encode(route), 0)
    deps.routing.forget()


def demo_cost_centre(deps: Deps, simulator_url: str) -> dict[str, str] | None:
    """On the first start: a cost centre whose reports are shown in this terminal. None later, but
    its callback URL follows the simulator."""
    every = [
        msgspec.json.decode(body, type=CostCentre)
        for body in deps.engine.store.configs("cost-centre")
    ]
    if not every:
        return costcentre_create(
            deps, name=DEMO, login=DEMO, callback_url=simulator_url + DEMO_CALLBACK
        )
    for cost_centre in every:
        url, right = cost_centre.callback_url, simulator_url + DEMO_CALLBACK
        is_demo = cost_centre.name == DEMO and urlsplit(url).path == DEMO_CALLBACK
        if is_demo and url != right:
            costcentre_update(deps, cost_centre.id, callback_url=right)
    return None
