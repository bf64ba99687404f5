"""Nothing that plugins may use is taken away: what `v1_0/surface.json` lists is there, and fits.

`python tests/compat/test_surface.py` prints the surface of today, for the file of a new version.
"""

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from al_framework import api
from al_framework.api import http

FROZEN = Path(__file__).parent / "v1_0" / "surface.json"
_ACCEPTED = {  # what a call may pass, by the kind of parameter
    inspect.Parameter.POSITIONAL_ONLY: "position",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
}


def surface(*modules):
    """Return every public name with what can be called, and what can be read of it."""
    return {
        f"{module.__name__}.{name}": described(getattr(module, name))
        for module in modules
        for name in module.__all__
    }


def described(value) -> dict[str, Any]:
    if not inspect.isclass(value):
        return {"call": parameters(value)} if callable(value) else {}
    members = (
        {field.name: {} for field in dataclasses.fields(value)}
        if dataclasses.is_dataclass(value)
        else {}
    )
    for name in dir(value):
        # What a component or an error has of object or BaseException is Python's business.
        owner = next((base for base in value.__mro__ if name in vars(base)), object)
        if name.startswith("_") or not owner.__module__.startswith("al_framework"):
            continue
        member = inspect.getattr_static(value, name)
        if isinstance(member, staticmethod | classmethod):
            member = member.__func__
        members[name] = {"call": parameters(member)} if inspect.isfunction(member) else {}
    return {
        "call": parameters(value),
        "members": members,
        "bases": [base.__name__ for base in value.__mro__[1:] if base.__name__ in api.__all__],
        "abstract": sorted(getattr(value, "__abstractmethods__", ())),
    }


def parameters(function):
    """Return the parameters by name, in order; None for what has no signature."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return {
        each.name: [_ACCEPTED[each.kind], each.default is each.empty]
        for each in found
        if each.kind in _ACCEPTED and each.name not in {"self", "cls"}
    }


def losses(before, now):
    """Return what somebody who wrote against one surface misses in another."""
    found = []
    for name, old in before.items():
        if name not in now:
            found.append(f"{name} is gone")
            continue
        new = now[name]
        found += call_losses(name, old.get("call"), new.get("call"))
        found += [f"{name} is no {base} any more" for base in missing(old, new, "bases")]
        found += [
            f"{name}.{method} has to be written now" for method in missing(new, old, "abstract")
        ]
        for member, described_before in old.get("members", {}).items():
            if member not in new.get("members", {}):
                found.append(f"{name}.{member} is gone")
                continue
            after = new["members"][member]
            found += call_losses(
                f"{name}.{member}", described_before.get("call"), after.get("call")
            )
    return found


def missing(one, other, key):
    return [each for each in one.get(key, ()) if each not in other.get(key, ())]


def call_losses(name, before, now):
    if before is None:
        return []
    if now is None:
        return [f"{name} cannot be called any more"]
    found = []
    for parameter, (accepted, _) in before.items():
        if parameter not in now:
            found.append(f"{name} does not take {parameter} any more")
        elif now[parameter][0] not in {accepted, "either"}:
            found.append(f"{name} takes {parameter} by {now[parameter][0]} only")
        elif now[parameter][1] and not before[parameter][1]:
            found.append(f"{name} needs {parameter} now")
    found += [
        f"{name} needs {parameter} now"
        for parameter, (_, needed) in now.items()
        if needed and parameter not in before
    ]
    places = [each for each, (how, _) in now.items() if how != "keyword"]
    kept = [each for each, (how, _) in before.items() if how != "keyword" and each in places]
    if places[: len(kept)] != kept:
        found.append(f"{name} takes its arguments in another order")
    return found


def test_nothing_of_1_0_is_gone():
    assert losses(json.loads(FROZEN.read_text()), surface(api, http)) == []


def test_the_frozen_surface_is_not_a_small_one():
    frozen = json.loads(FROZEN.read_text())

    assert len(frozen) > 60
    assert "deliver" in frozen["al_framework.api.Sink"]["abstract"]
    assert frozen["al_framework.api.Verdict"]["call"]["match"] == ["keyword", True]
    assert "logger" in frozen["al_framework.api.Context"]["members"]


class Before:
    def __init__(self, first, second=1, *, third=2):
        self.first, self.second, self.third = first, second, third

    def work(self, frame):
        return frame


BEFORE = {"Name": {**described(Before), "members": {"work": {"call": {"frame": ["either", True]}}}}}


def changed(*, call=None, work=None, **more):
    entry = {**BEFORE["Name"], **more}
    if call is not None:
        entry["call"] = call
    if work is not None:
        entry["members"] = work
    return {"Name": entry}


FIRST, SECOND, THIRD = (
    {"first": ["either", True]},
    {"second": ["either", False]},
    {"third": ["keyword", False]},
)


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        ({}, "Name is gone"),
        (changed(call={**SECOND, **THIRD}), "Name does not take first any more"),
        (changed(call={**FIRST, **SECOND}), "Name does not take third any more"),
        (
            changed(call={**FIRST, "second": ["keyword", False], **THIRD}),
            "Name takes second by keyword only",
        ),
        (changed(call={**FIRST, "second": ["either", True], **THIRD}), "Name needs second now"),
        (
            changed(call={**FIRST, **SECOND, **THIRD, "fourth": ["keyword", True]}),
            "Name needs fourth now",
        ),
        (changed(call={**SECOND, **FIRST, **THIRD}), "Name takes its arguments in another order"),
        (
            changed(call={**FIRST, "between": ["either", False], **SECOND, **THIRD}),
            "Name takes its arguments in another order",
        ),
        (changed(abstract=["work"]), "Name.work has to be written now"),
        (changed(work={}), "Name.work is gone"),
        (changed(work={"work": {}}), "Name.work cannot be called any more"),
        (changed(work={"work": {"call": {}}}), "Name.work does not take frame any more"),
    ],
)
def test_what_is_taken_away_is_seen(now, lost):
    assert losses(BEFORE, now) == [lost]


def test_a_base_that_is_taken_away_is_seen():
    before = {"Name": {"bases": ["SinkError"]}}

    assert losses(before, {"Name": {"bases": []}}) == ["Name is no SinkError any more"]


@pytest.mark.parametrize(
    "now",
    [
        BEFORE,
        {**BEFORE, "Other": {}},
        changed(call={**FIRST, **SECOND, **THIRD, "fourth": ["keyword", False]}),
        changed(call={**FIRST, **SECOND, "third": ["either", False]}),
        changed(call={"first": ["either", False], **SECOND, **THIRD}),
        changed(work={"work": {"call": {"frame": ["either", True]}}, "more": {}}),
    ],
)
def test_what_is_added_is_no_loss(now):
    assert losses(BEFORE, now) == []


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(of)}" for name, of in surface(api, http).items()]
    print("{\n" + ",\n".join(lines) + "\n}")  # noqa: T201 - what it is for
