"""What a spool has to be after each step, said in dictionaries.

The model knows no files, rows or locks. Where the product may choose (which datapoint a `take`
gives, which one is evicted) it is told the choice and checks that it was allowed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

PERIODS = {"minutely": 60, "hourly": 3600, "daily": 86400}
RULES = {"a": {"minutely": 3, "daily": 7}, "b": {"hourly": 4}, "c": {}}
MAX_DELAY_S = 3600.0


@dataclass
class Way:
    """One datapoint on its way to one sink."""

    state: str = "pending"
    due: float = 0.0
    owner: str | None = None
    lease_until: float = 0.0
    attempts: int = 0
    tries: int = 0
    refusals: int = 0
    crashes: int = 0
    checkpoint: dict[str, str] = field(default_factory=dict)
    stored: bool = False


@dataclass
class Item:
    """One accepted datapoint."""

    image: bytes
    strategy: str
    ways: dict[str, Way]

    @property
    def is_over(self) -> bool:
        return all(way.state != "pending" for way in self.ways.values())

    @property
    def is_stored(self) -> bool:
        return any(way.stored for way in self.ways.values())

    @property
    def may_be_evicted(self) -> bool:
        return all(
            way.state == "pending" and way.owner is None and not way.checkpoint and not way.stored
            for way in self.ways.values()
        )


def windows_of(at: float) -> dict[str, int]:
    return {period: int(at // length) * length for period, length in PERIODS.items()}


class Model:
    """Everything that is known of the spool."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}  # those that the spool still holds
        self.credits: dict[str, tuple[str, float]] = {}  # token -> who paid, and when
        self.lost: set[tuple[str, int]] = set()  # windows that count as spent
        self.delivered: dict[tuple[str, str], int] = {}  # obligations that were met, how often
        self.accepted: set[str] = set()
        self.buried: set[tuple[str, str]] = set()  # dead letters that a person has removed

    # Limits.

    def used(self, strategy: str, at: float) -> dict[str, int]:
        now = windows_of(at)
        used = dict.fromkeys(PERIODS, 0)
        for payer, when in self.credits.values():
            if payer == strategy:
                for period, start in windows_of(when).items():
                    used[period] += start == now[period]
        return used

    def payer(self, matching: Sequence[str], at: float) -> str | None:
        now = windows_of(at)
        for strategy in matching:
            used = self.used(strategy, at)
            if all(
                used[period] < value and (period, now[period]) not in self.lost
                for period, value in RULES[strategy].items()
            ):
                return strategy
        return None

    # The way in.

    def accept(
        self, item_id: str, image: bytes, strategy: str, sinks: Sequence[str], at: float
    ) -> None:
        self.credits[item_id] = (strategy, at)
        ways = {sink: Way(due=at) for sink in sinks}
        self.items[item_id] = Item(image=image, strategy=strategy, ways=ways)
        self.accepted.add(item_id)

    def evict(self, item_id: str) -> None:
        item = self.items.pop(item_id)
        assert item.may_be_evicted, f"{item_id} was evicted and should not have been: {item}"
        if not any(way.tries for way in item.ways.values()):  # else a sink may hold the picture
            self.credits.pop(item_id, None)
        self.accepted.discard(item_id)

    # The way out.

    def waiting(self, sink: str, now: float) -> Iterator[tuple[str, Way]]:
        for item_id, item in self.items.items():
            way = item.ways.get(sink)
            if way is None or way.state != "pending" or way.owner is not None:
                continue
            if way.due <= now or not way.tries:  # what was never tried was put off by nobody
                yield item_id, way

    def end(self, item_id: str, sink: str, state: str) -> None:
        item = self.items[item_id]
        way = item.ways[sink]
        way.state, way.owner = state, None
        if state == "delivered":
            key = (item_id, sink)
            self.delivered[key] = self.delivered.get(key, 0) + 1
        self._conclude(item_id)

    def reclaim(self, *, now: float, monotonic: float, me: str, alive: set[str], own: bool) -> None:
        for item in self.items.values():
            for way in item.ways.values():
                if way.owner is not None:
                    process = way.owner.partition("/")[0]
                    died = process not in alive
                    if (
                        (process == me and own)
                        or died
                        or (process != me and way.lease_until <= monotonic)
                    ):
                        way.owner = None
                        way.crashes += died
                far = way.due > now + MAX_DELAY_S or way.tries == 0
                if way.state == "pending" and way.due > now and far:
                    way.due = now

    def retry(self, item_id: str, now: float) -> bool:
        """Let dead ways wait again; False if no limit pays."""
        item = self.items[item_id]
        if item.is_over and not item.is_stored and item_id not in self.credits:
            strategy = self.payer((item.strategy,), now)
            if strategy is None:
                return False
            self.credits[item_id] = (strategy, now)
        for way in item.ways.values():
            if way.state == "dead":
                way.state, way.due, way.attempts, way.crashes = "pending", now, 0, 0
        return True

    def drop(self, item_id: str) -> None:
        item = self.items[item_id]
        for sink, way in item.ways.items():
            if way.state == "dead":
                way.state = "evicted"
                self.buried.add((item_id, sink))
        if item.is_over:
            del self.items[item_id]
            self.accepted.discard(item_id)

    def rebuilt(
        self,
        held: Mapping[str, Sequence[str]],
        known: Mapping[str, Item],
        at: float,
        *,
        is_new: bool,
    ) -> None:
        """Begin anew with what the group files hold: nothing that was held may be missing."""
        missing = set(self.items) - set(held)
        assert not missing, f"lost when the index was built anew: {sorted(missing)}"
        self.items = {
            item_id: Item(
                image=known[item_id].image,
                strategy=known[item_id].strategy,
                ways={sink: Way(due=at) for sink in sinks},
            )
            for item_id, sinks in held.items()
        }
        self.credits = {}
        # What was known of earlier losses is lost with it.
        self.lost = set() if is_new else set(windows_of(at).items())

    def _conclude(self, item_id: str) -> None:
        item = self.items[item_id]
        if not item.is_over:
            return
        if not item.is_stored:
            self.credits.pop(item_id, None)
        if not any(way.state == "dead" for way in item.ways.values()):
            del self.items[item_id]
