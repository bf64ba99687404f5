"""Look at a spool without changing anything in it.

Opening one enters a life, and builds a damaged index anew; whoever asks what is wrong with a spool
must not do either.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from al_framework.api import SpoolError, SpoolHealth
from al_framework.pipeline.limits.sqlite import read_spent_until
from al_framework.pipeline.spool.condition import read_health
from al_framework.pipeline.spool.schema import MIGRATIONS
from al_framework.pipeline.spool.sinks import Backlog, read_backlogs
from al_framework.pipeline.spool.soundness import MISREADINGS, guarded
from al_framework.pipeline.spool.translating import damaged, translated


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was seen in a spool.

    Attributes:
        health: How it is. What one process alone knows of the disk is not among it.
        backlogs: What it holds by sink, of those for which it holds anything.
    """

    health: SpoolHealth
    backlogs: Mapping[str, Backlog]


def inspect_spool(directory: Path, *, now: float) -> Inspection:
    """Look at a spool, whoever works with it.

    Args:
        directory: The spool.
        now: UTC epoch seconds.

    Raises:
        SpoolError: It has no index, or one that is damaged, of another version, or cannot be read.
    """
    index = directory / "spool.db"
    try:
        with translated(directory):
            return _inspected(directory, index, now)
    except MISREADINGS as exc:
        raise damaged(directory, exc) from exc


def _inspected(directory: Path, index: Path, now: float) -> Inspection:
    if not index.is_file():
        raise SpoolError(f"spool '{directory}': it has no index; the next start builds one")
    with closing(_connect(index)) as tx:
        version = int(tx.execute("PRAGMA user_version").fetchone()[0])
        if version != len(MIGRATIONS):
            raise SpoolError(
                f"spool '{directory}': its index has schema version {version}, and this version of"
                f" al-framework looks into {len(MIGRATIONS)}; the next start updates an older one,"
                " and a newer one needs another al-framework"
            )
        spent_until = read_spent_until(tx, now)
        health = read_health(tx, directory, now=now, limits_spent_until=spent_until)
        return Inspection(health=health, backlogs=read_backlogs(tx))


def _connect(index: Path) -> sqlite3.Connection:
    # Where nobody has it open there is no log, and SQLite would leave an empty one behind, or fail
    # on a full disk. Who begins to write in this very moment can make the answer wrong, and nothing
    # else.
    log = Path(f"{index}-wal")
    is_open = log.exists() and log.stat().st_size > 0
    uri = f"file:{quote(str(index))}?{'mode=ro' if is_open else 'immutable=1'}"
    return guarded(sqlite3.connect(uri, uri=True, isolation_level=None))
