import threading

from al_framework.api import Counts, SinkCounts, StrategyCounts
from al_framework.pipeline.tally import Tally


def test_a_tally_starts_at_nothing():
    assert Counts(strategies={"a": StrategyCounts()}) == Tally(["a"]).counts({})


def test_every_way_of_a_frame_is_counted():
    tally = Tally(["a", "b"])
    for _ in range(7):
        tally.offer()
    tally.settle("not_selected")
    tally.match()
    tally.settle("limited")
    tally.settle("accepted")
    tally.paid("b")
    tally.drop("ring_full")
    tally.drop("ring_full")
    tally.drop("failed")
    tally.skip()
    sink = SinkCounts(accepted=1, pending=1)

    assert Counts(
        offered=7,
        matched=1,
        not_selected=1,
        limited=1,
        accepted=1,
        queued=1,
        dropped={"ring_full": 2, "failed": 1},
        skipped=1,
        strategies={"a": StrategyCounts(), "b": StrategyCounts(paid=1)},
        sinks={"local": sink},
    ) == tally.counts({"local": sink})


def test_counts_once_given_do_not_change():
    tally = Tally(["a"])
    before = tally.counts({})
    tally.offer()
    tally.drop("failed")
    tally.strategy("a").count("evaluated")

    assert Counts(strategies={"a": StrategyCounts()}) == before


def test_strategies_are_listed_in_configuration_order():
    assert ["z", "a", "m"] == list(Tally(["z", "a", "m"]).counts({}).strategies)


def test_twenty_problems_are_kept_and_the_rest_is_counted():
    tally = Tally([])
    kept = [tally.problem(f"problem {n}") for n in range(23)]

    assert [True] * 20 + [False] * 3 == kept
    assert (*(f"problem {n}" for n in range(20)), "… and 3 more like these") == tally.problems()


def test_without_more_problems_no_line_says_so():
    tally = Tally([])
    tally.problem("one")

    assert ("one",) == tally.problems()


def test_no_count_is_lost_between_threads():
    tally = Tally(["a"])

    def work():
        for _ in range(2000):
            tally.offer()
            tally.match()
            tally.settle("accepted")
            tally.paid("a")
            tally.offer()
            tally.drop("failed")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert Counts(
        offered=32_000,
        matched=16_000,
        accepted=16_000,
        dropped={"failed": 16_000},
        strategies={"a": StrategyCounts(paid=16_000)},
    ) == tally.counts({})


def test_what_must_not_be_hidden_is_listed_after_any_number_of_others():
    tally = Tally(())
    for number in range(30):
        tally.problem(f"frame {number}")
    kept = tally.problem("strategy 's' is switched off", capped=False)

    assert kept
    assert tally.problems()[-2:] == ("strategy 's' is switched off", "… and 10 more like these")


def test_other_strategies_are_counted_from_now_on_and_the_old_counts_stay_behind():
    tally = Tally(["a", "b"])
    tally.paid("a")
    new = tally.strategy("c")
    unexpected = tally.counts({})
    tally.expect({"c": new, "b": tally.strategy("b")})
    tally.paid("c")
    counts = tally.counts({}).strategies

    assert list(unexpected.strategies) == ["a", "b"]
    assert list(counts) == ["c", "b", "a"]
    assert [counts[name].paid for name in "cba"] == [1, 0, 1]


def test_strategies_of_long_ago_are_forgotten_and_may_still_be_paid_for():
    tally = Tally(["first"])
    for number in range(1002):
        tally.expect({f"s{number}": tally.strategy(f"s{number}")})
    tally.paid("first")
    tally.paid("s1")
    names = list(tally.counts({}).strategies)

    assert names[:3] == ["s1001", "s1000", "s999"]
    assert names[-1] == "s1"
    assert tally.counts({}).strategies["s1"].paid == 1


def test_bad_frames_do_not_hide_what_is_important_and_neither_grows_without_end():
    tally = Tally(())
    bad = [tally.problem(f"frame {number}") for number in range(30)]
    off = [tally.problem(f"off {number}", capped=False) for number in range(300)]

    assert (sum(bad), sum(off)) == (20, 180)
    assert len(tally.problems()) == 201
    assert tally.problems()[-1] == "… and 130 more like these"


def test_the_child_of_a_fork_counts_with_a_lock_that_nobody_holds():
    tally = Tally(["a"])
    tally.offer()
    tally._lock.acquire()  # as by a thread of the parent
    tally.after_fork()

    assert tally.counts({}).offered == 0


def test_what_is_queued_and_dropped_can_be_asked_alone():
    tally = Tally([])
    for _ in range(4):
        tally.offer()
    tally.drop("ring_full")
    tally.settle("accepted")

    assert (2, 1, 0) == (tally.queued, tally.dropped("ring_full"), tally.dropped("failed"))


def test_a_reader_never_sees_a_frame_end_that_was_not_offered(switch_often):
    tally, done, together = Tally(["a"]), threading.Event(), threading.Barrier(5)
    queued = []

    def read():
        together.wait(60)
        together.wait(60)
        while not done.is_set():
            queued.append(tally.counts({}).queued)

    def work():
        together.wait(60)
        together.wait(60)
        for _ in range(3000):
            tally.offer()
            tally.settle("not_selected")

    reader, *workers = [threading.Thread(target=one) for one in (read, work, work, work)]
    for thread in (reader, *workers):
        thread.start()
    together.wait(60)
    with switch_often():
        together.wait(60)
        for thread in workers:
            thread.join(60)
        done.set()
        reader.join(60)

    assert queued
    assert min(queued) >= 0
    assert max(queued) <= 9000
    assert (9000, 0) == (tally.counts({}).offered, tally.queued)


def test_a_strategy_counts_what_it_was_asked_and_said():
    tally = Tally(["a"])
    one = tally.strategy("a")
    one.judge(matched=True, selected=True)
    one.judge(matched=True, selected=False)
    one.judge(matched=False, selected=False)
    one.count("not_eligible")
    one.count("failed")
    one.disabled = True

    assert {
        "a": StrategyCounts(
            evaluated=3, matched=2, selected=1, not_eligible=1, failed=1, disabled=True
        )
    } == tally.counts({}).strategies

    tally.after_fork()

    assert {"a": StrategyCounts(disabled=True)} == tally.counts({}).strategies
