import threading

import pytest

from al_framework import RecentImages
from al_framework.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recent(clock):
    return RecentImages(clock, window_s=600.0)


def test_a_picture_is_sent_once_to_a_dataset(recent):
    assert recent.claim("d", "a")
    assert not recent.claim("d", "a")
    assert recent.claim("d", "b")
    assert recent.claim("e", "a")


def test_it_may_be_sent_again_after_the_window(recent, clock):
    recent.claim("d", "a")
    clock.advance(599.9)
    within = recent.claim("d", "a")
    clock.advance(0.1)

    assert not within
    assert recent.claim("d", "a")


def test_an_administrator_who_sets_the_clock_changes_nothing(recent, clock):
    recent.claim("d", "a")
    clock.set_time(clock.time() + 1e6)

    assert not recent.claim("d", "a")


def test_one_that_was_not_sent_after_all_is_given_back(recent):
    recent.claim("d", "a")
    recent.release("d", "a")
    recent.release("d", "never claimed")

    assert recent.claim("d", "a")


def test_it_forgets_what_is_old_and_the_oldest_when_it_is_full(clock):
    recent = RecentImages(clock, max_pictures=3)
    for name in "abcd":
        recent.claim("d", name)

    assert len(recent) == 3
    assert ("d", "a") not in recent._claimed
    assert recent.claim("d", "a")
    clock.advance(600.0)
    recent.claim("d", "z")
    assert len(recent) == 1


def test_only_one_of_many_threads_gets_a_picture(recent):
    begin, won = threading.Barrier(8), []

    def work():
        begin.wait(60.0)
        won.extend(number for number in range(200) if recent.claim("d", str(number)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)

    assert sorted(won) == list(range(200))


def test_the_child_of_a_fork_has_a_lock_that_nobody_holds(recent):
    recent.claim("d", "a")
    recent._lock.acquire()
    recent.after_fork()

    assert not recent.claim("d", "a")


def test_the_system_clock_is_the_default():
    assert RecentImages().claim("d", "a")
