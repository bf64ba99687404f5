from typing import Annotated

import pytest
from pydantic import Field, SecretStr
from typing_extensions import TypeAliasType

from al_framework.api import Options
from al_framework.config.annotations import secret_places
from al_framework.config.paths import MISSING, format_path, look_up, parent_of, position


@pytest.mark.parametrize(
    ("path", "text", "parent"),
    [
        ((), "", ""),
        (("sinks",), "sinks", ""),
        (("sinks", 1, "path"), "sinks[1].path", "sinks[1]"),
        (("a", "b c"), "a['b c']", "a"),
        ((0,), "[0]", ""),
        (("k" * 100 + " ",), f"[{'k' * 60!r}]", ""),
    ],
)
def test_a_place_is_written_as_a_user_would(path, text, parent):
    assert text == format_path(path)
    assert parent == parent_of(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("a", 1, "b"), 5),
        (("a", 2), MISSING),
        (("a", "b"), MISSING),
        (("a", 1, "b", "c"), MISSING),
        (("a", 0, 0), MISSING),
    ],
)
def test_look_up_finds_what_is_there(path, value):
    assert value is look_up({"a": ["text", {"b": 5}]}, path)


def test_places_sort_as_in_the_file_and_what_is_missing_comes_last():
    data = {"b": [1, {"y": 1, "x": 2}], "a": 2}
    places = [("a",), ("b", 1, "x"), ("zz",), ("b",), ("b", 1, "nothing"), ("b", 1, "y"), ()]

    ordered = sorted(places, key=lambda place: position(data, place))
    expected = [(), ("b",), ("b", 1, "y"), ("b", 1, "x"), ("b", 1, "nothing"), ("a",), ("zz",)]
    assert expected == ordered


Key = TypeAliasType("Key", SecretStr)


class Pair(Options):
    keys: tuple[Key, int] = Field(description="A key and its number")
    more: Annotated[
        list[Annotated[SecretStr, Field(min_length=1)]] | None, Field(description="Others")
    ] = None


def test_secrets_are_found_behind_aliases_unions_and_tuples():
    found = secret_places(Pair, {"keys": ["a", 1], "more": ["b"], "other": ["c"]})

    assert {("keys", 0), ("more", 0)} <= found
    assert not any(place[0] == "other" for place in found)


@pytest.mark.parametrize(
    "key", ["a]", "[", "]", "a[b]c", "it's", 'say "x"', "a.b", "\\", "'\"]", "", "x\ny", "[0]"]
)
def test_the_parent_of_odd_keys_is_what_holds_them(key):
    path = format_path(("sinks", 1, key, 0))

    assert parent_of(path) == format_path(("sinks", 1, key))
    assert parent_of(parent_of(path)) == "sinks[1]"


def test_a_text_that_is_no_place_lies_in_the_whole_file():
    assert parent_of("a]") == ""
