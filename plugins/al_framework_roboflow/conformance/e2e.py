"""Cases of `e2e`: a document, frames and a server's replies, and the requests of each frame.

`answer` drives the real thing over HTTP. `deviation` replays the case by the rules alone, without
it, and names the rule of ours that first makes a difference; others may follow from it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from al_framework.api import ConfigurationError
from al_framework_roboflow.conformance.config import refusals
from al_framework_roboflow.conformance.driving import IMAGE, Call, drive, in_order
from al_framework_roboflow.conformance.replaying import (
    ANNOTATED_DUPLICATE,
    COUNTED,
    MULTI_LABEL,
    ONE_PIXEL,
    RETRIED,
    STORED_FRAME,
    Replay,
    first_difference,
)
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "the document breaks what Roboflow's documentation promises (D26), or a box lies "
    "wholly outside of its picture, which costs no credit",
    RETRIED: "what fails for the moment is sent again until it is there, and keeps its credit and "
    "its place meanwhile; Roboflow sends everything once (D14, D15), and gives credits back for "
    "pictures that are stored (D32)",
    ANNOTATED_DUPLICATE: "a picture that is there already gets its annotation, under the id that "
    "the server names; Roboflow sends none",
    COUNTED: "the server is asked how much a batch holds when it comes into use and once a minute, "
    "and our own pictures count at once, and alone where it cannot tell; Roboflow asks for each "
    "picture, loses it where the server cannot tell, and overshoots (D20)",
    MULTI_LABEL: "the predicted classes of a multi-label classification are sent as text, joined "
    "by commas; Roboflow uploads the picture and then fails (D10)",
    STORED_FRAME: "coordinates are those of the stored picture, each axis by its own factor; "
    "Roboflow divides by one factor, forgets keypoints and fails for masks (D5, D6, D7, D8)",
    ONE_PIXEL: "where a side of an extremely long picture truncates to nothing one pixel is left; "
    "Roboflow loses the picture with an error of OpenCV (D9)",
}

Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> list[list[Call]] | Refusal:
    """Return the requests of each frame, in the form of the recordings.

    Args:
        case: ``config``, ``prediction_type``, ``server`` and ``frames``.
    """
    try:
        return drive(case)
    except ConfigurationError as exc:
        fault = exc.faults[0]
        return Refusal(place=fault.path, message=fault.message)


def comparable(expected: Sequence[Mapping[str, Any]]) -> list[list[Call]]:
    """Return recorded requests as `answer` gives them, without the names of pictures."""
    return [in_order([_nameless(call) for call in frame["calls"]]) for frame in expected]


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    if refusals({"config": case["config"]}):
        return REFUSED
    return first_difference(case)


def follows(name: str, case: Case, given: Any) -> bool:
    """Tell whether an answer is the one that the deviations of a case demand, taken together."""
    if isinstance(given, Refusal):
        return name == REFUSED and bool(given.place)
    return bool(given == Replay(case=case, ours=True).run())


def explains(_name: str, case: Case, expected: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether recorded requests are those that Roboflow's rules lead to."""
    if refusals({"config": case["config"]}):
        return True
    return comparable(expected) == Replay(case=case, ours=False).run()


def _nameless(call: Call) -> Call:
    if call[0] != "ANNOTATE":
        return list(call)
    return [call[0], f"{call[1].rpartition('/')[0]}/{IMAGE}", *call[2:]]
