"""Arbitrary things happen to a real spool of two processes; after each of them the model holds."""

import random
from collections.abc import Callable

import hypothesis.strategies as st
from entering import MATCHING, POINTS, Entering
from hypothesis.stateful import rule
from leaving import Leaving
from stage import SINKS


class SpoolMachine(Entering, Leaving):
    """All rules: the way in, the way out, and time that passes."""

    @rule(seconds=st.sampled_from([1.0, 6.0, 30.0, 61.0, 3700.0, 40000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([1.0, 59.0, 4000.0]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.clock.set_time(self.clock.time() - seconds)

    @rule(slot=st.sampled_from("pq"))
    def tidy(self, slot: str) -> None:
        process = self._process(slot)
        if process is not None:
            process.spool.gc()


def walk(machine: SpoolMachine, rng: random.Random, steps: int) -> None:
    """Take random steps, the ordinary ones most often; finds what is wrong sooner than chance."""
    slot, sink = (lambda: rng.choice("pq")), (lambda: rng.choice(SINKS))
    matching, number = (lambda: rng.choice(MATCHING)), (lambda: rng.randrange(1 << 16))
    ways = ("created", "created", "created", "duplicate", "dead", "back", "later", "save", "save")
    choices: list[tuple[float, Callable[[], None]]] = [
        (6, lambda: machine.accept(slot(), [matching() for _ in range(rng.randint(1, 3))])),
        (6, lambda: machine.take(slot(), sink())),
        (8, lambda: machine.work(number(), rng.choice(ways), rng.randrange(6))),
        (2, lambda: machine.open(slot(), SINKS)),
        (2, lambda: machine.reclaim(slot())),
        (2, lambda: machine.wait(rng.choice([1.0, 6.0, 61.0, 3700.0]))),
        (1, lambda: machine.see_to_a_dead_letter(slot(), number(), rng.random() < 0.3)),
        (0.5, lambda: machine.evict_due(slot())),
        (0.5, lambda: machine.crash(slot(), 0)),
        (0.3, lambda: machine.close(slot(), 0)),
        (0.3, lambda: machine.set_the_clock_back(rng.choice([1.0, 59.0, 4000.0]))),
        (0.3, lambda: machine.tidy(slot())),
        (0.3, lambda: machine.die_while_accepting(slot(), matching(), rng.choice(POINTS), 0)),
        (0.3, lambda: machine.fill_the_disk(slot(), matching(), rng.random() < 0.5, 0)),
        (0.2, lambda: machine.lose_the_index(rng.random() < 0.5, 0)),
    ]
    weights = [weight for weight, _ in choices]
    policies = ["reject_new", "drop_oldest", "drop_oldest", "drop_lowest_value"]
    try:
        machine.begin(rng.choice(policies), rng.choice([None, 5000.0]))
        for _ in range(steps):
            _, step = rng.choices(choices, weights)[0]
            step()
            machine.rows_are_as_the_model_says()
    finally:
        machine.teardown()
