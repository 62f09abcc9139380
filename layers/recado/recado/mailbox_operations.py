"""What operators do about mailboxes. Operations as those of recado.operations, which has the list
of all."""

from collections.abc import Iterator
from typing import Any

from recado.configuration import cost_centre_of, cost_centres
from recado.costcentre import CostCentre
from recado.engine import Mail
from recado.moments import iso
from recado.wiring import Deps

MOST_COUNTED = 10_000  # mails of one mailbox: they are counted by reading them
_MOST_DROPPED = 20_000  # by one call: somebody waits for its answer
_PAGE = 500


def mailbox_list(
    deps: Deps, which: str | None = None, before: float | None = None
) -> list[dict[str, Any]]:
    """The mailboxes in which anything waits, the longest waiting first; or that of one cost centre,
    also when it is empty. For each how many mails, up to MOST_COUNTED (`more`: there are others),
    and since when the oldest is owed; with `before`, a time since 1970, of those owed before it.
    How many binds its customer has, and how many of them receive, knows who holds them: None
    here."""
    if which is not None:
        return [_shown(cost_centre_of(which, deps), before, deps)]
    rows = [_shown(cost_centre, before, deps) for cost_centre in cost_centres(deps)]
    return sorted((row for row in rows if row["waiting"]), key=lambda row: str(row["oldest"]))


def mailbox_drop(deps: Deps, which: str, before: float | None = None) -> dict[str, Any]:
    """Forgets what waits in a mailbox, or what of it was owed before a time since 1970; at most so
    much as one call may (`more`: ask again). A bind that is up may be given what it was about to be
    given. The reports stay with their messages: a replay brings them back."""
    cost_centre = cost_centre_of(which, deps)
    dropped, more = 0, False
    for page in _pages(cost_centre.id, deps):
        doomed = [mail for mail in page if _is_before(mail, before)]
        deps.engine.store.forget(doomed)
        dropped += len(doomed)
        if len(doomed) < len(page):
            break
        if dropped >= _MOST_DROPPED:
            more = True
            break
    return {"id": cost_centre.id, "name": cost_centre.name, "dropped": dropped, "more": more}


def _shown(cost_centre: CostCentre, before: float | None, deps: Deps) -> dict[str, Any]:
    waiting, oldest, more = 0, "", False
    for mail in _waiting(cost_centre.id, before, deps):
        if waiting == MOST_COUNTED:
            more = True
            break
        oldest = oldest or iso(_owed_at(mail))
        waiting += 1
    return {
        "id": cost_centre.id,
        "name": cost_centre.name,
        "waiting": waiting,
        "more": more,
        "oldest": oldest or None,
        "binds": None,
        "receivers": None,
    }


def _waiting(cost_centre: str, before: float | None, deps: Deps) -> Iterator[Mail]:
    now = deps.clock()
    for page in _pages(cost_centre, deps):
        for mail in page:
            if not _is_before(mail, before):
                return
            if mail.expires > now:  # else it is there, but nobody will be given it
                yield mail


def _pages(cost_centre: str, deps: Deps) -> Iterator[list[Mail]]:
    after = ""
    while page := deps.engine.store.mails(cost_centre, after, _PAGE):
        yield page
        after = page[-1].place
        deps.breathe()


def _is_before(mail: Mail, before: float | None) -> bool:
    return before is None or _owed_at(mail) < before


def _owed_at(mail: Mail) -> float:
    """As recado.mailbox.mail_of writes it into the place."""
    return int(mail.place.partition("#")[0]) / 1000
