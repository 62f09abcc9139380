"""Backup and restore of a data directory. A backup may be taken while the node runs."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from node.installation import PEPPER
from recado.engine.embedded import BLOBS_NAME, DATABASE_NAME, claim_directory
from recado.engine.embedded.keyring import SECRETS_NAME
from recado.errors import Misconfigured, NotFound

LOCK_NAME = "lock"  # what `claim_directory` leaves in a directory
_PAGES_AT_ONCE = 500


def backup(data: Path, target: Path) -> None:
    """Copies the directory as it is at one instant to `target`, which must not exist yet. Raises
    NotFound or Misconfigured."""
    if not (data / DATABASE_NAME).exists():
        raise NotFound(f"{data} is no data directory of Recado")
    if target.exists():
        raise Misconfigured(f"{target} exists already: a backup never overwrites")
    draft = target.with_name(target.name + ".draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        _copy_database(data / DATABASE_NAME, draft / DATABASE_NAME)
        # After the rows that name them; blobs are removed days later than those rows.
        for name in (BLOBS_NAME, SECRETS_NAME):
            if (data / name).exists():
                ignore = shutil.ignore_patterns("*.draft")
                shutil.copytree(data / name, draft / name, ignore=ignore)
        shutil.copy2(data / PEPPER, draft / PEPPER)
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise Misconfigured(f"can't back up to {target}: {error}") from error


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's online backup over a connection that only reads: the node stays the one writer."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reader,
        closing(sqlite3.connect(target)) as writer,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM config").fetchone()  # fixes the instant
        reader.backup(writer, pages=_PAGES_AT_ONCE, sleep=0.001)
        writer.execute("PRAGMA journal_mode = WAL")


def restore(source: Path, data: Path) -> None:
    """Makes a data directory of a backup. Refuses one that is in use or that holds anything."""
    if not (source / DATABASE_NAME).exists():
        raise NotFound(f"{source} is no backup of Recado")
    if (source / LOCK_NAME).exists():
        # Of a directory that was in use, the database alone may lack what is in its log.
        raise Misconfigured(f"{source} is a data directory, no backup: `recado backup` makes one")
    with claim_directory(data):
        if any(path.name != LOCK_NAME for path in data.iterdir()):
            raise Misconfigured(f"{data} holds something already: restore elsewhere")
        try:
            for name in (BLOBS_NAME, SECRETS_NAME):
                if (source / name).exists():
                    shutil.copytree(source / name, data / name, dirs_exist_ok=True)
            shutil.copy2(source / PEPPER, data / PEPPER)
            draft = data / (DATABASE_NAME + ".draft")
            shutil.copy2(source / DATABASE_NAME, draft)
            draft.replace(data / DATABASE_NAME)  # last: a directory with it is complete
        except OSError as error:
            raise Misconfigured(f"can't restore to {data}: {error}") from error
