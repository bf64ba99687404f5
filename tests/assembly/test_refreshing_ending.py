"""How asking a provider ends, with a question still open or in the child of a fork."""

import threading

LONG_S = 60.0
WATCHED = {"name": "w", "type": "watched", "word": "one"}


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


def test_after_the_end_a_fork_asks_nobody(build, server, answered):
    assembly = build()
    answered()
    assembly.finish(deadline_s=0.0)
    assembly.refresher.after_fork()

    assert assembly.refresher._thread.ident is None


def test_the_end_waits_once_for_a_question_that_hangs(build, server, monkeypatch):
    server.gate.clear()
    refresher = build().refresher
    assert server.asked.acquire(timeout=LONG_S)
    waits = []
    monkeypatch.setattr(refresher._thread, "join", waits.append)
    refresher.close()
    refresher.close()

    assert len(waits) == 1


def test_after_the_end_nothing_is_closed_twice(
    build, server, answered, asked_again, plugin, *, document_with
):
    server.answer = document_with(WATCHED)
    assembly = build()
    answered()
    server.answer = document_with({**WATCHED, "word": "two"})
    asked_again()
    assembly.finish(deadline_s=0.0)
    assembly.refresher.refresh()

    assert plugin.events.count("close w one") == 1
