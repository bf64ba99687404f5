import os
import threading

from al_framework.pipeline.reasons import Reasons


def test_what_ended_is_counted_by_sink_and_reason_on_every_thread():
    reasons = Reasons()
    reasons.count("a b", "refused")
    thread = threading.Thread(
        target=reasons.count_all, args=([("a b", "refused"), ("a b", "age"), ("a", "age")],)
    )
    thread.start()
    thread.join(30)

    assert {"age": 1, "refused": 2} == reasons.of("a b")
    assert {"age": 1} == reasons.of("a")
    assert {} == reasons.of("b")


def test_the_child_of_a_fork_begins_at_zero():
    reasons = Reasons()
    reasons.count("a", "age")
    child = os.fork()
    if child == 0:
        os._exit(len(reasons.of("a")))
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert {"age": 1} == reasons.of("a")
