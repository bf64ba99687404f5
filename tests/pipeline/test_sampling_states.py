"""Strategies with a state: one instance per source, asked one frame at a time."""

import re
import threading
from contextlib import contextmanager

from al_framework.api import Options, Verdict
from al_framework.pipeline.sampling import StrategySlot
from al_framework.pipeline.tally import Tally
from al_framework.testing import sample_detections, sample_frame


def evaluate(sampler, prediction=None, *, frame_id="frame-1", pixels=False):
    prediction = sample_detections() if prediction is None else prediction
    return sampler.evaluate(sample_frame(frame_id), prediction, pixels=pixels)


def recording_slot(world, built, **traits):
    kind = type(world.slot("a", Verdict(match=True), stateful=False).instance(""))

    def build(source):
        built.append(source)
        return kind(Options(), None)

    return StrategySlot(
        "a",
        plugin="plug",
        strategy=type("Kind", (kind,), traits),
        tasks=kind.tasks,
        build=build,
        tally=Tally(["a"]).strategy("a"),
    )


def test_a_stateless_strategy_is_built_at_once_and_once(world):
    built = []
    slot = recording_slot(world, built)

    assert [""] == built
    assert slot.instance("cam") is slot.instance("other")
    assert [""] == built
    assert {"": slot.instance("cam")} == slot.instances()


def test_a_stateful_strategy_has_one_instance_per_source(world):
    built = []
    slot = recording_slot(world, built, stateful=True)

    assert [] == built
    assert slot.instance("north") is not slot.instance("south")
    assert slot.instance("north") is slot.instance("north")
    assert ["north", "south"] == built
    assert ["north", "south"] == list(slot.instances())


def test_a_stateful_strategy_that_cannot_be_built_is_a_fault(world, yes):
    def build(source):
        raise OSError("no state")

    kind = type(world.slot("a", yes).instance(""))
    slot = StrategySlot(
        "a",
        plugin="plug",
        strategy=type("Kind", (kind,), {"stateful": True}),
        tasks=kind.tasks,
        build=build,
        tally=Tally(["a"]).strategy("a"),
    )
    verdicts = evaluate(world.sampler(slot))

    assert [] == verdicts
    assert re.search(r"frame 'frame-1': OSError: no state: repair", world.reports[0][0])


def test_threads_that_bring_a_sources_first_frames_share_one_instance(world):
    built = []
    slot = recording_slot(world, built, stateful=True)
    barrier = threading.Barrier(8)
    got = []

    def first_frame():
        barrier.wait(10)
        got.append(slot.instance("cam"))

    threads = [threading.Thread(target=first_frame) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert ["cam"] == built
    assert 8 == len(got)
    assert 1 == len({id(one) for one in got})


def test_a_thread_that_waited_for_another_takes_the_instance_it_built(world):
    built = []
    slot = recording_slot(world, built, stateful=True)
    other = object()

    @contextmanager
    def another_thread_was_first():
        slot._instances["cam"] = other
        yield

    slot._lock = another_thread_was_first()

    assert other is slot.instance("cam")
    assert [] == built


def test_a_stateful_strategy_is_asked_one_frame_at_a_time(world):
    inside, together = [], []

    def careless(frame, _):
        inside.append(frame.frame_id)
        together.append(len(inside))
        threading.Event().wait(0.002)  # gives another thread every chance to come in
        inside.pop()
        return Verdict(match=False)

    sampler = world.sampler(world.slot("s", careless, stateful=True))
    threads = [threading.Thread(target=evaluate, args=(sampler,), daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert together == [1] * 8


def test_the_child_of_a_fork_has_a_lock_that_nobody_holds(world, yes):
    slot = world.slot("a", yes, stateful=True)
    slot._lock.acquire()  # as by a thread of the parent
    slot.after_fork()

    assert len(evaluate(world.sampler(slot))) == 1
