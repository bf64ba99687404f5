import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

import pytest
from al_framework.api import (
    PermanentSinkError,
    Receipt,
    Sink,
    SinkError,
    SinkPausedError,
    TransientSinkError,
)
from al_framework.testing import (
    FakeCheckpoint,
    SinkContract,
    make_context,
    sample_datapoint,
    sample_detections,
    sample_predictions,
)

import al_framework_sqlite_sink
from al_framework_sqlite_sink import SqliteOptions, SqliteSink

FILE = "collected.db"


class TestSqliteSink(SinkContract):
    component = SqliteSink
    options: ClassVar[Mapping[str, object]] = {"path": FILE}

    def stored(self, sink: Sink[Any], directory: Path) -> int:
        return len(rows(directory, "SELECT image FROM picture"))

    def faults(
        self, sink: Sink[Any], directory: Path
    ) -> Mapping[type[SinkError], Callable[[], object]]:
        return {SinkPausedError: (directory / FILE).unlink}


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(directory / FILE)) as database:
        return database.execute(query).fetchall()


def make(directory: Path, path: str = FILE) -> SqliteSink:
    return SqliteSink(SqliteOptions(path=path), make_context(directory))


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SqliteSink]:
    sink = make(tmp_path)
    sink.start()
    yield sink
    sink.close()


def deliver(sink: SqliteSink, number: int = 0, **changes: Any) -> Receipt:
    return sink.deliver(sample_datapoint(number, **changes), FakeCheckpoint())


def test_a_picture_has_its_facts_beside_it(sink: SqliteSink, tmp_path: Path) -> None:
    deliver(sink, 1, reason="unsure", batch_name="monday")

    expected = sample_datapoint(1)
    assert rows(tmp_path, "SELECT image, width, height, reason, batch_name FROM picture") == [
        (expected.image, *expected.image_size, "unsure", "monday")
    ]
    assert rows(tmp_path, "SELECT data ->> '$.decision.seed' FROM picture") == [
        (expected.decision.seed,)
    ]


def annotations(sink: SqliteSink, directory: Path, name: str) -> list[tuple[object, ...]]:
    deliver(sink, prediction=sample_predictions()[name])
    columns = "class_name, confidence, x_min, y_min, x_max, y_max"
    return rows(directory, f"SELECT {columns} FROM annotation ORDER BY rowid")


def test_each_object_is_a_row(sink: SqliteSink, tmp_path: Path) -> None:
    found = sample_detections(3)
    boxes, scores = found.xyxy.tolist(), found.confidence.tolist()

    assert annotations(sink, tmp_path, "detections") == [
        (name, score, *box)
        for name, score, box in zip(found.class_name, scores, boxes, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one class", [("cat", 0.55), ("dog", 0.4), ("bird", 0.05)]),
        ("one class of none listed", [("cat", 0.5)]),
        ("unlabelled", []),
    ],
)
def test_each_class_is_a_row_without_a_box(
    sink: SqliteSink, tmp_path: Path, name: str, expected: list[tuple[object, ...]]
) -> None:
    none = (None, None, None, None)

    assert annotations(sink, tmp_path, name) == [(*row, *none) for row in expected]


def test_neither_an_item_nor_a_picture_is_stored_twice(sink: SqliteSink, tmp_path: Path) -> None:
    prediction = sample_detections(2)
    deliver(sink, 1, prediction=prediction)

    again = deliver(sink, 1, prediction=prediction)
    same_picture = deliver(sink, 1, prediction=prediction, item_id="another")

    assert (again.status, same_picture.status) == ("duplicate", "duplicate")
    assert rows(tmp_path, "SELECT count(*) FROM annotation") == [(2,)]


def test_an_attempt_that_breaks_off_leaves_nothing_behind(
    sink: SqliteSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(prediction: object) -> Iterator[tuple[object, ...]]:
        yield "cup", 0.5, 0.0, 0.0, 1.0, 1.0
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(al_framework_sqlite_sink, "_annotations", breaks_off)
        deliver(sink)

    assert rows(tmp_path, "SELECT * FROM picture") == []
    assert rows(tmp_path, "SELECT * FROM annotation") == []
    assert deliver(sink).status == "created"


def test_another_writer_is_waited_for_and_then_left_alone(
    sink: SqliteSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(al_framework_sqlite_sink, "_WAIT_S", 0.0)
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(
            TransientSinkError, match=r"cannot be written \(database is locked\): delivery is tried"
        ):
            deliver(sink)


def test_a_file_that_was_moved_away_is_missed(sink: SqliteSink, tmp_path: Path) -> None:
    (tmp_path / FILE).rename(tmp_path / "elsewhere.db")

    with pytest.raises(SinkPausedError, match=r"unable to open .*: restore it or choose another"):
        deliver(sink)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"utility": math.inf}, "JSON"),
        ({"frame_id": "\udc80"}, "surrogates not allowed"),
    ],
)
def test_what_cannot_be_stored_is_given_up(
    sink: SqliteSink, changes: Mapping[str, object], seen: str
) -> None:
    with pytest.raises(
        PermanentSinkError, match=f"'item-000001' of frame .* cannot be stored: .*{seen}"
    ):
        deliver(sink, 1, **changes)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a letter to a friend, of some length " * 50)

    with pytest.raises(
        SinkPausedError, match=r"collected\.db' cannot be written \(file is not a database\)"
    ):
        make(tmp_path).start()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SinkPausedError, match=r"the directory of '.*' cannot be made \(.*exists\)"):
        make(tmp_path, f"file/{FILE}").start()


def test_the_plugin_is_announced() -> None:
    (entry_point,) = entry_points(group="al_framework", name="sqlite-sink")

    assert entry_point.load().al_register_sinks() == [SqliteSink]
