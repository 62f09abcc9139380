"""docs/directcall-api.md: its examples run, its tables are complete, its tests exist."""

import pytest

from recado.dialects.directcall_words import CODES, PROBLEMS, STATES, status_of
from recado.submission import Refusal
from tests.dialects.test_directcall_seed import EDGES
from tests.docs.pages import Page, every_test, quoted_in
from tests.support.world import World

PAGE = Page(
    "directcall-api.md",
    {"access_token": "ACCESS_TOKEN", "callerid": "CALLERID", "code": "CODE"},
    {
        r'(?<="access_token": )"[^"]+"': '"<token>"',
        r"\b[1-8][0-9]{13}\b": "<callerid>",
        r"\b[1-8][0-9]{13}(?=[0-9]{2}\b)": "<callerid>",
        r"\b[0-9a-f]{40}\b": "<code>",
    },
)
REPLY = {"event": "reply", "id": "mo-1", "from": "5541999792030", "to": "28908"}


def meanwhile(world: World, command: str) -> None:
    """What happens before a command: a hundredth of a second, so that of two messages one is the
    newer; and somebody answers just before it is asked for replies."""
    world.now += 0.01
    if "/sms/recebimento" in command:
        world.tell({**REPLY, "text": "Sim, quero"})
        world.drain()


def test_every_example_is_answered_as_the_page_says(world: World) -> None:
    examples = PAGE.run(world, lambda command: meanwhile(world, command))
    assert len(examples) == PAGE.text.count("curl ") == PAGE.text.count("```sh") > 15
    for example in examples:
        assert (example.came, example.content) == (example.status, example.answer), example.command


def test_every_callback_of_the_page_is_one_that_the_examples_bring_about(world: World) -> None:
    PAGE.run(world, lambda command: meanwhile(world, command))
    told = {PAGE.alike({k: v for k, v in t.items() if k != "webhook-id"}) for t in world.told}
    shown = PAGE.callbacks()
    assert len(shown) == 3
    assert set(shown) <= told


def test_the_table_of_errors_is_the_dialects() -> None:
    listed = {row[0]: tuple(row[1:]) for row in PAGE.rows("Errors")}
    known = {
        reason: (code, str(status_of(Refusal("texto", reason, ""))), PROBLEMS[reason])
        for reason, code in CODES.items()
    }
    assert listed == known


def test_the_table_of_states_is_the_dialects() -> None:
    listed = {row[0] for row in PAGE.rows("What became of it") if row[0].isupper()}
    assert listed == set(STATES.values())


def test_the_table_of_counts_is_what_the_tests_count() -> None:
    counted = {name: (str(units), str(segments)) for name, (_, _, units, segments) in EDGES.items()}
    listed = [tuple(row[1:]) for row in PAGE.rows("The two counts", "###")]
    edges = ("140", "160 septets", "161 septets", "128 and the origin", "129 and the origin")
    others = ("81 of GSM's extension", "71 of another script", "700")
    assert listed == [counted[name] for name in (*edges, *others)]


def test_every_sentence_of_the_document_stands_with_the_test_that_quotes_it() -> None:
    listed = PAGE.rows("The document, sentence by sentence")
    told = {(quote.strip("`"), name.strip("`")) for quote, name in listed}
    assert told == quoted_in("test_directcall_seed.py")


def test_every_test_that_the_page_names_exists() -> None:
    named = PAGE.tests_named()
    assert len(named) > 80
    assert named - every_test() == set()


@pytest.mark.parametrize("link", PAGE.links())
def test_every_link_within_the_page_leads_to_a_heading(link: str) -> None:
    assert link in PAGE.headings()
