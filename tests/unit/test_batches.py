"""One bad queue message and its neighbours."""

from collections.abc import Sequence
from typing import Any

from recado.batches import one_by_one, together


def _event(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


def _failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_what_can_not_be_decoded_comes_again_and_the_rest_goes_together() -> None:
    worked: list[list[int]] = []
    answer = together(_event("1", "x", "3"), int, lambda things: worked.append(list(things)))
    assert (_failed(answer), worked) == (["m1"], [[1, 3]])


def test_a_message_that_raises_draws_no_neighbour_into_its_dead_letter() -> None:
    done: list[int] = []

    def work(things: Sequence[int]) -> None:
        if 2 in things:
            raise ValueError("poison")
        done.extend(things)

    assert _failed(together(_event("1", "2", "3"), int, work)) == ["m1"]
    assert done == [1, 3]


def test_one_by_one_only_the_failing_message_comes_again() -> None:
    done: list[str] = []

    def work(body: str) -> None:
        if body == "b":
            raise ValueError("poison")
        done.append(body)

    assert _failed(one_by_one(_event("a", "b", "c"), work)) == ["m1"]
    assert done == ["a", "c"]
