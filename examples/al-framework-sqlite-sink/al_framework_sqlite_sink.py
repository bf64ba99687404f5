"""Keep pictures and annotations in one SQLite file, to count, filter and copy as a whole."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Literal

from al_framework.api import (
    Checkpoint,
    Classification,
    Datapoint,
    Detections,
    Options,
    PermanentSinkError,
    Prediction,
    Receipt,
    Sink,
    SinkError,
    SinkPausedError,
    TransientSinkError,
    datapoint_to_dict,
    hookimpl,
)
from pydantic import Field

# `data` holds what has no column of its own: outlines, key points, the whole decision.
_TABLES = """
CREATE TABLE IF NOT EXISTS picture (
    item_id TEXT PRIMARY KEY,
    content_key TEXT NOT NULL UNIQUE,
    frame_id TEXT NOT NULL,
    batch_name TEXT NOT NULL,
    strategy TEXT NOT NULL,
    reason TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    image BLOB NOT NULL,
    data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS annotation (
    item_id TEXT NOT NULL REFERENCES picture,
    class_name TEXT NOT NULL,
    confidence REAL,
    x_min REAL,
    y_min REAL,
    x_max REAL,
    y_max REAL
);
CREATE INDEX IF NOT EXISTS annotations_of_a_picture ON annotation (item_id);
"""
_ADD_PICTURE = "INSERT INTO picture VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_ADD_ANNOTATION = "INSERT INTO annotation VALUES (?, ?, ?, ?, ?, ?, ?)"
_WAIT_S = 30.0  # for other threads and processes that write

# What may pass by itself: another writer, a full disk, a failing one. All else needs a person.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
    }
)


class SqliteOptions(Options):
    """Options of the sink `sqlite`."""

    path: str = Field(
        min_length=1,
        examples=["collected.db"],
        description="File to collect into, created where it is missing; a relative path starts "
        "at the configuration file.",
    )


class SqliteSink(Sink[SqliteOptions]):
    """Collect into one SQLite file, once per picture, whatever crashes.

    A picture and its annotations are written in one transaction, so an attempt that breaks off
    leaves nothing behind, and there is no step for `Checkpoint` to remember.
    """

    type_name = "sqlite"

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self.context.resolve(self.options.path))

    def start(self) -> None:
        """Create file and tables where they are missing.

        Raises:
            SinkPausedError: There can be no such file, or it is no database.
            TransientSinkError: The disk is full, or another process holds the file.
        """
        path = self.context.resolve(self.options.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path, timeout=_WAIT_S)) as database:
                database.executescript(_TABLES)
        except OSError as exc:
            raise SinkPausedError(
                f"sink {self.context.name!r}: the directory of {self.location!r} cannot be made "
                f"({exc.strerror}): correct its permissions or choose another path"
            ) from exc
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Store picture and annotations; safe from several threads and processes at once.

        Raises:
            TransientSinkError: The disk is full or fails, or another process holds the file.
            SinkPausedError: The file is gone, not writable or no database any more.
            PermanentSinkError: The datapoint holds what JSON or SQLite cannot.
        """
        del checkpoint
        try:
            added = self._store(datapoint)
        except (sqlite3.DataError, sqlite3.IntegrityError, ValueError) as exc:
            raise PermanentSinkError(
                f"sink {self.context.name!r}: the datapoint {datapoint.item_id!r} of frame "
                f"{datapoint.frame_id!r} cannot be stored: {exc}"
            ) from exc
        except sqlite3.Error as exc:
            raise self._error(exc) from exc
        status: Literal["created", "duplicate"] = "created" if added else "duplicate"
        return Receipt(status=status, remote_id=datapoint.item_id)

    def _store(self, datapoint: Datapoint) -> bool:
        """Return False where the file holds the datapoint, or its picture, already."""
        picture = (
            datapoint.item_id,
            datapoint.content_key,
            datapoint.frame_id,
            datapoint.batch_name,
            datapoint.strategy,
            datapoint.reason,
            *datapoint.image_size,
            datapoint.image,
            json.dumps(datapoint_to_dict(datapoint), allow_nan=False),
        )
        # Not created here: a file that somebody has moved away is missed, not begun anew.
        uri = f"{self.context.resolve(self.options.path).absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as database, database:
            # With EXTRA the end of the transaction, too, outlasts a power cut.
            database.execute("PRAGMA synchronous = EXTRA")
            if not database.execute(_ADD_PICTURE, picture).rowcount:
                return False
            rows = ((datapoint.item_id, *row) for row in _annotations(datapoint.prediction))
            database.executemany(_ADD_ANNOTATION, rows)
        return True

    def _error(self, exc: sqlite3.Error) -> SinkError:
        where = f"sink {self.context.name!r}: the file {self.location!r} cannot be written ({exc})"
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF in _PASSING:  # the low byte is the kind of error
            return TransientSinkError(f"{where}: delivery is tried again")
        return SinkPausedError(f"{where}: restore it or choose another path, delivery waits")


def _annotations(prediction: Prediction | None) -> Iterator[tuple[str | float | None, ...]]:
    """Yield class, confidence and box; a class of the whole picture has no box."""
    if isinstance(prediction, Detections):
        boxes, scores = prediction.xyxy.tolist(), prediction.confidence.tolist()
        for name, score, box in zip(prediction.class_name, scores, boxes, strict=True):
            yield name, score, *box
    elif isinstance(prediction, Classification):
        for name, score in zip(prediction.class_name, prediction.confidence.tolist(), strict=True):
            yield name, score, None, None, None, None
        if prediction.top is not None and prediction.top not in prediction.class_name:
            yield prediction.top, prediction.top_confidence, None, None, None, None


@hookimpl
def al_register_sinks() -> list[type[SqliteSink]]:
    """Register the sink; called once, when al-framework starts."""
    return [SqliteSink]
