"""What became of the pictures that were chosen, in words."""

import pytest

from al_framework.api import Counts, SinkCounts
from al_framework_roboflow.workflow.deliveries import delivery_lines, wait_for_deliveries

HASHES = "0123456789abcdef-fedcba9876543210"


def counts(*, dropped=None, queued=0, **sink):
    return Counts(queued=queued, dropped=dropped or {}, sinks={"roboflow": SinkCounts(**sink)})


WORDS = [
    (counts(delivered=2), ["my-ds: sink 'roboflow': 2 delivered"], False),
    (
        counts(delivered=2, duplicates=1),
        ["my-ds: sink 'roboflow': 2 delivered (1 had been there before)"],
        False,
    ),
    (counts(dead=1), ["my-ds: sink 'roboflow': 0 delivered, 1 given up"], True),
    (
        counts(delivered=3, dead=1, pending=2, trouble="the key is refused"),
        [
            (
                "my-ds: sink 'roboflow': 3 delivered, 1 given up, 2 still to be delivered (the key "
                "is refused); what waits is safe in the spool of this key and dataset: run again "
                "with them to go on"
            )
        ],
        True,
    ),
    (counts(dropped={"recently_sent": 2}), ["my-ds: 2 dropped: recently sent"], False),
    (counts(dropped={"batch_full": 1}), ["my-ds: 1 dropped: batch full"], False),
    (counts(dropped={"spool_full": 1}), ["my-ds: 1 dropped: spool full"], True),
    (counts(), [], False),
]


@pytest.mark.parametrize(("one", "lines", "undone"), WORDS)
def test_deliveries_in_words(one, lines, undone):
    assert delivery_lines({f"my-ds-{HASHES}": one}) == (lines, undone)


def test_collectors_of_one_dataset_keep_what_tells_them_apart():
    other = HASHES.replace("a", "b")

    lines, _ = delivery_lines(
        {
            f"ds-{HASHES}": counts(delivered=1),
            f"ds-{other}": counts(delivered=2),
            f"e-{HASHES}": counts(delivered=3),
        }
    )

    assert [line.partition(":")[0] for line in lines] == [f"ds-{HASHES}", f"ds-{other}", "e"]


def test_the_wait_ends_when_all_is_delivered_and_tells_how_far_it_is():
    steps = [counts(queued=1), counts(pending=1), counts(delivered=1)]
    told = []

    last = wait_for_deliveries(lambda: {"c": steps.pop(0)}, 60.0, tell=told.append)

    assert last["c"].sinks["roboflow"].delivered == 1
    assert told == ["0 delivered, 1 to go", "0 delivered, 1 to go"]


def test_the_wait_ends_when_nothing_moves():
    asked = []

    def stats():
        asked.append(1)
        return {"c": counts(pending=1)}

    wait_for_deliveries(stats, 0.0, tell=lambda _: None)

    assert len(asked) == 2
