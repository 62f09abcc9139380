"""The shapes of traffic that the bill is worked out for."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from recado.expand import PACKET_RECIPIENTS
from recado.operations import credit_add
from tests.support.aws_acts import Client, numbers
from tests.support.aws_world import AwsWorld

CODE = "Seu codigo de acesso: 123456. Nao o compartilhe com ninguem."
NEWS = "Ola! A sua fatura de maio ja esta no aplicativo. Vence no dia 10, pague pelo Pix."

_NUMBER = "5534998887755"


class Shape(Struct, frozen=True):
    """One kind of traffic. `table`: with which others it is shown. `accepted`: how many messages
    are accepted and put into packets, where only the first `messages` of them are played to their
    end. `receipts`: how often the upstream calls for each message. `echo`: whether it tells our id;
    where it does not, a ref is written. `most`: how many messages of a queue its function gets at
    once; `taken`: how many a poller takes at once."""

    name: str
    title: str
    messages: int
    play: Callable[[AwsWorld, "Shape"], None]
    table: str = "single"
    accepted: int = 0
    receipts: int = 1
    echo: bool = False
    most: Mapping[str, int] = MappingProxyType({})
    taken: int = 10

    def work(self, aws: AwsWorld, queue: str) -> None:
        aws.work(queue, self.most.get(queue, 10_000), self.taken)


# --- the shapes ----------------------------------------------------------------------------------

_STATS = ("ENROUTE", "DELIVRD")


def _singles(aws: AwsWorld, shape: Shape) -> None:
    """Many at once: every batch is as large as the template lets it be."""
    _play(aws, shape, lambda: [aws.world.send(text=CODE) for _ in range(shape.messages)])


def _lonely(aws: AwsWorld, shape: Shape) -> None:
    """One every two minutes: nothing batches, and no environment has its configuration in hand."""
    for _ in range(shape.messages):
        aws.at(aws.world.now + 120)
        _play(aws, shape, lambda: aws.world.send(text=CODE))


def _batches(aws: AwsWorld, shape: Shape) -> None:
    for _ in range(shape.messages // 400):
        _play(aws, shape, lambda: send_batch(aws, 400, NEWS))


def _prepaid(aws: AwsWorld, shape: Shape) -> None:
    aws.world.cost_centre("paga", prepaid=True, price=850)
    credit_add(aws.world.deps, "paga", "1000")
    asked = {"destination_addr": _NUMBER, "message": CODE}

    def send() -> str:
        status, told = aws.world.call("POST", "/message", asked, login="paga")
        assert status == 200, told
        return str(told["message_id"])

    _play(aws, shape, lambda: [send() for _ in range(shape.messages)])


def _directcalls(aws: AwsWorld, shape: Shape) -> None:
    """With a token for all of them."""
    client = Client(aws, "direta")
    send = partial(client.send, _NUMBER, texto=CODE)
    _play(aws, shape, lambda: [send() for _ in range(shape.messages)])


def _long_list(aws: AwsWorld, shape: Shape) -> None:
    """One request for all; of its packets the first are played."""
    client = Client(aws, "direta")
    client.send(*numbers(shape.accepted), texto=NEWS)
    shape.work(aws, "Expand")
    aws.leave("SubmitBulk", shape.messages // PACKET_RECIPIENTS)
    _play(aws, shape, lambda: None)


# At 50 a second Lambda's five pollers have ten messages each in a window of a second, and take each
# as it comes; Submit has no window.
_STEADY = MappingProxyType({"Submit": 1, "Inbound": 10, "Notify": 10})
SHAPES = (
    Shape("single", "single, busy", 100, _singles),
    Shape("single_echo", "… our id comes back", 100, _singles, echo=True),
    Shape("single_twice", "… two calls of the upstream", 100, _singles, receipts=2),
    Shape("steady", "single, 50 a second", 50, _singles, most=_STEADY, taken=1),
    Shape("lonely", "single, one in two minutes", 5, _lonely),
    Shape("batch", "batches of 400, busy", 400, _batches, table="batch"),
    Shape("batch_twice", "… two calls of the upstream", 400, _batches, table="batch", receipts=2),
    Shape("directcall", "single, by /sms/send", 100, _directcalls, table="other"),
    Shape("list", "a list of 10,000", 200, _long_list, table="other", accepted=10_000),
    Shape("prepaid", "single, prepaid", 100, _prepaid, table="other"),
)


def warm_up(aws: AwsWorld, shape: Shape) -> None:
    """The first messages of all, after which each environment that it needs is there."""
    sends: list[Callable[[], Any]] = [aws.world.send, lambda: send_batch(aws, 1, NEWS)]
    if shape.table == "other":
        sends.append(lambda: Client(aws, "primeira").send(_NUMBER))
    for send in sends:
        _play(aws, shape, send)


def _play(aws: AwsWorld, shape: Shape, send: Callable[[], Any]) -> None:
    """Messages from the customer's request to the last report, step by step for all of them."""
    world = aws.world
    send()
    for queue in ("Expand", "Notify", "Submit", "SubmitBulk", "Notify"):
        shape.work(aws, queue)
    submitted, world.receipts = world.receipts, []
    for stat in _STATS[-shape.receipts :]:
        for receipt in submitted:
            assert world.tell({**receipt, "stat": stat}) == 204
        shape.work(aws, "Inbound")
        shape.work(aws, "Notify")


def send_batch(aws: AwsWorld, size: int, text: str, **fields: Any) -> str:
    """A batch's id."""
    elements = [{"destination_addr": f"553499888{n:04}", "message": text} for n in range(size)]
    status, answer = aws.world.call("POST", "/message/batch", {"list": elements, **fields})
    assert status == 200, answer
    return str(answer["batchId"])
