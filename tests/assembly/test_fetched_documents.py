"""What becomes of a document that a provider brings."""

import pytest

from al_framework.api import Target
from al_framework.testing import sample_frame

WATCHED = {"name": "w", "type": "watched", "word": "one"}


def test_a_strategy_that_stays_the_same_goes_on_with_other_limits_and_tags(
    build, server, answered, asked_again, plugin, *, document_with, take
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
            "RuntimeError: no power: repair or update the plugin, or use another type; the last "
            "document holds"
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

    assert 3 == assembly.refresher.skipped == assembly.counts().left_out
    assert [slot.name for slot in assembly.engine.plan.sampler.slots] == ["w"]
    assert len(problems) == 3
    assert problems[0].startswith(f"{who}sampling_strategies[0].colour: unknown key, known are: ")
    assert problems[1].startswith(
        f"{who}sampling_strategies[1].type: there is no strategy type 'wached' (did you mean "
        "'watched'?); installed strategy types: "
    )
    assert problems[2].startswith(f"{who}season: unknown key, known are: ")
    assert all(problem.endswith("; it is left out") for problem in problems)


def test_a_document_of_nothing_known_collects_nothing(
    build, server, answered, document_with, offer
):
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
        (Target(project="p"), Target(), {}, "/p"),
        (Target(), Target(), {}, "line"),
    ],
)
def test_limits_are_counted_by_where_the_pictures_go(
    build, server, answered, plugin, document_with, *, provided, sink, document, scope, take
):
    server.target, server.answer = provided, document_with(**document)
    plugin.sink_target = sink
    assembly = build()
    answered()

    assert assembly.engine.ledger.terms.scope == scope
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


def test_limits_of_a_new_document_hold_at_once(
    build, server, answered, asked_again, document_with, *, offer
):
    assembly = build()
    answered()
    assembly.engine.accept([assembly.engine.prepare(offer(assembly, "1").pending)])
    limits = [{"type": "daily", "value": 1}]
    server.answer = document_with(
        {"name": "all", "type": "random", "traffic_percentage": 1, "limits": limits}
    )
    asked_again()

    assert offer(assembly, "2").status == "limited"


def test_a_batch_limit_goes_with_the_plan(build, server, answered, document_with, offer):
    batching = {"batches_name_prefix": "b", "recreation_interval": "never", "max_batch_images": 7}
    server.answer = document_with(batching_strategy=batching, target_project="q")
    assembly = build()
    answered()
    candidate = assembly.engine.prepare(offer(assembly).pending)

    assert (candidate.max_batch_images, candidate.target) == (7, Target(project="q"))
