"""What of a provider's answer stays on the disk, and what does not."""

import json
import logging

import pytest

WATCHED = {"name": "w", "type": "watched", "word": "one"}


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_last_document_holds_at_the_next_start(
    build, server, answered, caplog, dry_run, *, offer, messages
):
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
    ) in messages()
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


def test_an_identity_that_is_no_text_keeps_nothing(
    build, server, answered, plugin, tmp_path, *, monkeypatch, messages
):
    monkeypatch.setattr(plugin.classes[0][0], "identity", None)
    build()
    answered()

    assert not list(tmp_path.rglob("last-*.json"))
    assert (
        "configuration provider 'scripted': its identity fails with TypeError, so no document is "
        "kept"
    ) in messages()


def test_a_kept_document_without_a_bottom_does_not_stop_the_start(build, server, answered):
    first = build()
    answered()
    first.finish(deadline_s=0.0)
    [kept] = first.configuration.spool_dir.glob("state/configuration_provider-scripted/*")
    kept.write_text("[" * 100_000)
    server.gate.clear()

    assert build().engine.plan is None


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
