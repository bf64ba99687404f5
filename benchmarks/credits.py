"""How many credits a second do ledgers give to the threads of one process, and who has to wait?

Each credit is one of three windows. SQLite commits every credit durably; the peer has nothing like
it. The 99th percentile is compared with the peer's on the same server. In memory a credit takes
microseconds, so threads ask long enough there to meet. What eight processes make of it
is the question `limits`.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from benchmarks import peers
from benchmarks.asking import ask_together
from benchmarks.latencies import Bound, Latency, percentile
from benchmarks.limits import PLENTY, make_ask, redis_server

# Asks, in a round that has a number, and returns what `ask_together` does.
_Asking: TypeAlias = Callable[[int], Mapping[str, Any]]
_THREADS = (1, 8)
_ROUNDS = 5
_LONG_ENOUGH = (
    160_000  # for each of eight threads to have several of the interpreter's turns of 5 ms
)


class Setting(NamedTuple):
    """What is asked: which ledger, by how many threads, with how many credits to be had."""

    kind: str
    threads: int
    attempts: int
    limit: int = PLENTY


def run(*, quick: bool) -> list[Latency]:
    """Measure ours and the peer's in turns; without a Redis server only what needs none."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(redis_server(directory))
        peer = stack.enter_context(peers.interpreter())
        measured = [one for one in settings(quick=quick) if url or one.kind != "redis"]
        return [row for one in measured for row in _rows(one, directory, url, peer)]


def settings(*, quick: bool) -> Iterator[Setting]:
    """Yield what is measured."""
    for kind in ("memory", "sqlite", "redis"):
        attempts = (_LONG_ENOUGH if kind == "memory" else 400) // (10 if quick else 1)
        for threads in _THREADS:
            yield Setting(kind, threads, attempts)
        yield Setting(kind, _THREADS[-1], attempts, limit=attempts // 4)


def _rows(setting: Setting, directory: Path, url: str, peer: peers.Peer) -> list[Latency]:
    """Ask ours and the peer's in turns."""
    sides = {"ours": _ours(setting, directory, url)}
    if peer.there and setting.kind != "sqlite":  # the peer has no such thing
        sides["peer"] = _the_peers(setting, url, peer)
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in sides}
    for number in range(_ROUNDS):
        for name, ask in sides.items():
            found[name].append(ask(number))
    taken = {name: [s for one in rounds for s in one["taken"]] for name, rounds in found.items()}
    base = percentile(taken["peer" if "peer" in taken else "ours"], 0.99)
    rows = {name: _row(setting, name, found[name], taken[name], base) for name in sides}
    if "peer" in rows and setting.kind == "redis" and setting.threads == _THREADS[-1]:
        rows["ours"] = replace(rows["ours"], bounds=[Bound("ratio", 20.0)])
    return list(rows.values())


def _ours(setting: Setting, directory: Path, url: str) -> _Asking:
    """Return what asks a ledger of ours: one for all threads, as a collector has one.

    But for SQLite, where it is the spool that has it: each thread has a spool of its own, as if
    it were a process of its own.
    """

    def together(number: int) -> Mapping[str, Any]:
        path = str(directory / f"{setting.threads}-{setting.limit}-{number}.db")
        # A limit for each round: the credits of one must not be spent by another.
        make = partial(make_ask, setting.kind, path, url, setting.limit + number)
        first = make()
        asker = make if setting.kind == "sqlite" else lambda: first
        return ask_together([asker] * setting.threads, setting.attempts)

    return together


def _the_peers(setting: Setting, url: str, peer: peers.Peer) -> _Asking:
    def together(number: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = peer.outcome(
            "crediting",
            kind=setting.kind,
            port=urlsplit(url).port or 0,
            threads=setting.threads,
            attempts=setting.attempts,
            limit=setting.limit + number,
            name=f"{setting.threads}-{setting.limit}-{number}",
        )
        return found

    return together


def _row(
    setting: Setting,
    side: str,
    rounds: Sequence[Mapping[str, Any]],
    taken: list[float],
    base: float,
) -> Latency:
    asked = setting.attempts // setting.threads * setting.threads * len(rounds)
    granted = sum(one["granted"] for one in rounds)
    a_second = statistics.median(len(one["taken"]) / one["wall_s"] for one in rounds)
    p99 = percentile(taken, 0.99)
    bound = f" for {_credits(setting):,} credits" if setting.limit < PLENTY else ""
    threads = f"{setting.threads} thread{'s' if setting.threads > 1 else ''}"
    return Latency(
        group=f"{setting.kind}, {threads}, {asked:,} asks{bound}",
        case=side,
        p50_us=percentile(taken, 0.5) * 1e6,
        p99_us=p99 * 1e6,
        max_us=max(taken) * 1e6,
        calls=len(taken),
        ratio=base / p99,
        outputs={"granted": f"{granted:,}", "credits a second": f"{a_second:,.0f}"},
    )


def _credits(setting: Setting) -> int:
    """Return how many there are in all rounds."""
    return sum(setting.limit + number for number in range(_ROUNDS))
