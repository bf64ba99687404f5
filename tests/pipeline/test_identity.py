import random

from al_framework.pipeline.identity import Names
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
