"""Whatever is reserved and given back in whatever order, a window never holds more than its limit.

The model is a list of credits that is counted anew for every question.
"""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.pipeline.limits.base import PERIOD_SECONDS, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger

DAY = 1_699_920_000.0
LIMITS = {"a": {"minutely": 1, "hourly": 2}, "b": {"daily": 3}, "c": {"minutely": 2, "daily": 5}}
RULES = {
    strategy: [LimitRule(period=period, value=value) for period, value in limits.items()]
    for strategy, limits in LIMITS.items()
}
TOKENS = st.integers(0, 12)
SECONDS = st.sampled_from([0, 0.001, 0.999, 58.999, 59.999, 60, 3599.999, 3600, 43200])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), TOKENS, st.permutations(list(LIMITS))),
        st.tuples(st.just("release"), TOKENS, st.none()),
        st.tuples(st.just("pass"), SECONDS, st.none()),
        st.tuples(st.just("go back"), SECONDS, st.none()),
    ),
    max_size=50,
)


class Model:
    def __init__(self):
        self.credits = {}

    def used(self, strategy, now):
        return {
            period: sum(
                paid_by == strategy and at // length == now // length
                for paid_by, at in self.credits.values()
            )
            for period, length in PERIOD_SECONDS.items()
        }

    def first_with_room(self, strategies, now):
        for strategy in strategies:
            used = self.used(strategy, now)
            if all(used[period] < limit for period, limit in LIMITS[strategy].items()):
                return strategy
        return None

    def reserve(self, strategies, token, now):
        if token not in self.credits:
            strategy = self.first_with_room(strategies, now)
            if strategy is None:
                return None
            self.credits[token] = (strategy, now)
        return self.credits[token]


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
@settings(max_examples=100, deadline=None)
@given(operations=OPERATIONS)
def test_a_ledger_grants_what_counting_anew_would_grant(kind, operations):
    tx = sqlite3.connect(":memory:", isolation_level=None)
    ledger, model, now = kind(RULES, scope="s"), Model(), DAY
    ledger.prepare(tx)
    for what, value, order in operations:
        if what == "reserve":
            expected = model.reserve(order, str(value), now)
            paid = ledger.reserve(order, str(value), now, tx)
            assert expected == (None if paid is None else (paid.strategy, paid.reserved_at))
        elif what == "release":
            model.credits.pop(str(value), None)
            ledger.release(str(value), tx)
        else:
            now = min(DAY + 86400, max(DAY - 86400, now + (value if what == "pass" else -value)))
        for strategy in LIMITS:
            assert model.first_with_room([strategy], now) == ledger.peek([strategy], now)
    ledger.close()
    tx.close()
