import json
import logging
import os
import re
import threading

import pytest

from al_framework.api import Target, TransientSinkError
from al_framework.pipeline.engine import Offer
from al_framework.testing import sample_frame

LONG_S = 60.0
WATCHED = {"name": "w", "type": "watched", "word": "one"}


@pytest.fixture
def answered(server):
    """Wait for the next question to be dealt with; let time pass before, if it is told how much."""

    def wait(clock=None, seconds=0.0):
        if clock is not None:
            clock.advance(seconds)
        assert server.done.acquire(timeout=LONG_S)

    return wait


@pytest.fixture
def asked_again(answered, clock):
    return lambda seconds=900.0: answered(clock, seconds)


def offer(assembly, name="f") -> Offer:
    [found] = assembly.engine.offer(sample_frame(name), None)
    return found


def take(assembly, name="f"):
    """Return the datapoint that comes of a frame."""
    candidate = assembly.engine.prepare(offer(assembly, name).pending)
    return candidate.compose(candidate.matching[0])


def messages(caplog, level=logging.INFO):
    return [
        r.getMessage()
        for r in caplog.records
        if (r.levelno >= level and "provider" in r.msg)
        or r.name.startswith("al_framework.assembly")
    ]


def test_frames_are_dropped_until_the_first_answer(build, server, answered):
    server.gate.clear()
    assembly = build()
    before = offer(assembly)
    server.gate.set()
    answered()
    after = offer(assembly)
    counts = assembly.counts()

    assert (before.status, before.reason) == ("dropped", "no_configuration")
    assert before.ticket("f").status == "dropped"
    assert after.status == "pending"
    assert counts.dropped == {"no_configuration": 1}
    assert (counts.offered, counts.queued) == (2, 1)


def test_the_server_is_asked_on_a_thread_of_its_own(build, server, answered):
    build()
    answered()

    assert server.threads == ["al-configuration"]


def test_a_change_takes_effect_without_a_restart_and_is_logged_with_both_hashes(
    build, server, answered, asked_again, caplog, *, document_with
):
    caplog.set_level(logging.INFO)
    assembly = build()
    answered()
    first = assembly.refresher.document_hash
    old = take(assembly)
    server.answer = document_with(tags=["new"])
    asked_again()
    second = assembly.refresher.document_hash
    new = take(assembly)
    lines = [m for m in messages(caplog) if "document" in m]

    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second
    assert lines[0].startswith(f"configuration provider 'scripted': document none → {first}, ")
    assert lines[1].startswith(f"configuration provider 'scripted': document {first} → {second}, ")
    assert lines[1].endswith(f"decisions are marked {new.decision.configuration_hash}")
    assert (old.tags, new.tags) == ((), ("new",))
    assert old.decision.configuration_hash != new.decision.configuration_hash


def test_it_is_asked_again_when_the_provider_says_and_not_before(
    build, server, answered, asked_again, clock
):
    server.refresh_after_s = 100.0
    build()
    answered()
    clock.advance(99.0)
    early = server.done.acquire(timeout=0.05)
    asked_again(1.0)

    assert not early
    assert server.requests == 2


def test_the_same_document_is_not_built_again(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED)
    assembly = build()
    answered()
    plan = assembly.engine.plan
    server.answer = json.loads(json.dumps(server.answer))
    asked_again()

    assert assembly.engine.plan is plan
    assert plugin.events == ["start w one"]


def test_a_strategy_that_stays_the_same_goes_on_with_other_limits_and_tags(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED, {"name": "b", "type": "watched", "word": "b"})
    assembly = build()
    answered()
    limits = [{"type": "daily", "value": 1}]
    changed = {"name": "b", "type": "watched", "word": "c"}
    server.answer = document_with({**WATCHED, "tags": ["t"], "limits": limits}, changed)
    asked_again()

    assert plugin.events == ["start w one", "start b b", "start b c"]
    assert take(assembly).tags == ("t",)
    assert take(assembly).reason == "one"


def test_a_strategy_that_was_switched_off_is_tried_again_with_other_options(
    build, server, answered, asked_again, document_with
):
    server.answer = document_with({**WATCHED, "word": "faulty"})
    assembly = build()
    answered()
    for number in range(20):
        offer(assembly, f"f{number}")
    off = assembly.counts().strategies["w"].disabled
    server.answer = document_with(WATCHED)
    asked_again()

    assert off
    assert not assembly.counts().strategies["w"].disabled
    assert offer(assembly).status == "pending"


def test_a_frame_keeps_the_plan_that_it_was_offered_under(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED, tags=["old"])
    assembly = build()
    answered()
    [queued] = assembly.engine.offer(sample_frame("queued"), None)
    server.answer = document_with({"name": "x", "type": "watched"}, tags=["new"])
    asked_again()
    candidate = assembly.engine.prepare(queued.pending)
    [acceptance] = assembly.engine.accept([candidate])
    counts = assembly.counts()

    assert candidate.compose("w").tags == ("old",)
    assert (acceptance.status, acceptance.strategy) == ("accepted", "w")
    assert list(counts.strategies) == ["x", "w"]
    assert counts.strategies["w"].paid == 1
    assert "close w one" not in plugin.events


def test_everything_is_closed_at_the_end(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED)
    assembly = build()
    answered()
    server.answer = document_with({**WATCHED, "word": "two"})
    asked_again()
    assembly.finish(deadline_s=0.0)

    assert plugin.events == [
        "start w one",
        "start w two",
        "close w two",
        "close w one",
        "close provider",
    ]


def test_an_error_keeps_the_last_document_and_is_said_once(
    build, server, answered, asked_again, caplog
):
    assembly = build()
    answered()
    plan = assembly.engine.plan
    server.answer = TransientSinkError("the door is shut")
    for _ in range(3):
        asked_again()
    server.answer = OSError(5, "no line")
    asked_again()
    said = [m for m in messages(caplog, logging.WARNING) if "holds" in m]

    assert assembly.engine.plan is plan
    assert said == [
        "configuration provider 'scripted': the door is shut; the last document holds",
        "configuration provider 'scripted': [Errno 5] no line; the last document holds",
    ]
    assert said == [p for p in assembly.engine.tally.problems() if "holds" in p]


def test_an_error_before_the_first_answer_says_what_happens_to_frames(build, server, answered):
    server.answer = RuntimeError("no idea")
    assembly = build()
    answered()

    assert assembly.engine.tally.problems() == (
        (
            "configuration provider 'scripted': RuntimeError: no idea; there is no document yet, "
            "so frames are dropped as 'no_configuration'"
        ),
    )
    assert not assembly.refresher.settled


def test_it_says_when_the_server_answers_again(build, server, answered, asked_again, caplog):
    caplog.set_level(logging.INFO)
    server.answer = OSError(5, "no line")
    assembly = build()
    answered()
    server.answer = {"enabled": False}
    asked_again()

    assert "configuration provider 'scripted': answers again" in messages(caplog)
    assert assembly.refresher.trouble == ""


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (OSError("no line"), [1.0, 2.0, 4.0, 8.0]),
        (TransientSinkError("busy", retry_after_s=30.0), [30.0, 30.0, 30.0, 30.0]),
        (TransientSinkError("busy", retry_after_s=float("nan")), [86400.0] * 4),
    ],
)
def test_a_failing_server_is_asked_less_and_less(
    build, server, answered, error, waits, *, monkeypatch
):
    server.answer = error
    server.gate.clear()
    refresher = build().refresher
    monkeypatch.setattr(refresher, "_fetch", lambda: (_ for _ in ()).throw(error))

    assert waits == [refresher.refresh() for _ in waits]


def test_retries_are_never_further_apart_than_answers(build, server, answered, asked_again):
    server.refresh_after_s = 5.0
    refresher = build().refresher
    answered()
    server.answer = OSError("no line")
    for _ in range(5):
        asked_again(1000.0)

    assert refresher.refresh() == 5.0


@pytest.mark.parametrize(("said", "used"), [(0.0, 1.0), (1e9, 86400.0), (float("nan"), 86400.0)])
def test_how_often_is_kept_within_reason(build, server, answered, said, used):
    server.refresh_after_s = said
    refresher = build().refresher
    answered()

    assert refresher.refresh() == used


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"tags": ["a b"]}, "tags[0]: should be 1 to 64 letters"),
        ({"sampling_strategies": []}, "sampling_strategies: should be a list of at least 1"),
        (
            {"sampling_strategies": [{**WATCHED, "limits": [{"type": "daily", "value": 0}]}]},
            "sampling_strategies[0].limits[0].value: should be greater than 0",
        ),
    ],
)
def test_a_faulty_document_is_named_by_its_place_and_the_last_one_holds(
    build, server, answered, asked_again, document_with, *, change, fault
):
    assembly = build()
    answered()
    plan = assembly.engine.plan
    server.answer = document_with(**change)
    asked_again()
    [problem] = assembly.engine.tally.problems()

    assert assembly.engine.plan is plan
    assert problem.startswith(
        "configuration provider 'scripted': the document of configuration provider 'scripted': 1 "
        "fault in the configuration"
    )
    assert fault in problem
    assert problem.endswith("; the last document holds")


def test_a_faulty_first_document_is_an_answer_all_the_same(build, server, answered, document_with):
    server.answer = document_with(batching_strategy=5)
    assembly = build()
    answered()

    assert assembly.refresher.settled
    assert assembly.engine.plan is None


def test_a_strategy_that_does_not_start_leaves_the_last_document(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED)
    assembly = build()
    answered()
    plan = assembly.engine.plan
    good, bad = {"name": "g", "type": "watched"}, {"name": "b", "type": "watched", "fail": True}
    server.answer = document_with(good, bad)
    asked_again()

    assert assembly.engine.plan is plan
    assert plugin.events == ["start w one", "start g ", "start b ", "close b ", "close g "]
    assert assembly.engine.tally.problems() == (
        (
            "configuration provider 'scripted': strategy 'b' (plugin 'fake') could not start: "
            "RuntimeError: no power; the last document holds"
        ),
    )
    assert list(assembly.counts().strategies) == ["w"]


def test_what_is_not_known_here_is_left_out_counted_and_said(
    build, server, answered, document_with
):
    novel = {"name": "n", "type": "wached", "limits": 5}
    server.answer = document_with({**WATCHED, "colour": "red"}, novel, season="dry")
    assembly = build()
    answered()
    who = "configuration provider 'scripted': "
    problems = assembly.engine.tally.problems()

    assert assembly.refresher.skipped == 3
    assert [slot.name for slot in assembly.engine.plan.sampler.slots] == ["w"]
    assert len(problems) == 3
    assert problems[0].startswith(f"{who}sampling_strategies[0].colour: unknown key, known are: ")
    assert problems[1].startswith(
        f"{who}sampling_strategies[1].type: there is no strategy type 'wached' (did you mean "
        "'watched'?); installed strategy types: "
    )
    assert problems[2].startswith(f"{who}season: unknown key, known are: ")
    assert all(problem.endswith("; it is left out") for problem in problems)


def test_a_document_of_nothing_known_collects_nothing(build, server, answered, document_with):
    server.answer = document_with({"name": "n", "type": "novel"})
    assembly = build()
    answered()

    assert offer(assembly).reason == "no strategy of the document is known here"


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (None, "no access", "no access"),
        (None, "", "there is no document"),
        ({"enabled": False}, "", "the document of the server says so"),
        ({"enabled": None}, "", "the document of the server says so"),
        ({}, "", "the document of the server says so"),
    ],
)
def test_a_collection_that_the_server_switches_off_selects_nothing(
    build, server, answered, asked_again, make_key, *, answer, reason, said
):
    assembly = build()
    answered()
    server.answer, server.reason = answer, reason
    asked_again()
    [found] = assembly.engine.offer(sample_frame("f"), object(), key=make_key("f"))

    assert assembly.engine.plan.off == said
    assert (found.status, found.reason, found.entry) == ("not_selected", said, None)
    assert assembly.counts().not_selected == 1


def test_a_reason_is_reported(build, server, answered):
    server.answer, server.reason = None, "no access"
    assembly = build()
    answered()

    assert assembly.engine.tally.problems() == (
        "configuration provider 'scripted': collection is off: no access",
    )


def test_an_answer_that_is_none_is_an_error(build, server, answered):
    server.answer = 5
    assembly = build()
    answered()
    [problem] = assembly.engine.tally.problems()

    assert "TypeError: fetch returned a int: return a ProvidedConfiguration" in problem


@pytest.mark.parametrize(
    ("provided", "sink", "document", "scope"),
    [
        (Target(workspace="w", project="p"), Target(), {}, "w/p"),
        (Target(), Target(workspace="w", project="p"), {}, "w/p"),
        (Target(workspace="w"), Target(workspace="x", project="p"), {}, "w/p"),
        (Target(workspace="w", project="p"), Target(), {"target_project": "q"}, "w/q"),
        (Target(workspace="w", project="p"), Target(), {"target_workspace": "v"}, "v/p"),
        (Target(project="p"), Target(), {}, "line"),
        (Target(), Target(), {}, "line"),
    ],
)
def test_limits_are_counted_by_where_the_pictures_go(
    build, server, answered, plugin, document_with, *, provided, sink, document, scope
):
    server.target, server.answer = provided, document_with(**document)
    plugin.sink_target = sink
    assembly = build()
    answered()

    assert assembly.engine._ledger.terms.scope == scope
    assert take(assembly).target == Target(
        workspace=document.get("target_workspace"), project=document.get("target_project")
    )


def test_a_sink_that_cannot_tell_its_target_is_reported(build, server, answered, plugin):
    server.target, plugin.sink_target = Target(), RuntimeError("which?")
    assembly = build()
    answered()

    assert assembly.engine.tally.problems() == (
        "sink 'placed': its target cannot be told: RuntimeError: which?",
    )


def test_limits_of_a_new_document_hold_at_once(build, server, answered, asked_again, document_with):
    assembly = build()
    answered()
    assembly.engine.accept([assembly.engine.prepare(offer(assembly, "1").pending)])
    limits = [{"type": "daily", "value": 1}]
    server.answer = document_with(
        {"name": "all", "type": "random", "traffic_percentage": 1, "limits": limits}
    )
    asked_again()

    assert offer(assembly, "2").status == "limited"


def test_a_batch_limit_goes_with_the_plan(build, server, answered, document_with):
    batching = {"batches_name_prefix": "b", "recreation_interval": "never", "max_batch_images": 7}
    server.answer = document_with(batching_strategy=batching, target_project="q")
    assembly = build()
    answered()
    candidate = assembly.engine.prepare(offer(assembly).pending)

    assert (candidate.max_batch_images, candidate.target) == (7, Target(project="q"))


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_last_document_holds_at_the_next_start(build, server, answered, caplog, dry_run):
    caplog.set_level(logging.INFO)
    first = build()
    answered()
    digest = first.refresher.document_hash
    first.finish(deadline_s=0.0)
    server.gate.clear()
    second = build(dry_run=dry_run)

    assert offer(second).status == "pending"
    assert second.refresher.document_hash == digest
    assert second.refresher.kept_at == 1_700_000_000.0
    assert not second.refresher.answered
    assert (
        "configuration provider 'scripted': until it answers, its answer of 2023-11-14 22:13:20"
        "+00:00 holds"
    ) in messages(caplog)
    server.gate.set()
    answered()
    assert second.refresher.kept_at is None


def test_an_error_while_a_kept_document_holds_ends_the_wait(build, server, answered):
    first = build()
    answered()
    first.finish(deadline_s=0.0)
    server.answer = OSError(5, "no line")
    second = build()
    answered()

    assert second.refresher.settled
    assert not second.refresher.answered


def test_a_collection_switched_off_stays_so_at_the_next_start(build, server, answered):
    server.answer, server.reason = None, "no access"
    first = build()
    answered()
    first.finish(deadline_s=0.0)
    server.gate.clear()
    second = build()

    assert second.engine.plan.off == "no access"


@pytest.mark.parametrize("identity", ["identity-2", "", RuntimeError("no")])
def test_the_document_of_another_identity_is_not_found(build, server, answered, identity):
    first = build()
    answered()
    first.finish(deadline_s=0.0)
    server.identity = identity
    server.gate.clear()
    second = build(options={"api_key": ""} if identity == "" else {})

    assert second.engine.plan is None


def test_a_dry_run_keeps_nothing(build, server, answered, tmp_path):
    assembly = build(dry_run=True)
    answered()
    assembly.finish(deadline_s=0.0)

    assert list(tmp_path.iterdir()) == []


def test_a_faulty_document_is_not_kept(build, server, answered, asked_again, document_with):
    first = build()
    answered()
    digest = first.refresher.document_hash
    server.answer = document_with(tags=5)
    asked_again()
    first.finish(deadline_s=0.0)
    server.gate.clear()

    assert build().refresher.document_hash == digest


def test_a_kept_document_whose_strategies_are_gone_is_left_where_it_is(
    build, server, answered, document_with, plugin
):
    server.answer = document_with(WATCHED, tags=["a"])
    first = build()
    answered()
    first.finish(deadline_s=0.0)
    [kept] = first.configuration.spool_dir.glob("state/configuration_provider-scripted/*")
    values = json.loads(kept.read_text())
    values["document"]["tags"] = 5
    kept.write_text(json.dumps(values))
    server.gate.clear()
    second = build()
    [problem] = second.engine.tally.problems()

    assert second.engine.plan is None
    assert problem.startswith(
        "configuration provider 'scripted': the kept document is of no use: the document of "
    )
    assert "tags: should be a list, not 5" in problem


def all_text_below(directory):
    return b"\n".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_the_key_is_never_written_logged_or_reported(
    build, server, answered, asked_again, tmp_path, *, caplog, key
):
    caplog.set_level(logging.DEBUG)
    assembly = build(options={"api_key": key})
    answered()
    spellings = (key, "s3cret%2Fkey%2Bof%3Dmine", "s3cret/key%2Bof%3Dmine")
    for spelt in spellings:
        server.answer = RuntimeError(f"GET https://api/?api_key={spelt}&x=1 failed")
        asked_again()
    server.answer, server.reason = None, f"{key} has no access"
    asked_again()
    problems = assembly.engine.tally.problems()
    summary = assembly.finish(deadline_s=0.0)
    everything = " ".join((caplog.text, repr(summary), repr(assembly.configuration), *problems))

    assert "https://api/?api_key=***&x=1 failed" in everything
    assert "collection is off: *** has no access" in everything
    assert not any(spelt in everything for spelt in spellings)
    assert not any(spelt.encode() in all_text_below(tmp_path) for spelt in spellings)


def test_closing_does_not_wait_for_a_question_that_hangs(build, server):
    server.gate.clear()
    assembly = build()
    assert server.asked.acquire(timeout=LONG_S)
    done = threading.Event()

    def finish():
        assembly.finish(deadline_s=0.0)
        done.set()

    threading.Thread(target=finish, daemon=True).start()

    assert done.wait(LONG_S)


def test_an_answer_after_the_end_changes_nothing(build, server, answered, plugin, document_with):
    server.gate.clear()
    server.answer = document_with(WATCHED)
    assembly = build()
    assert server.asked.acquire(timeout=LONG_S)
    assembly.finish(deadline_s=0.0)
    server.gate.set()
    answered()

    assert assembly.engine.plan is None
    assert plugin.events == ["close provider", "start w one", "close w one"]
    assert not list(assembly.configuration.spool_dir.glob("state/configuration_provider-*/*"))


def test_no_frame_sees_half_a_plan(build, server, answered, document_with):
    """Strategy, tags, batch and hash of every datapoint are those of one document."""

    def document(word):
        return document_with(
            {"name": word, "type": "watched", "word": word, "tags": [f"tag-{word}"]},
            tags=[word],
            batching_strategy={"batches_name_prefix": word, "recreation_interval": "never"},
        )

    server.answer = document("a")
    assembly = build()
    answered()
    stop, found = threading.Event(), []

    def submit():
        mine, number = [], 0
        while not stop.is_set():
            number += 1
            mine.append(take(assembly, f"{threading.get_ident()}-{number}"))
        found.append(mine)

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        server.answer = document("ab"[number % 2])
        assembly.refresher.refresh()
    stop.set()
    for thread in threads:
        thread.join(LONG_S)
    whole = {
        (d.strategy, d.tags, d.batch_name, d.reason, d.decision.configuration_hash)
        for mine in found
        for d in mine
    }

    assert len(whole) == 2
    assert {w[:4] for w in whole} == {
        (word, (word, f"tag-{word}"), word, word) for word in ("a", "b")
    }


def test_the_child_of_a_fork_asks_for_itself(build, server, answered, asked_again):
    assembly = build()
    answered()
    before = assembly.refresher._thread
    assembly.refresher.after_fork()  # as the child calls it; the parent's thread goes on here
    answered()

    assert assembly.refresher._thread is not before
    assert assembly.refresher._thread.name == "al-configuration"
    assert server.requests == 2


def test_after_the_end_a_fork_asks_nobody(build, server, answered):
    assembly = build()
    answered()
    assembly.finish(deadline_s=0.0)
    assembly.refresher.after_fork()

    assert assembly.refresher._thread.ident is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_nothing_is_asked_before_the_thread_starts(build, server, answered, plugin):
    server.gate.clear()
    assembly = build()

    assert plugin.events == []
    assert assembly.run.configuration_hash == assembly.configuration.configuration_hash
