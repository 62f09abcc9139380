"""What lies in a data directory, and the dependencies over it.

recado.db       messages, queues, configuration
blobs/          what is too large for a queue message
pepper          the key of the passwords' hashes; without it no password opens
secrets/        what has to be read back, such as our passwords at SMSCs: one file each
lock            held by the process that uses the directory
control.sock    where a running node takes commands
"""

import os
import secrets
import time
from pathlib import Path

from node.template import Wiring
from recado.connectors import Submitting
from recado.engine import Engine
from recado.engine.embedded import open_engine
from recado.engine.embedded.database import Database
from recado.engine.embedded.keyring import SECRETS_NAME, FolderKeyring
from recado.engine.embedded.queue import Policy
from recado.errors import Misconfigured
from recado.http import Exchange
from recado.settings import Settings
from recado.wiring import ALONE, Deps, Turns, assemble

PEPPER = "pepper"
TEMPLATE = Path(__file__).parent.parent / "template.yaml"
_DAY = 86_400.0


def pepper_of(folder: Path) -> bytes:
    """The directory's pepper, made on first use. Raises Misconfigured where it can't be had."""
    path = folder / PEPPER
    try:
        if not path.exists():
            draft = path.with_suffix(".draft")
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as f:
                f.write(secrets.token_hex(32).encode())
                f.flush()
                os.fsync(f.fileno())
            draft.replace(path)
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"can't read or write {path}: {error.strerror}") from error


def policies_of(wiring: Wiring) -> dict[str, Policy]:
    """The queues' redelivery as the template sets it."""
    return {spec.name: Policy(spec.visibility, spec.max_receives) for spec in wiring.queues}


def make_durable(database: Database) -> None:
    """Commits what was written so far. Raises Misconfigured where that fails."""
    problems: list[BaseException | None] = []
    database.then(problems.append)
    database.commit()
    if problems[0] is not None:
        raise Misconfigured(f"can't write to the data directory: {problems[0]}")


def open_installation(
    folder: Path,
    wiring: Wiring,
    settings: Settings,
    exchange: Exchange,
    turns: Turns = ALONE,
    *,
    holds_binds: bool = False,
    submits_elsewhere: Submitting | None = None,
) -> tuple[Deps, Database, Engine]:
    """The dependencies over a claimed data directory; with binds, where this process speaks SMPP to
    upstreams."""
    retention = settings.retention_days * _DAY
    pepper = pepper_of(folder)
    engine, database = open_engine(folder, policies_of(wiring), time.time, retention, pepper)
    deps = assemble(
        engine,
        pepper,
        exchange,
        settings,
        time.time,
        turns,
        holds_binds=holds_binds,
        keyring=FolderKeyring(folder / SECRETS_NAME),
        submits_elsewhere=submits_elsewhere,
    )
    return deps, database, engine
