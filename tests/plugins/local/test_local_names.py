import re

import pytest

from al_framework_local.names import picture_name, printable, slug

KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("frame_id", "stem"),
    [
        ("cam/site 3/img_7.png", "img_7"),
        ("cam/clip.mp4#40", "clip.mp4-40"),
        ("../../etc/passwd", "passwd"),
        ("cam/..", "image"),
        ("cam/.hidden.jpg", "hidden"),
        ("", "image"),
        ("///", "image"),
        ("a\x00b\n\u202ec", "a-b-c"),
        ("C:\\temp\\x.jpg", "C-temp-x"),
        ("cam/con.jpg", "image-con"),
        ("NUL", "image-NUL"),
        ("日本", "image"),
        ("x" * 300, "x" * 80),
        ("-rf.jpg", "rf"),
    ],
)
def test_a_picture_is_named_safely_after_its_frame(frame_id, stem):
    name = picture_name(frame_id, KEY)

    assert f"{stem}-01234567.jpg" == name
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,92}", name)


def test_more_digits_of_the_key_can_be_asked_for():
    assert f"a-{KEY}.jpg" == picture_name("a", KEY, digits=64)


def test_a_hostile_key_is_made_safe():
    assert picture_name("a", "../../x") == "a-x.jpg"
    assert picture_name("a", "") == "a-0.jpg"


def test_a_slug_of_nothing_is_the_given_word():
    assert slug("???", empty="class") == "class"


def test_disturbing_characters_are_replaced_and_others_kept():
    assert printable("é 日本 😀") == "é 日本 😀"
    assert printable("a\nb\u202ec\udc80\u2028") == "a\ufffdb\ufffdc\ufffd\ufffd"
    assert printable("a\u00a0b\n") == "a\u00a0b\ufffd"
