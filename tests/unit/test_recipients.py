"""Recipients: what is worked out for each, and what once for a request."""

from recado.accept import accept
from recado.dialects import Ask, Wish, zoug
from recado.submission import Recipient
from tests.support.bound import cost_centre_of
from tests.support.world import World

ACCENTS = "ação " * 20  # it is composed anew where it is sized anew


def recipients(world: World, *texts: str) -> tuple[Recipient, ...]:
    which = world.cost_centre("rui", max_segments=2)
    cost_centre = cost_centre_of(world, which)
    wishes = tuple(Wish(f"553499888{n:04d}", text) for n, text in enumerate(texts, 7000))
    ask = Ask(wishes=wishes, batch=True, numbering=zoug.numbering(cost_centre))
    return accept(ask, cost_centre, zoug.NAME, world.deps).recipients


def test_a_text_that_many_get_is_sized_once(world: World) -> None:
    first, *others = recipients(world, *[ACCENTS] * 254)
    assert (first.text, first.segments) == ("acao " * 20, 1)
    assert len(others) == 253
    assert all(other.text is first.text for other in others)


def test_each_text_has_its_own_size_and_its_own_refusal(world: World) -> None:
    texts = ("oi", ACCENTS * 2, "oi", "a" * 1_000, "", ACCENTS * 2)
    found = recipients(world, *texts)
    reasons = [one.refusal.reason if one.refusal else "" for one in found]
    assert [one.segments for one in found] == [1, 2, 1, 0, 0, 2]
    assert reasons == ["", "", "", "long", "empty", ""]
