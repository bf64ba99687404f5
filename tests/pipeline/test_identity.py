import os
import random

from al_framework.pipeline.identity import FrameNames, Names
from al_framework.testing import FakeClock


def test_a_name_starts_with_its_time_as_a_ulid_does():
    name = Names(FakeClock(1469918176.3855), random.Random(1)).make()

    assert "01ARYZ6S41".lower() == name[:10]  # the example of the ULID specification
    assert 26 == len(name)
    assert set(name) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_names_sort_by_time():
    clock = FakeClock()
    names = Names(clock, random.Random(1))
    made = []
    for _ in range(50):
        made.append(names.make())
        clock.advance(0.0011)

    assert sorted(made) == made


def test_names_of_one_moment_differ():
    names = Names(FakeClock(), random.Random(1))

    assert 1000 == len({names.make() for _ in range(1000)})


def test_names_follow_from_clock_and_chance_alone():
    one, other = (Names(FakeClock(), random.Random(3)).make() for _ in range(2))

    assert one == other


def test_frames_of_a_run_are_numbered():
    names = FrameNames("run")

    assert [names.make() for _ in range(2)] == ["run-1", "run-2"]


def test_parent_and_child_of_a_fork_never_give_the_same_name():
    names = FrameNames("run")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, names.make().encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)

    assert said == f"run-{child}-1"
    assert names.make() == "run-1"
