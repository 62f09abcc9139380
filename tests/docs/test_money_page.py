"""docs/money.md: its table of refunds is what the code does."""

import re
from pathlib import Path

import pytest

from recado.message import Message, State, is_final
from recado.money import refunds

PAGE = (Path(__file__).parents[2] / "docs" / "money.md").read_text()
_ROW = re.compile(r"^\| `([A-Z]+)` \| (.+) \| (yes|no) \|$", re.MULTILINE)
ROWS = _ROW.findall(PAGE)


def message(state: State, how: str) -> Message:
    """One that an upstream had; or was never taken by any, where the row says that."""
    taken = "before any upstream took it" not in how
    return Message(
        cost_centre="c",
        id="m",
        dialect="zoug",
        state=state,
        due_at=0.0,
        expires_at=1.0,
        accepted_at=0.0,
        units=1,
        price=1,
        submits=1 if taken else 0,
        upstream_ids=("up-1",) if taken else (),
    )


@pytest.mark.parametrize(("state", "how", "given_back"), ROWS)
def test_the_table_of_refunds_is_what_is_given_back(state: str, how: str, given_back: str) -> None:
    assert refunds(message(State(state), how)) is (given_back == "yes")


def test_the_table_of_refunds_has_every_final_state() -> None:
    assert {state for state, _, _ in ROWS} == {str(state) for state in State if is_final(state)}
