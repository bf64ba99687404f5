"""When a provider is asked, and what changes while frames are on their way."""

import json
import logging
import re
import threading

import pytest

from al_framework.testing import sample_frame

LONG_S = 60.0
WATCHED = {"name": "w", "type": "watched", "word": "one"}


def test_frames_are_dropped_until_the_first_answer(build, server, answered, offer):
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
    build, server, answered, asked_again, caplog, *, document_with, take, messages
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
    lines = [m for m in messages() if "document" in m]

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


def test_a_strategy_that_was_switched_off_is_tried_again_with_other_options(
    build, server, answered, asked_again, document_with, *, offer
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


def test_no_frame_sees_half_a_plan(build, server, answered, document_with, take):
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


@pytest.mark.parametrize(("said", "used"), [(0.0, 1.0), (1e9, 86400.0), (float("nan"), 86400.0)])
def test_how_often_is_kept_within_reason(build, server, answered, said, used):
    server.refresh_after_s = said
    refresher = build().refresher
    answered()

    assert refresher.refresh() == used


def test_a_strategy_that_was_replaced_is_closed_once_no_frame_is_on_its_way(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED)
    assembly = build()
    answered()
    offers = assembly.engine.offer(sample_frame("queued"), None)
    server.answer = document_with({**WATCHED, "word": "two"})
    asked_again()
    asked_again()
    early = list(plugin.events)
    offers.clear()
    asked_again()

    assert early == ["start w one", "start w two"]
    assert plugin.events == ["start w one", "start w two", "close w one"]
    assembly.finish(deadline_s=0.0)
    assert plugin.events[3:] == ["close w two", "close provider"]


def test_a_strategy_rests_while_collection_is_off(
    build, server, answered, asked_again, plugin, *, document_with, offer
):
    server.answer = document_with(WATCHED)
    assembly = build()
    answered()
    offer(assembly)
    for answer in ({"enabled": False}, None, document_with({"type": "novel"})):
        server.answer = answer
        asked_again()
        assert offer(assembly).status == "not_selected"
    server.answer = document_with(WATCHED)
    asked_again()

    assert offer(assembly).status == "pending"
    assert assembly.counts().strategies["w"].evaluated == 2
    assert plugin.events == ["start w one"]
