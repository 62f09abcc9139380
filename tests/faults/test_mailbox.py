"""A process that keeps mailboxes is killed: what it said was durable is there, and what it said was
forgotten does not come again."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from recado.engine.embedded import open_engine

DAY = 86_400.0
OF_A_ROUND = 10
ROUNDS = 80

# Each unit of work posts ten mails, and forgets the first five of the ten before them. Every tenth
# leaves its unit open for a while, as a node does that has more in hand.
_KEEPING = """
import sys
from itertools import count
from pathlib import Path
from recado.engine import Mail
from recado.engine.embedded import open_engine

engine, database = open_engine(Path(sys.argv[1]), {}, lambda: 0.0, 1.0)
database.schedule = lambda _: None
before = []
for turn in count():
    mails = [Mail("ana", f"{turn:06}#{n}", "x" * 200, 1e12) for n in range(10)]
    engine.store.post(mails)
    engine.store.forget(before[:5])
    database.then(lambda problem, turn=turn: print(problem or turn, flush=True))
    if turn % 10 != 5:
        database.commit()
    before = mails
"""


def _killed(folder: Path, rounds: int) -> int:
    """Runs it until it has told so many rounds to be durable, and kills it: the last one told."""
    command = [sys.executable, "-c", _KEEPING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeping:
        assert keeping.stdout is not None
        told = [int(keeping.stdout.readline()) for _ in range(rounds)]
        keeping.kill()
        told += [int(line) for line in keeping.stdout.read().splitlines(keepends=True)]
    assert told == list(range(len(told)))
    return told[-1]


def test_a_mailbox_is_after_a_kill_as_it_was_told_to_be(tmp_path: Path) -> None:
    last = _killed(tmp_path, ROUNDS)
    engine, database = open_engine(tmp_path, {}, lambda: 0.0, DAY)
    order = [mail.place for mail in engine.store.mails("ana", "", 100 * last)]
    database.close()
    assert order == sorted(order)
    found = set(order)
    kept = {f"{turn:06}#{n}" for turn in range(last + 1) for n in range(5, OF_A_ROUND)}
    gone = {f"{turn:06}#{n}" for turn in range(last) for n in range(5)}
    assert kept - found == set()
    assert gone & found == set()
    # A unit is there as a whole or not at all, also one that it did not live to tell of.
    beyond = Counter(int(place.split("#")[0]) for place in found - kept)
    assert beyond[last] == (0 if max(beyond) > last else 5)
    assert all(count in (5, OF_A_ROUND) for turn, count in beyond.items() if turn > last)
