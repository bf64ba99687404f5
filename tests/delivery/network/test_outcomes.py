"""What each answer of a server leaves in the spool, exactly; and then it recovers.

The datapoint behind is looked at too: it is delivered where the sink may have it, and has lost
nothing where not. In the end all that was not refused is there, once.
"""

import re
import socket
from dataclasses import dataclass, replace

import pytest

from al_framework.testing import Answer, FaultServer
from al_framework.testing.certificates import make_certificates

PATIENCE_S = 0.25
LATER_S = 3601.0  # no pause and no delay is longer
STATES = ("pending", "delivered", "dead")
# Where a fault can strike: which sink, and at which of its requests.
PLACES = (("webhook", "message"), ("roboflow", "upload"), ("roboflow", "annotate"))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one attempt has left.

    Attributes:
        state: Of the delivery.
        attempts: Those that count.
        due: Between which seconds from now it is due again.
        sink: State of the sink.
        alone_s: Seconds for which the sink is given nothing.
    """

    state: str = "pending"
    attempts: int = 0
    due: tuple[float, float] = (0.0, 0.0)
    sink: str = "closed"
    alone_s: float = 0.0


DONE = Outcome(state="delivered")
POISON = Outcome(state="dead", attempts=1)
PAUSE = Outcome(sink="paused", alone_s=300.0)


def retry(attempts=1):
    return Outcome(attempts=attempts, due=(0.2, 2.0**attempts))


def wait(seconds):
    return Outcome(attempts=1, due=(seconds, seconds), sink="waiting", alone_s=seconds)


def outcome(line, number=1):
    """Return what the index says of a datapoint and of the sink."""
    now = line.clock.time()
    with line.spool._database.read() as tx:
        row = tx.execute(
            "SELECT state, attempts, due - ?, owner FROM delivery JOIN item USING (number)"
            " WHERE item_id = ?",
            (now, f"item-{number}"),
        ).fetchone()
        sink, until = tx.execute("SELECT state, until - ? FROM sink", (now,)).fetchone()
    found = Outcome(sink=sink, alone_s=0.0 if sink == "closed" else round(until, 3))
    if row is None:
        return replace(found, state="delivered")
    state, attempts, due_s, owner = row
    assert owner is None
    due = (round(due_s, 3),) * 2 if STATES[state] == "pending" else (0.0, 0.0)
    return replace(found, state=STATES[state], attempts=attempts, due=due)


def check(expected, found):
    """Compare; a delay that is drawn has to lie in its range."""
    low, high = expected.due
    assert low <= found.due[0] <= high, found
    assert replace(expected, due=found.due) == found


def check_neighbour(line, expected):
    """See to the datapoint behind the one that has found this outcome."""
    if expected.sink == "closed":
        assert line.delivery.step()
        assert outcome(line, 2) == DONE
        return
    assert not line.delivery.step()
    assert outcome(line, 2) == replace(expected, attempts=0, due=(0.0, 0.0))
    line.clock.advance(expected.alone_s - 0.01)
    assert not line.delivery.step()


def check_recovery(line, service):
    """With the server in order again everything arrives, under the name that it had."""
    line.clock.advance(LATER_S)
    line.work()
    refused = {letter.item_id for letter in line.spool.dead.list()}
    counts = line.delivery.counts()[line.kind]
    taken = set(line.sent) - refused
    assert (len(taken), len(refused), 0) == (counts.delivered, counts.dead, counts.pending)
    assert taken <= set(service.held)
    assert {name: line.sent[name] for name in service.held} == service.held
    if line.kind == "roboflow":
        assert sorted(taken) == sorted(service.annotated)


def answers():
    """Yield rows: sink, request, what is answered, and what comes of it."""
    passing = (408, 425, 429, 500, 502, 503, 504, 507, 508, 520, 522, 524, 599)
    pausing = (301, 302, 303, 307, 308, 401, 402, 403, 404, 407, 423)
    final = (400, 406, 411, 413, 415, 422, 451, 501, 505)
    date = {"Date": "Sun, 22 Nov 2026 10:00:00 GMT"}
    asked = (
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT", **date}, wait(90.0)),
        ({"Retry-After": "Sun, 22 Nov 2026 09:00:00 GMT", **date}, wait(0.2)),
        ({"Retry-After": "0"}, wait(0.2)),
        ({"Retry-After": "1000000000"}, wait(3600.0)),
        ({"Retry-After": "soon"}, retry()),
    )
    rows = [(Answer(status=status), retry()) for status in passing]
    rows += [(Answer(status=s, headers={"Retry-After": "7"}), wait(7.0)) for s in passing]
    rows += [(Answer(status=429, headers=headers), expected) for headers, expected in asked]
    rows += [(Answer(status=s, headers={"Location": "/elsewhere"}), PAUSE) for s in pausing]
    rows += [(Answer(status=status), POISON) for status in final]
    rows += [(Answer(status=409), DONE)]
    for kind, place in PLACES:
        for answer, expected in rows:
            is_early = (place, answer.status) == ("annotate", 404)  # it has only just been stored
            yield kind, place, answer, retry() if is_early else expected
        for status in (405, 410):  # where messages go, that is the address and not the message
            yield kind, place, Answer(status=status), PAUSE if kind == "webhook" else POISON


def named(row):
    kind, place, answer, _ = row
    return f"{kind}-{place}-{answer.status}-{answer.headers.get('Retry-After', '')}"


@pytest.mark.parametrize(
    ("kind", "place", "answer", "expected"),
    [pytest.param(*row, id=named(row)) for row in answers()],
)
def test_every_status_has_its_outcome(line, service, kind, place, answer, expected):  # noqa: PLR0917 - a row
    _, one = line(kind)
    one.accept(2)
    # A conflict is what is answered to something that is there already.
    service.faults[place].append((answer, answer.status == 409))

    assert one.delivery.step()
    check(expected, outcome(one))
    if expected is POISON:
        (letter,) = one.spool.dead.list()
        assert re.fullmatch(
            rf"sink '{kind}': datapoint 'item-1': POST http://127\.0\.0\.1:\d+\S*: the answer is"
            rf" {answer.status} with '': .+",
            letter.reason,
        )
    check_neighbour(one, expected)
    assert service.count(place, "item-1") == 1
    if (place, answer.status) == ("upload", 409):
        return  # it does not say under which id, so the annotation cannot be sent
    check_recovery(one, service)
    is_again = expected.state == "pending"
    assert service.count(place, "item-1") == 1 + is_again
    if place == "annotate":
        assert service.count("upload", "item-1") == 1


@pytest.mark.parametrize(("kind", "place"), PLACES)
@pytest.mark.parametrize(
    "how",
    [
        "reset_unanswered",
        "reset_midway",
        "cut_midway",
        "hang_unanswered",
        "drip_headers",
        "drip_body",
    ],
)
def test_an_answer_that_is_lost_costs_one_attempt_and_makes_no_copy(
    line, service, kind, place, how
):
    _, one = line(kind, patience_s=PATIENCE_S)
    one.accept(2)
    lost = Answer(how=how, body='{"success": true, "id": "x"}' * 50, drip_s=PATIENCE_S / 5)
    service.faults[place].append((lost, True))

    assert one.delivery.step()
    check(retry(), outcome(one))
    check_neighbour(one, retry())
    check_recovery(one, service)
    assert service.count(place, "item-1") == 2


@pytest.mark.parametrize("body", ["<html>sign in</html>", '{"success": false}', '{"half'])
@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_a_yes_that_cannot_be_believed_is_given_up_at_the_third(line, service, kind, place, body):
    _, one = line(kind)
    one.accept(1)
    service.faults[place] += [(Answer(body=body), False)] * 3
    for attempts in (1, 2):
        assert one.delivery.step()
        check(retry(attempts), outcome(one))
        one.clock.advance(2.0**attempts)

    assert one.delivery.step()
    check(replace(POISON, attempts=3), outcome(one))
    (letter,) = one.spool.dead.list()
    assert letter.reason.endswith(" (after 3 such answers)")
    one.accept(1)
    check_neighbour(one, POISON)
    check_recovery(one, service)


def test_a_picture_that_is_gone_after_two_minutes_is_uploaded_once_more(line, service):
    _, one = line("roboflow")
    one.accept(1)
    service.faults["annotate"] += [(Answer(status=404), False)] * 2
    assert one.delivery.step()
    check(retry(), outcome(one))
    one.clock.advance(121.0)

    assert one.delivery.step()
    check(retry(2), outcome(one))
    check_recovery(one, service)
    assert (2, 3) == (service.count("upload", "item-1"), service.count("annotate", "item-1"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("trouble", "is_paused"),
    [
        ("nobody listens", False),
        ("no handshake", False),
        ("the name server is silent", False),
        ("there is no such host", True),
        ("expired", True),
        ("wrong host", True),
        ("unknown authority", True),
    ],
)
@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_a_server_that_is_not_reached_has_its_outcome(  # noqa: PLR0917 - fixtures and a row
    line, service, certificates, monkeypatch, kind, place, trouble, is_paused
):
    """Where it is for the second request, the first one and a failed second have come before."""
    authority, contexts = certificates
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    has_tls = trouble == "no handshake" or trouble in contexts
    server, one = line(kind, tls=contexts["good"] if has_tls else None, patience_s=2 * PATIENCE_S)
    one.accept(1)
    before = 0
    if place == "annotate":
        service.faults[place].append((Answer(status=500), False))
        assert one.delivery.step()
        one.clock.advance(2.0)
        before = 1
    server.__exit__()
    with monkeypatch.context() as patch:
        codes = {
            "there is no such host": socket.EAI_NONAME,
            "the name server is silent": socket.EAI_AGAIN,
        }
        if trouble in codes:

            def look_up(*_, **__):
                raise socket.gaierror(codes[trouble], "no such luck")

            patch.setattr(socket, "getaddrinfo", look_up)
        strange = FaultServer(port=server.port, tls=contexts.get(trouble))
        if has_tls:
            strange.__enter__()
        else:
            strange._listener.close()

        assert one.delivery.step()
        expected = replace(PAUSE, attempts=before) if is_paused else retry(before + 1)
        check(expected, outcome(one))
        one.accept(1)
        if is_paused:
            check_neighbour(one, expected)
        if has_tls:
            strange.__exit__()
    good = FaultServer(port=server.port, tls=contexts["good"] if has_tls else None)
    good.otherwise = service
    with good:
        check_recovery(one, service)
    assert service.count("upload", "item-1") == (kind == "roboflow")
