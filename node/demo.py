"""What a newcomer finds: a simulator as the upstream, a route to it, and a demo cost centre."""

from urllib.parse import urlsplit

from msgspec.structs import replace

from recado.configuration import cost_centres, named, put
from recado.connectors import Upstream
from recado.costcentre import new_password
from recado.operations import costcentre_create, costcentre_update
from recado.route_operations import route_add
from recado.wiring import Deps

SIMULATOR = "simulator"
DEMO = "demo"
DEMO_CALLBACK = "/demo-callback"


def point_at_simulator(deps: Deps, simulator_url: str, own_url: str) -> None:
    """Makes the simulator an upstream, at the address that it has this time, and on the first
    start the one that every message goes through. What else was set for it stays as it is."""
    old = named("upstream", SIMULATOR, Upstream, deps)
    upstream = old or Upstream(name=SIMULATOR, kind="simulator", callback_secret=new_password())
    settings = {
        **upstream.settings,
        "url": simulator_url,
        "callback_url": f"{own_url}/callback/{SIMULATOR}/{upstream.callback_secret}",
    }
    version = old.version + 1 if old else 0
    put("upstream", SIMULATOR, replace(upstream, settings=settings, version=version), deps)
    if old is None and not deps.engine.store.configs("route"):
        route_add(deps, "default", SIMULATOR)


def demo_cost_centre(deps: Deps, simulator_url: str) -> dict[str, str] | None:
    """On the first start: a cost centre whose reports are shown in this terminal. None later, but
    its callback URL follows the simulator."""
    every = cost_centres(deps)
    if not every:
        return costcentre_create(
            deps,
            name=DEMO,
            login=DEMO,
            smpp_system_id=DEMO,
            callback_url=simulator_url + DEMO_CALLBACK,
        )
    for cost_centre in every:
        url, right = cost_centre.callback_url, simulator_url + DEMO_CALLBACK
        is_demo = cost_centre.name == DEMO and urlsplit(url).path == DEMO_CALLBACK
        if is_demo and url != right:
            costcentre_update(deps, cost_centre.id, callback_url=right)
    return None
