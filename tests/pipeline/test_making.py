from dataclasses import FrozenInstanceError, fields

import pytest

from al_framework.api import Crop, Frame, Image, Ticket
from al_framework.pipeline.making import make_frame, make_ticket

CROP = Crop(frame_id="whole", detection_id=None, left=1, top=2, width=3, height=4)
FRAME = {
    "frame_id": "f",
    "image": Image(b"jpeg"),
    "captured_at": 5.0,
    "source": "camera",
    "attributes": {"site": "a"},
    "parent": CROP,
}
TICKET = {"status": "dropped", "reason": "ring_full", "frame_id": "f"}


@pytest.mark.parametrize(
    ("kind", "make", "values"), [(Frame, make_frame, FRAME), (Ticket, make_ticket, TICKET)]
)
def test_what_is_made_in_a_hurry_is_what_the_class_makes(kind, make, values):
    made, expected = make(**values), kind(**values)
    names = [field.name for field in fields(kind)]

    assert type(made) is kind
    assert [getattr(expected, name) for name in names] == [getattr(made, name) for name in names]
    assert repr(expected) == repr(made)


def test_a_ticket_made_in_a_hurry_equals_one_made_by_the_class():
    made, expected = make_ticket(**TICKET), Ticket(**TICKET)

    assert expected == made
    assert hash(expected) == hash(made)


@pytest.mark.parametrize("made", [make_frame(**FRAME), make_ticket(**TICKET)])
def test_nobody_can_change_what_was_made_in_a_hurry(made):
    with pytest.raises(FrozenInstanceError):
        made.frame_id = "other"
    with pytest.raises(FrozenInstanceError):
        del made.frame_id
