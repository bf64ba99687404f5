from al_framework.api import FrameKey, Target
from al_framework.pipeline.dry_run import DryRun
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import Acceptance, Candidate, SeenFrame


def candidate(name, *matching, **more):
    return Candidate(
        item_id=name,
        image=b"",
        matching=matching,
        decided_at=0.0,
        batch_name="batch",
        compose=lambda _: None,
        **more,
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


def test_a_dry_run_keeps_to_the_size_of_each_batch_and_takes_no_credit_for_the_rest():
    ledger = MemoryLedger({"a": [LimitRule(period="daily", value=3)]}, scope="test")
    run = DryRun(ledger)
    small, elsewhere = {"max_batch_images": 1}, {"target": Target(project="p")}
    answers = run.accept(
        [
            candidate("1", "a", **small),
            candidate("2", "a", **small),
            candidate("3", "a", **small, **elsewhere),
            candidate("4", "a"),
            candidate("5", "a"),
        ]
    )

    assert [a.status for a in answers] == [
        "accepted",
        "batch_full",
        "accepted",
        "accepted",
        "limited",
    ]
    assert answers[1].strategy is None
    assert ledger.used("a", 0.0)["daily"] == 3
