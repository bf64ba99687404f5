"""What SQLite takes for a value and nobody has written is named, and mended where it matters."""

import sqlite3
from contextlib import closing

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.spool import CorruptItemError, store
from al_framework.pipeline.spool.database import _LOOK_EVERY_S

NO_TEXT = b"item\xff"


@pytest.fixture
def damaged(make_spool, candidate):
    """A function that changes an index behind its spool's back, and opens it again."""

    def damage(statement, *values):
        make_spool().accept([candidate("1"), candidate("2")])
        make_spool.opened[-1].close()
        with closing(sqlite3.connect(make_spool.directory / "spool.db")) as index:
            index.execute(statement, values)
            index.commit()
        return make_spool()

    return damage


def set_aside(make_spool):
    return list(make_spool.directory.glob("spool.db.corrupt-*"))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE item SET offset = 'x'", "item.offset holds str, which is no INTEGER"),
        ("UPDATE item SET batch_name = x'00'", "item.batch_name holds bytes, which is no TEXT"),
        ("UPDATE delivery SET due = 'x'", "delivery.due holds str, which is no REAL"),
        (
            "UPDATE item SET batch_name = CAST(x'6974656dff' AS TEXT)",
            "item: Could not decode to UTF-8 column 'batch_name' with text 'item",
        ),
        ("UPDATE delivery SET state = 7", "a delivery is in a state that there is not"),
        (
            "UPDATE delivery SET number = 77 WHERE number = 1",
            "a delivery is of a datapoint that there is not",
        ),
        ("UPDATE total SET items = 3", "the totals are not those of the datapoints"),
        ("UPDATE total SET bytes = 3", "the totals are not those of the datapoints"),
    ],
)
def test_verify_names_what_nobody_has_written(damaged, statement, fault):
    [found] = damaged(statement).verify().index_faults

    assert found.startswith(fault)


def test_a_sound_index_has_no_wrong_value(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    lease = spool.deliveries.take("s1")
    spool.deliveries.put_back(lease, reason="later", delay_s=1.0)

    assert spool.verify().index_faults == ()


def test_what_others_have_added_may_hold_anything(damaged):
    spool = damaged("CREATE TABLE mine (number INTEGER)")
    with closing(sqlite3.connect(spool.directory / "spool.db")) as index:
        index.execute("INSERT INTO mine VALUES ('x')")
        index.commit()

    assert spool.verify().index_faults == ()


def test_text_that_is_none_is_mended_when_it_is_met(damaged, make_spool):
    spool = damaged("UPDATE item SET item_id = CAST(? AS TEXT) WHERE number = 2", NO_TEXT)
    spool.deliveries.take("s1")
    with pytest.raises(SpoolError, match=r"its index is damaged \(Could not decode to UTF-8"):
        spool.deliveries.take("s1")

    assert {spool.deliveries.take("s1").item_id for _ in range(2)} == {"item-1", "item-2"}
    assert len(set_aside(make_spool)) == 1


def test_a_start_that_meets_it_mends_it(damaged, make_spool):
    spool = damaged("UPDATE tally SET sink = CAST(? AS TEXT)", NO_TEXT)

    assert spool.counts()["s1"].pending == 2
    assert len(set_aside(make_spool)) == 1


def test_a_delivery_of_nothing_is_mended_when_it_is_met(damaged, make_spool):
    spool = damaged("UPDATE delivery SET number = 0 WHERE number = 1")
    text = (
        r"its index does not hold what was written \(TypeError: cannot unpack .*\); when it is"
        " used next it is looked through, and built anew if it is damaged"
    )
    with pytest.raises(SpoolError, match=text):
        spool.deliveries.take("s1")

    assert {spool.deliveries.take("s1").item_id for _ in range(2)} == {"item-1", "item-2"}
    assert len(set_aside(make_spool)) == 1


def test_a_first_transaction_that_meets_it_mends_it(damaged, make_spool, monkeypatch):
    spool = damaged("UPDATE item SET offset = 'x' WHERE number = 2")
    spool.close()
    begin_life = store.begin_life

    def read_on(tx):
        for (offset,) in tx.execute("SELECT offset FROM item"):
            offset + 1
        return begin_life(tx)

    monkeypatch.setattr(store, "begin_life", read_on)

    assert make_spool().counts()["s1"].pending == 2
    assert len(set_aside(make_spool)) == 1


def test_a_fault_of_ours_does_not_hold_everybody_up(make_spool, candidate, monkeypatch):
    spool = make_spool()
    spool.accept([candidate("1")])
    looks = []
    monkeypatch.setattr(
        "al_framework.pipeline.spool.database.is_sound",
        lambda path, *, thorough: looks.append(thorough) or True,
    )

    def misread():
        text = "does not hold what was written"
        with pytest.raises(SpoolError, match=text), spool._database.read():
            raise KeyError("a fault of ours")
        spool.counts()

    for _ in range(3):
        misread()
    assert looks == [True]
    make_spool.clock.advance(_LOOK_EVERY_S)
    misread()
    assert looks == [True, True]
    assert set_aside(make_spool) == []


def test_damaged_totals_refuse_nothing_for_good(damaged, candidate):
    spool = damaged("UPDATE total SET items = 1 << 40, bytes = 1 << 50")

    assert [answer.status for answer in spool.accept([candidate("3")])] == ["accepted"]
    assert spool.health().items == 3
    assert spool.verify().index_faults == ()


@pytest.mark.parametrize("name", ["looked at", "doubted since", "unclean_restarts"])
def test_a_damaged_note_is_none(damaged, name):
    spool = damaged("INSERT OR REPLACE INTO note (name, value) VALUES (?, 'x')", name)

    assert spool.health().unclean_restarts == 0
    assert spool.dead.prune() == 0


@pytest.mark.parametrize("detail", ["x", "[]"])
@pytest.mark.parametrize("results", ["x", "[1]"])
def test_a_damaged_memory_of_a_frame_is_told_as_far_as_it_goes(damaged, detail, results):
    statement = "UPDATE seen SET item_id = NULL, detail = ?, results = ?"
    spool = damaged(statement, detail, results)
    [frame] = spool.find("cam/1")

    assert frame.frame_id == "cam/1"
    assert frame.deliveries == ()
    assert frame.detail == {}


def test_a_dead_letter_without_its_reason_is_listed(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.deliveries.give_up(spool.deliveries.take("s1"), "the server says no")
    with closing(sqlite3.connect(spool.directory / "spool.db")) as index:
        index.execute("UPDATE delivery SET result = 'x', ended_at = 'y'")
        index.commit()

    assert [letter.reason for letter in spool.dead.list()] == [""]
    spool.dead.prune()


@pytest.mark.parametrize("name", ["x", "x.als", "../x.als", "/x.als", "a/b/x.als", "a/x.txt", ""])
def test_a_name_that_is_none_touches_nothing(make_spool, candidate, name):
    spool = make_spool()
    spool.accept([candidate("1")])
    for place in (spool.directory, spool.directory.parent, spool.directory / "obj"):
        place.joinpath("x.als").write_bytes(b"of somebody else")
    before = {path for path in spool.directory.parent.rglob("*") if path.is_file()}
    with closing(sqlite3.connect(spool.directory / "spool.db")) as index:
        index.execute("UPDATE item SET file = ?", (name,))
        index.commit()
    lease = spool.deliveries.take("s1")
    with pytest.raises(CorruptItemError, match=f"^group file '{name}': none has such a name$"):
        spool.deliveries.load(lease)
    spool.deliveries.give_up(lease, "corrupt")
    [letter] = spool.dead.list()
    [damage] = spool.verify().damaged
    with pytest.raises(SpoolError, match=r"cannot be read: group file .* none has such a name"):
        spool.dead.load(letter.item_id)
    spool.dead.drop()

    assert letter.frame_id == ""
    assert damage.reason == f"group file '{name}': none has such a name"
    assert {path for path in spool.directory.parent.rglob("*") if path.is_file()} == before
    assert spool.accept([candidate("2")])[0].status == "accepted"
