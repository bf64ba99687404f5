"""Called asynchronously the step never blocks the loop, whatever the collector does."""

import asyncio
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from al_framework.api import ConfigurationError, Fault, Unlabelled
from al_framework_roboflow.step import StepResult

HANG_S = 20.0
BOX = json.loads(Path(__file__).with_name("box.json").read_text())


def array(width=100, height=50):
    return np.zeros((height, width, 3), dtype=np.uint8)


async def in_a_busy_loop(call, until):
    """Run a call while the loop does something else; return both."""
    turns = 0
    task = asyncio.ensure_future(call)
    while not until():
        await asyncio.sleep(0)
        turns += 1
    return await asyncio.wait_for(task, HANG_S), turns


def test_async_returns_while_the_collector_is_still_being_opened(step, pool, workshop, arguments):
    workshop.gate.clear()
    pixels, entries = array(), [dict(BOX)]

    call = step.run_async(**arguments(image=[pixels, array()], predictions=[entries, "cat"]))
    results, turns = asyncio.run(in_a_busy_loop(call, workshop.begun.is_set))

    assert turns > 0
    assert workshop.made == []
    assert (
        results
        == [
            StepResult(
                status="queued",
                error_status=False,
                message="kept in memory until the collector is open",
            )
        ]
        * 2
    )
    pixels[:] = 255
    entries.clear()
    workshop.gate.set()
    for thread in list(pool._threads):
        thread.join(HANG_S)
    [first, second] = workshop.made[0].submitted
    assert not first["image"].any()
    assert first["prediction"]["predictions"] == [BOX]
    assert second["prediction"]["top"] == "cat"


def test_async_answers_like_run_once_the_collector_is_open(step, workshop, arguments):
    expected = step.run(**arguments())

    assert asyncio.run(step.run_async(**arguments())) == expected


def test_async_tells_bad_elements_and_earlier_failures(step, pool, workshop, arguments):
    workshop.fault = ConfigurationError([Fault(path="", message="is bad")])

    first = asyncio.run(step.run_async(**arguments(image=[array(), 3], predictions=[[BOX], [BOX]])))
    for thread in list(pool._threads):
        thread.join(HANG_S)
    second = asyncio.run(step.run_async(**arguments()))

    assert [one.status for one in first] == ["queued", "invalid"]
    assert [one.status for one in second] == ["error"]
    assert "is bad" in second[0].message


@pytest.mark.parametrize(
    "image", [bytearray(b"abc"), b"abc", "a.png", PIL.Image.new("RGB", (4, 3)), array()]
)
def test_what_waits_is_a_copy_of_whatever_may_change(step, pool, workshop, image, arguments):
    workshop.gate.clear()
    prediction = Unlabelled(prediction_type="ocr")
    call = arguments(image=image, predictions=prediction)
    asyncio.run(step.run_async(**call))
    workshop.gate.set()
    for thread in list(pool._threads):
        thread.join(HANG_S)

    [offer] = workshop.made[0].submitted
    if isinstance(image, bytes | str):
        assert offer["image"] == image
    else:
        assert offer["image"] is not image
    assert offer["prediction"] is prediction
