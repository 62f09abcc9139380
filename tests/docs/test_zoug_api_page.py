"""docs/zoug-api.md: its examples run, its tables are complete, and the tests it names exist."""

import re

import pytest

from tests.dialects.zoug_failures import FAILURES
from tests.docs.pages import Page, every_test, quoted_in
from tests.support.world import World

PAGE = Page("zoug-api.md", {"message_id": "MESSAGE_ID", "batchId": "BATCH_ID"})
# Told where the state is made that leads to them: tests/dialects.
FAILED_ELSEWHERE = {
    (409, "ESME_RCANCELFAIL", "Message has already gone!"),
    (409, "ESME_RCANCELFAIL", "Batch has already gone!"),
    (409, "ESME_RCANCELFAIL", "Schedule has already gone!"),
    (400, "ESME_RINVOPTPARAMVAL", "After is invalid!"),
    (400, "ESME_RINVOPTPARAMVAL", "Limit must be a number from N to N!"),
    (400, "ESME_RINVSCHED", "Send_at is missing!"),
    (400, "ESME_RINVSCHED", "Send_at must be at most N days after its first date!"),
    (500, "ESME_RSYSERR", "Request failed, try again!"),
    (503, "ESME_RSYSERR", "Message has no route!"),
}


def test_every_example_is_answered_as_the_page_says(world: World) -> None:
    examples = PAGE.run(world)
    assert len(examples) == PAGE.text.count("curl -u ana:segredo") == PAGE.text.count("```sh") > 8
    for example in examples:
        assert (example.came, example.content) == (example.status, example.answer), example.command


def test_every_callback_of_the_page_is_one_that_the_examples_bring_about(world: World) -> None:
    PAGE.run(world)
    reply = {"event": "reply", "id": "mo-1", "from": "5534998887755", "text": "Sim, quero"}
    world.tell(reply)
    world.drain()
    told = {PAGE.alike({k: v for k, v in t.items() if k != "webhook-id"}) for t in world.told}
    # The newest message to the number, which the reply answers, has a reference_id.
    told |= {t.replace(', "reference_id": "pedido-8"', "") for t in told}
    shown = PAGE.callbacks()
    assert len(shown) == 4
    assert set(shown) <= told


def digitless(status: int, code: str, message: str) -> tuple[int, str, str]:
    return status, code, re.sub(r"\d+", "N", message)


def test_the_table_of_errors_is_what_callers_meet() -> None:
    listed = [digitless(int(row[0]), row[1], row[2]) for row in PAGE.rows("Errors")]
    met = {digitless(failure.status, failure.esme, failure.message) for failure in FAILURES}
    assert set(listed) == met | FAILED_ELSEWHERE
    assert len(listed) == len(set(listed))


def test_every_sentence_of_the_document_stands_with_the_test_that_quotes_it() -> None:
    listed = PAGE.rows("The document, sentence by sentence")
    told = {(quote.strip("`"), name.strip("`")) for quote, name in listed}
    assert told == quoted_in("test_zoug_seed.py")


def test_every_test_that_the_page_names_exists() -> None:
    named = PAGE.tests_named()
    assert len(named) > 80
    assert named - every_test() == set()


@pytest.mark.parametrize("link", PAGE.links())
def test_every_link_within_the_page_leads_to_a_heading(link: str) -> None:
    assert link in PAGE.headings()
