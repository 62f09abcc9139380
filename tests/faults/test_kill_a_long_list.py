"""A list of thousands in one request, and a node that is killed twice while it drains."""

import base64
import http.client
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recado.longlists import message_id
from tests.support.processes import LOGIN, PASSWORD, Processes, json_lines, processes_in, until

NUMBERS = [str(5_534_990_000_000 + n) for n in range(3_000)]
IN_FLIGHT = 4 * 50  # batches in hand, and messages of each that an upstream has at once


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as processes:
        processes.simulator()
        processes.recado(
            *("costcentre", "create", "--name", LOGIN, "--login", LOGIN, "--password", PASSWORD)
        )
        yield processes


def send_list(place: Processes) -> dict[str, Any]:
    """The list in a form, with a number in it twice and something that is none."""
    lines = "\n".join([*NUMBERS, NUMBERS[7], "12345"])
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("origem", "554130600300"), ("texto", "Sua consulta e amanha"))
    ]
    parts.append(
        '--x\r\nContent-Disposition: form-data; name="destino_csv"; filename="n.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{lines}\r\n--x--\r\n"
    )
    credentials = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    link = http.client.HTTPConnection("127.0.0.1", place.http_port, timeout=30)
    headers = {
        "content-type": "multipart/form-data; boundary=x",
        "authorization": f"Basic {credentials}",
    }
    link.request("POST", "/sms/send", "".join(parts), headers)
    answer: dict[str, Any] = json.loads(link.getresponse().read())
    link.close()
    return answer


def taken(place: Processes) -> Counter[str]:
    lines = json_lines(place.simulator_log)
    return Counter(line["to"] for line in lines if line["event"] == "taken")


def test_every_number_of_a_list_is_sent_though_the_node_is_killed_twice_on_the_way(
    place: Processes,
) -> None:
    node = place.node()
    answer = send_list(place)
    assert answer["codigo"] == "000", answer
    assert answer["lote"]["aceitos"] == len(NUMBERS)
    assert (answer["lote"]["duplicados"], answer["lote"]["invalidos"]) == (1, 1)
    for share in (0.2, 0.6):
        until(lambda: len(taken(place)) > share * len(NUMBERS), f"{share:.0%} are submitted")  # noqa: B023 - called at once
        node.kill()
        node = place.node()
    until(lambda: len(taken(place)) == len(NUMBERS), "all are submitted", 90.0, pause=0.5)
    counts = taken(place)
    assert counts.keys() == set(NUMBERS)
    doubled = [number for number, times in counts.items() if times > 1]
    assert len(doubled) <= 2 * IN_FLIGHT
    assert max(counts.values()) <= 3
    # What went twice was in flight at a kill, and its record says so.
    references = {
        line["to"]: line["reference"].partition(".")[2]
        for line in json_lines(place.simulator_log)
        if line["event"] == "taken"
    }
    for number in doubled:
        shown = place.recado("message", "show", references[number], "--json").json()
        assert shown["maybe_sent"], number


def test_the_ids_of_a_list_are_those_of_its_numbers(place: Processes) -> None:
    place.node()
    code = send_list(place)["callerid"]
    until(lambda: len(taken(place)) == len(NUMBERS), "all are submitted", 90.0, pause=0.5)
    listed = place.recado("bulk", "list", "--json").json()
    [batch_id] = [batch["bulk_id"] for batch in listed]
    references = {
        line["reference"].partition(".")[2]
        for line in json_lines(place.simulator_log)
        if line["event"] == "taken"
    }
    assert references == {message_id(batch_id, number) for number in NUMBERS}
    assert len(code) == 14
