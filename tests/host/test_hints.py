import pytest

from al_framework.host.hints import listing, nearest, suggestion


@pytest.mark.parametrize(
    ("name", "near"),
    [("sinsk", "sinks"), ("SINKS", "sinks"), ("path", None), ("", None), ("s" * 10_000, None)],
)
def test_the_nearest_name_is_found_whatever_its_case(name, near):
    assert near == nearest(name, ["sources", "sinks"])


def test_a_long_list_is_cut_short():
    assert listing("abcdefghijklmn").endswith("'k', 'l' and 2 more")


@pytest.mark.parametrize(
    ("name", "candidates", "text"),
    [
        ("pth", ["path"], "did you mean 'path'?"),
        ("x", ["path"], "known are: 'path'"),
        ("x", [], "known are: none"),
    ],
)
def test_a_suggestion_always_helps(name, candidates, text):
    assert text == suggestion(name, candidates, known="known are")


def test_of_names_that_differ_in_case_alone_it_is_always_the_same_one():
    assert nearest("camera", ["CAMERA", "Camera"]) == nearest("camera", ["Camera", "CAMERA"])
