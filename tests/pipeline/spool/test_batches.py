"""Labelling batches: who has put how much into them, and what still fits."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from al_framework.api import Receipt, Target
from al_framework.pipeline.spool import BatchKey
from al_framework.pipeline.spool.batches import IN_USE_S, REFRESH_S

KEY = BatchKey(name="batch")
CREATED = Receipt(status="created")


def statuses(spool, candidate, names, most, **options):
    answers = spool.accept([candidate(name, max_batch_images=most, **options) for name in names])
    return [answer.status for answer in answers]


def look(spool, size, *, sink="s1", key=KEY):
    """What a look at a batch of that size writes down."""
    spool.batches.record(key, sink, others=size - spool.batches.stored(key, sink))


def deliver(spool, sink="s1"):
    spool.deliveries.deliver(spool.deliveries.take(sink), CREATED)


@pytest.mark.parametrize(("most", "fitting"), [(0, 0), (1, 1), (2, 2), (None, 3)])
def test_a_batch_takes_as_many_as_the_candidate_says(make_spool, candidate, most, fitting):
    answers = statuses(make_spool(), candidate, "123", most)

    assert ["accepted"] * fitting + ["batch_full"] * (3 - fitting) == answers


def test_what_a_limit_did_not_ask_for_counts_all_the_same(make_spool, candidate):
    spool = make_spool()
    statuses(spool, candidate, "12", None)

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "34", 3)


@pytest.mark.parametrize(
    "other", [Target(workspace="w"), Target(project="p"), Target(workspace="w", project="p")]
)
def test_two_targets_with_one_batch_name_are_two_batches(make_spool, candidate, other):
    spool = make_spool()

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "12", 1)
    assert ["accepted", "batch_full"] == statuses(spool, candidate, "34", 1, target=other)


def test_images_of_others_and_places_of_ours_add_up(make_spool, candidate):
    spool = make_spool()
    look(spool, 3)

    assert ["accepted", "accepted", "batch_full"] == statuses(spool, candidate, "123", 5)


def test_what_was_delivered_before_a_look_is_not_counted_twice(make_spool, candidate):
    spool = make_spool()
    statuses(spool, candidate, "123", 9)
    deliver(spool)
    deliver(spool)
    look(spool, 2 + 3)  # two of ours, three of others; one of ours is on its way

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "45", 7)


def test_what_is_delivered_during_a_look_is_counted_twice_rather_than_not_at_all(
    make_spool, candidate
):
    spool = make_spool()
    statuses(spool, candidate, "1", 9)
    stored = spool.batches.stored(KEY, "s1")
    deliver(spool)
    spool.batches.record(KEY, "s1", others=1 - stored)

    assert ["batch_full"] == statuses(spool, candidate, "2", 2)
    look(spool, 1)
    assert ["accepted"] == statuses(spool, candidate, "3", 2)


def test_images_that_were_taken_out_of_a_batch_make_room(make_spool, candidate):
    spool = make_spool()
    statuses(spool, candidate, "12", 2)
    deliver(spool)
    deliver(spool)
    look(spool, 0)

    assert ["accepted", "accepted", "batch_full"] == statuses(spool, candidate, "345", 2)


def test_the_fullest_sink_counts(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2", "s3"))
    look(spool, 1, sink="s1")
    look(spool, 3, sink="s2")

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "12", 4)
    assert ["accepted"] == statuses(spool, candidate, "3", 4, sinks=("s1",))


def test_a_slow_sink_holds_its_places_only(make_spool, candidate):
    spool = make_spool(sinks=("fast", "slow"))
    statuses(spool, candidate, "12", 4)
    deliver(spool, "fast")
    deliver(spool, "fast")
    look(spool, 2, sink="fast")
    look(spool, 0, sink="slow")

    assert ["accepted", "accepted", "batch_full"] == statuses(spool, candidate, "345", 4)


def test_a_sink_that_could_not_tell_counts_with_what_is_ours(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))
    statuses(spool, candidate, "1", 2)
    deliver(spool, "s1")
    look(spool, 0, sink="s1")
    spool.batches.record(KEY, "s2", others=None)

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "23", 2)


def test_a_look_without_an_answer_leaves_the_last_one_standing(make_spool, candidate):
    spool = make_spool()
    look(spool, 3)
    spool.batches.record(KEY, "s1", others=None)

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "12", 4)


@pytest.mark.parametrize("end", ["duplicate", "dead"])
def test_a_place_that_nobody_needed_is_given_back(make_spool, candidate, end):
    spool = make_spool()
    look(spool, 3)
    statuses(spool, candidate, "1", 4)
    lease = spool.deliveries.take("s1")
    if end == "dead":
        spool.deliveries.give_up(lease, "x")
    else:
        spool.deliveries.deliver(lease, Receipt(status="duplicate"))

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "23", 4)
    look(spool, 3)
    assert ["batch_full"] == statuses(spool, candidate, "4", 4)


def test_a_batch_is_unknown_until_it_is_looked_at_and_again_after_a_while(make_spool):
    spool, clock = make_spool(), make_spool.clock
    other = BatchKey(name="batch", target=Target(project="p"))
    before = spool.batches.unknown([KEY, other], ("s1", "s2"))
    look(spool, 0, sink="s1")
    look(spool, 0, sink="s2", key=other)
    after = spool.batches.unknown([KEY, other], ("s1", "s2"))
    clock.advance(IN_USE_S)

    assert [(KEY, "s1"), (KEY, "s2"), (other, "s1"), (other, "s2")] == before
    assert [(KEY, "s2"), (other, "s1")] == after
    assert before == spool.batches.unknown([KEY, other], ("s1", "s2"))


def test_batches_in_use_are_due_once_a_minute(make_spool, candidate):
    spool, clock = make_spool(), make_spool.clock
    target = Target(workspace="w", project="p")
    statuses(spool, candidate, "1", 5)
    statuses(spool, candidate, "2", None, batch_name="without a limit")
    statuses(spool, candidate, "3", 5, target=target)
    at_once = spool.batches.due(("s1",))
    for key, sink in at_once:
        look(spool, 0, sink=sink, key=key)
    looked_at = spool.batches.due(("s1",))
    clock.advance(REFRESH_S - 1)
    early = spool.batches.due(("s1",))
    clock.advance(1)

    assert [(KEY, "s1"), (BatchKey(name="batch", target=target), "s1")] == at_once
    assert [] == looked_at == early
    assert at_once == spool.batches.due(("s1",))
    clock.advance(IN_USE_S - REFRESH_S)
    assert spool.batches.due(("s1",)) == []


def test_a_full_batch_stays_in_use_while_it_refuses(make_spool, candidate):
    spool, clock = make_spool(), make_spool.clock
    look(spool, 5)
    for _ in range(4):
        assert ["batch_full"] == statuses(spool, candidate, "1", 5)
        clock.advance(REFRESH_S - 1)

    assert [(KEY, "s1")] == spool.batches.due(("s1",))


def test_a_clock_that_was_set_back_makes_a_batch_unknown_not_silent(make_spool, candidate):
    spool, clock = make_spool(), make_spool.clock
    look(spool, 0)
    clock.set_time(clock.time() - 3600)

    assert [(KEY, "s1")] == spool.batches.unknown([KEY], ("s1",))
    statuses(spool, candidate, "1", 5)
    assert [(KEY, "s1")] == spool.batches.due(("s1",))


def test_batches_whose_size_matters_are_announced_before_the_lock(make_spool, candidate):
    heard = []
    spool = make_spool(failpoint=lambda name: heard.append(name) if name == "locked" else None)
    spool.on_batches(heard.append)
    statuses(spool, candidate, "12", None)
    statuses(spool, candidate, "34", 5)

    assert ["locked", (KEY,), "locked"] == heard


def test_a_new_index_finds_targets_and_places_again(make_spool, candidate):
    target = Target(workspace="w", project="p")
    first = make_spool()
    statuses(first, candidate, "12", 3, target=target)
    first.close()
    for path in make_spool.directory.glob("spool.db*"):
        path.unlink()
    spool = make_spool()

    assert ["accepted", "batch_full"] == statuses(spool, candidate, "34", 3, target=target)
    assert ["accepted"] == statuses(spool, candidate, "5", 1)


def test_threads_never_overshoot_a_batch_together(make_spool, candidate):
    spool = make_spool()
    look(spool, 10)
    accepted = []
    together = threading.Barrier(4)

    def work(worker: int) -> None:
        together.wait()
        for n in range(10):
            accepted.extend(statuses(spool, candidate, [f"{worker}-{n}"], 25))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (15, 25) == (accepted.count("accepted"), accepted.count("batch_full"))


def test_processes_never_overshoot_a_batch_together(make_spool):
    spool = make_spool()
    look(spool, 5)
    child = str(Path(__file__).with_name("spool_child.py"))
    command = [sys.executable, child, str(make_spool.directory), "fill-batch"]
    processes = [
        subprocess.Popen([*command, str(n), "12", "20"], stdout=subprocess.PIPE) for n in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert [0, 0] == [process.returncode for process in processes]
    assert sum(len(output.splitlines()) for output in outputs) == 15
    assert spool.stats().items == 15
