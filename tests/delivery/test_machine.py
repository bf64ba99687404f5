"""Arbitrary sequences of events, and mutations of the product that they have to find."""

import importlib
import inspect
import logging
import random
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import CorruptItemError, leases, room
from al_framework.pipeline.spool.accepting import Acceptor
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.leases import Deliveries

MACHINE = Path(__file__).with_name("machine")


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    """Return the machine's module; those that it is made of are no tests and lie beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(MACHINE)
        yield importlib.import_module("machine")
        for path in MACHINE.glob("*.py"):
            sys.modules.pop(path.stem, None)


@pytest.fixture(scope="module")
def machine(module: ModuleType, quick_directory: Path) -> Any:
    """Return the class, with spools that cost no disk."""
    return type("QuickMachine", (module.SpoolMachine,), {"place": quick_directory})


@pytest.fixture(scope="module")
def walk(module: ModuleType, machine: Any) -> Callable[[random.Random], None]:
    """Return a function that lets a new machine take 120 steps at random."""
    return lambda rng: module.walk(machine(), rng, 120)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep thousands of warnings about staged damage out of the report."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_whatever_happens_nothing_is_lost_and_no_budget_exceeded(machine, size, seed):
    chosen = settings(
        max_examples=size.pick(ci=300, full=1500, soak=20_000),
        stateful_step_count=60,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    seeded = hypothesis.seed(seed)(type("Seeded", (machine,), {}))
    run_state_machine_as_test(seeded, settings=chosen)


def test_long_walks_lose_nothing_either(walk, size, seed):
    rng = random.Random(seed)
    for _ in range(size.pick(ci=25, full=250, soak=10_000)):
        walk(rng)


# Each: what it breaks, whose function, and the words that are replaced in it.
MUTATIONS = {
    "a lease that was lost can still write": (
        Deliveries,
        "_write",
        "WHERE number = ? AND sink = ? AND owner = ?",
        "WHERE number = ? AND sink = ? AND (owner = ? OR 1)",
    ),
    "a datapoint that somebody works on is leased again": (
        leases,
        "lease_row",
        "number = {_PICK[pick]}",
        """number = (SELECT number FROM delivery
            WHERE sink = :sink AND state = 0 AND due <= :now ORDER BY due, number LIMIT 1)""",
    ),
    "a lease is not given back": (Deliveries, "put_back", "owner=None, ", ""),
    "attempts are forgotten": (
        Deliveries,
        "put_back",
        'changes["attempts"] = lease.attempts + 1',
        'changes["attempts"] = 0',
    ),
    "a checkpoint is not written": (
        Deliveries,
        "checkpoint",
        "json.dumps(dict(state))",
        "json.dumps({})",
    ),
    "a credit returns to the window of now": (
        SqliteLedger,
        "release",
        "windows_of(reserved_at)",
        "windows_of(reserved_at + 3600)",
    ),
    "a credit returns though a sink holds the picture": (
        Ending,
        "conclude",
        "if not is_stored(tx, number):",
        "if True:",
    ),
    "only the first limit of a strategy counts": (
        SqliteLedger,
        "reserve",
        "if not has_room(rules, used):",
        "if not has_room(rules[:1], used):",
    ),
    "a group file goes with the first of its datapoints": (
        Ending,
        "remove",
        ".fetchone() is None:",
        ".fetchone() is not Ellipsis:",
    ),
    "a datapoint goes with its first delivery": (
        Ending,
        "conclude",
        'if any(delivery.state == "pending" for delivery in deliveries):',
        "if False:",
    ),
    "what is leased can be evicted": (
        room,
        "oldest",
        "AND {_WAITS}",
        "AND number NOT IN (SELECT number FROM delivery WHERE state <> 0)",
    ),
    "rebuilding leaves out what stands first in a file": (
        sys.modules["al_framework.pipeline.spool.recovery"],
        "_read",
        "list(reversed(list(scan_group(data))))",
        "list(reversed(list(scan_group(data))[:-1] or list(scan_group(data))))",
    ),
    "a group that failed keeps its rows": (
        Acceptor,
        "accept",
        "with self._database.transaction() as tx:",
        "with __import__('contextlib').nullcontext(self._database._writer) as tx:",
    ),
}


def mutated(owner: Any, name: str, old: str, new: str) -> Callable[..., Any]:
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, (
        f"{name} has changed: {old!r} stands there {source.count(old)} times"
    )
    namespace: dict[str, Any] = {}
    exec(source.replace(old, new), function.__globals__, namespace)  # noqa: S102 - a mutation is that
    changed: Callable[..., Any] = namespace[name]
    return changed


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_of_the_product_is_found(walk, seed, monkeypatch, name):
    owner, function, old, new = MUTATIONS[name]
    monkeypatch.setattr(owner, function, mutated(owner, function, old, new))

    rng = random.Random(seed)
    for _ in range(100):
        try:
            walk(rng)
        except (AssertionError, CorruptItemError):  # the model's, or what reads files; no slip
            return
    pytest.fail(f"in 100 walks nothing has shown that {name}")
