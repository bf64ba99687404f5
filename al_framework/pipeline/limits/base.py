"""The ledger: what every budget keeper promises, and the little that spool and ledger share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from al_framework.api import AlFrameworkError

Period: TypeAlias = Literal["minutely", "hourly", "daily"]
_MAX_GONE = 1000
PERIOD_SECONDS: Mapping[Period, int] = {"minutely": 60, "hourly": 3600, "daily": 86400}


class LedgerUnavailableError(AlFrameworkError):
    """Whoever keeps the limits does not answer: nothing is granted, and it can be asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """At most `value` datapoints per UTC calendar minute, hour or day."""

    period: Period
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a ledger holds to at one moment.

    Attributes:
        scope: Whose limits these are.
        rules: Limits of each strategy.
        named: Strategies in force; the others among the rules have been replaced.
    """

    scope: str
    rules: Mapping[str, tuple[LimitRule, ...]] = field(default_factory=dict)
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One credit, taken.

    Attributes:
        token: Who holds it: the datapoint's item id.
        strategy: The strategy that pays.
        reserved_at: UTC epoch seconds; its windows are the ones this falls into.
    """

    token: str
    strategy: str
    reserved_at: float


class Transaction(Protocol):
    """The spool's open transaction; a ledger that shares its database writes through it."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """Run one statement and return its cursor."""
        ...


class Ledger(ABC):
    """Keeps the limits of every strategy.

    Reserving is consuming: a credit is counted in all three windows of its moment, whatever limits
    are configured, and a release gives it back to those same windows only.

    Args:
        rules: Limits of each strategy; one without limits always has room.
        scope: Whose limits these are; ledgers of different scopes never share a credit.

    Attributes:
        terms: Limits and scope of the moment; replaced as a whole, so read it once per question.
        transactional: Whether credits live in the spool's transaction and vanish with it when it
            is rolled back; if not, the spool releases what it reserved in vain.
    """

    transactional: ClassVar[bool] = False

    def __init__(self, rules: Mapping[str, Sequence[LimitRule]], *, scope: str) -> None:
        self.terms = Terms(scope=scope)
        self.update(rules, scope=scope)

    def update(self, rules: Mapping[str, Sequence[LimitRule]], *, scope: str) -> None:
        """Take other limits and another scope from now on; credits already taken stay taken.

        Strategies that are not named any more keep their limits, since a frame that they have
        taken may still be on its way; of these, the thousand that were named last. Safe to call
        while other threads reserve.

        Args:
            rules: Limits of each strategy.
            scope: Whose limits these are.
        """
        new = {strategy: tuple(limits) for strategy, limits in rules.items()}
        gone = [entry for entry in self.terms.rules.items() if entry[0] not in new]
        self.terms = Terms(scope=scope, rules={**dict(gone[-_MAX_GONE:]), **new}, named=tuple(new))

    def prepare(self, tx: Transaction) -> None:  # noqa: B027 - most ledgers need nothing here
        """Create tables, if any; called in a transaction whenever the spool opens its database."""

    def forget(self, now: float, tx: Transaction) -> None:  # noqa: B027 - as above
        """Count every window open at `now` as spent: the record of what was taken in it is lost."""

    def spent_until(self, now: float) -> float | None:
        """Return when the last window ends that counts as spent since `forget`; None without."""
        del now
        return None

    @property
    def trouble(self) -> str:
        """Who keeps the limits and does not answer, and why; empty while nothing is wrong."""
        return ""

    def close(self) -> None:  # noqa: B027 - as above
        """Let go of connections; called when the spool closes, and safe to call twice."""

    def abandon(self) -> None:  # noqa: B027 - as above
        """Drop, without closing, what belongs to the parent; called in the child after a fork."""

    @abstractmethod
    def peek(self, strategies: Sequence[str], now: float) -> str | None:
        """Return the first strategy with room, as far as is remembered; None if all are full.

        Called before any pixel is touched, on any thread: it reads no file, asks no server and
        takes no lock. What others have taken or given back shows after the next `refresh`.
        """

    def refresh(self, now: float) -> None:  # noqa: B027 - what is remembered may be all there is
        """Learn what others have taken or given back since.

        To be called often, on a thread that may wait: it looks at most once a second, and keeps
        what is remembered when it cannot look. Never raises.
        """

    @abstractmethod
    def reserve(
        self, strategies: Sequence[str], token: str, now: float, tx: Transaction | None
    ) -> Reservation | None:
        """Take one credit of the first strategy with room, or return None if all are full.

        A token that holds a credit already gets the same reservation again.

        Raises:
            LedgerUnavailableError: Whoever keeps the limits does not answer; nothing is granted.
        """

    @abstractmethod
    def release(self, token: str, tx: Transaction | None) -> None:
        """Give a credit back to the windows and the scope it was taken from.

        A token names one datapoint, whatever the scope; unknown ones are ignored.
        """

    def settle(self, token: str, tx: Transaction | None) -> None:  # noqa: B027 - as above
        """Note that a credit stays taken: nobody will release it, so its token may be forgotten."""

    @abstractmethod
    def used(self, strategy: str, now: float) -> Mapping[Period, int]:
        """Return the credits taken in the current window of each period."""
