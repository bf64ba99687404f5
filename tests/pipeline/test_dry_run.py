from al_framework.api import FrameKey
from al_framework.pipeline.dry_run import DryRun
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import Acceptance, Candidate, SeenFrame


def candidate(name, *matching):
    return Candidate(
        item_id=name,
        image=b"",
        matching=matching,
        decided_at=0.0,
        batch_name="batch",
        compose=lambda _: None,
    )


def test_a_dry_run_keeps_to_the_limits_and_answers_for_each_candidate():
    rules = {
        "a": [LimitRule(period="daily", value=1)],
        "b": [LimitRule(period="daily", value=1)],
    }
    key = FrameKey(source="cam", frame_id="f", size=0, mtime_ns=0)
    seen = SeenFrame(key=key, outcome="not_selected", detail={}, decided_at=0.0)
    answers = DryRun(MemoryLedger(rules, scope="test")).accept(
        [candidate("1", "a", "b"), seen, candidate("2", "a", "b"), candidate("3", "a", "b")]
    )

    assert [
        Acceptance(item_id="1", status="accepted", strategy="a"),
        Acceptance(item_id="2", status="accepted", strategy="b"),
        Acceptance(item_id="3", status="limited", strategy=None),
    ] == answers
