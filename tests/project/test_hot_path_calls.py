"""What a frame costs its caller in calls and in instructions of the interpreter, and each row more.

Neither differs from run to run, as seconds do. Calls are those of functions, in Python and in C;
instructions see the rest too: loops that call nothing, objects that are made.
"""

import functools
import gc
import statistics
import sys
import tracemalloc

import pytest

VGA, UHD = (640, 480), (3840, 2160)
PICTURES = ["jpeg", "array", "pil", "path"]
FORMS = ["typed", "document"]
WARM_UP = 5  # the first calls import, and fill what later ones find filled
TIMES = 5
EITHER_WAY = 0.05
NEARLY = 0.01
FEW, MANY = 100, 1000

on_the_interpreter_of_ci = pytest.mark.skipif(
    (sys.implementation.name, *sys.version_info[:2]) != ("cpython", 3, 11),
    reason="another interpreter counts otherwise: the numbers here are CPython 3.11's, as in CI",
)


@pytest.fixture
def costs(collecting, held, picture, prediction):
    """Count something of a frame that ends so."""
    opened = {}

    def count(counter, status, kind, form, *, size=VGA, rows=10):
        if status not in opened:
            opened[status] = collecting(status)
            held.clear()  # what is taken from now on waits in front of the encoder
        submit = functools.partial(
            opened[status].submit, picture(kind, size), prediction(form, size, rows)
        )
        for _ in range(WARM_UP):
            assert submit().status == status
        gc.disable()  # whoever wants to be told of a collection would be counted
        try:
            counter(submit)  # CPython 3.12 counts no instruction the first time
            # The usual: once a second the clock is compared with the wall's, and now and then
            # another thread has just read it.
            return statistics.median(counter(submit) for _ in range(TIMES))
        finally:
            gc.enable()

    return count


def calls(submit):
    counted = 0

    def count(_frame, event, _argument):
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        submit()
    finally:
        sys.setprofile(None)
    return counted


def instructions(submit):
    counted = 0

    def count(frame, event, _argument):
        nonlocal counted
        if event == "call":
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
        counted += event == "opcode"
        return count

    before = sys.gettrace()  # whoever measures coverage
    sys.settrace(count)
    try:
        submit()
    finally:
        sys.settrace(before)
    return counted


def memory(submit):
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        submit()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before


# As measured, with ten rows, for each of the pictures. Whoever makes a number larger slows down the
# loop of everybody's model; whoever makes one smaller enters the new one, or the next loss would
# not be seen.
@on_the_interpreter_of_ci
@pytest.mark.parametrize(
    ("counter", "status", "form", "each"),
    [
        (calls, "not_selected", "typed", (117, 120, 124, 129)),
        (calls, "not_selected", "document", (129, 132, 136, 141)),
        (calls, "limited", "typed", (93, 96, 100, 105)),
        (calls, "limited", "document", (105, 108, 112, 117)),
        (calls, "queued", "typed", (129, 142, 180, 138)),
        (calls, "queued", "document", (356, 369, 407, 365)),
        (instructions, "not_selected", "typed", (2022, 2057, 2064, 2092)),
        (instructions, "not_selected", "document", (1960, 1995, 2002, 2030)),
        (instructions, "limited", "typed", (1668, 1703, 1710, 1738)),
        (instructions, "limited", "document", (1606, 1641, 1648, 1676)),
        (instructions, "queued", "typed", (2401, 2594, 2876, 2448)),
        (instructions, "queued", "document", (7075, 7268, 7550, 7122)),
    ],
)
def test_a_frame_costs_what_it_did(costs, counter, status, form, each):
    counted = tuple(costs(counter, status, kind, form) for kind in PICTURES)

    assert counted == pytest.approx(each, rel=EITHER_WAY)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", ["not_selected", "limited"])
@pytest.mark.parametrize("counter", [calls, instructions])
def test_a_frame_that_is_not_taken_costs_the_same_whatever_its_size(costs, counter, status, form):
    for kind in PICTURES:
        small, large = (costs(counter, status, kind, form, size=size) for size in (VGA, UHD))

        assert 0 < small == pytest.approx(large, rel=NEARLY)


@pytest.mark.parametrize("status", ["not_selected", "limited", "queued"])
@pytest.mark.parametrize("counter", [calls, instructions])
def test_rows_of_our_own_types_cost_nothing(costs, counter, status):
    few, many = (costs(counter, status, "jpeg", "typed", rows=rows) for rows in (FEW, MANY))

    assert 0 < few == pytest.approx(many, rel=NEARLY)


@on_the_interpreter_of_ci
@pytest.mark.parametrize(
    ("counter", "status", "each"),
    [
        (calls, "not_selected", 2),
        (calls, "limited", 2),
        (calls, "queued", 13),
        (instructions, "not_selected", 32),
        (instructions, "limited", 32),
        (instructions, "queued", 364),
    ],
)
def test_a_row_of_a_document_costs_what_it_did(costs, counter, status, each):
    few, many = (costs(counter, status, "jpeg", "document", rows=rows) for rows in (FEW, MANY))

    assert (many - few) / (MANY - FEW) == pytest.approx(each, rel=EITHER_WAY)


@pytest.mark.parametrize(("form", "measured"), [("typed", 16), ("document", 32)])
def test_a_row_of_a_frame_that_is_not_taken_asks_for_little_memory(costs, form, measured):
    few, many = (costs(memory, "not_selected", "jpeg", form, rows=rows) for rows in (FEW, MANY))

    assert 0 < (many - few) / (MANY - FEW) <= measured * 1.5
