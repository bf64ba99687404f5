import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from al_framework.assembly.masking import HIDDEN, Mask

KEY = 'k3y/with+odd "signs"&more'


@pytest.mark.parametrize(
    "spelt",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%26", "%26"),
        json.dumps(KEY)[1:-1],
        repr(KEY)[1:-1],
        html.escape(KEY),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_every_spelling(spelt):
    assert f"a {HIDDEN} b" == Mask([KEY])(f"a {spelt} b")


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user:"])
def test_what_base64_makes_of_a_secret_among_other_bytes_is_hidden(user):
    secret = "cAn4ry5ecretva1ue"
    spelt = base64.b64encode(f"{user}:{secret}:tail".encode()).decode()

    masked = Mask([secret])(f"Basic {spelt}")

    assert HIDDEN in masked
    left = base64.b64decode(masked.removeprefix("Basic ").split(HIDDEN)[0] + "====")
    assert secret[:3] not in left.decode("latin-1")


@pytest.mark.parametrize(
    ("secret", "text", "masked"),
    [
        ("Bearer abcdefgh1234", "got abcdefgh1234", "got ***"),
        ("redis://:hunter22@host:6379/0", "AUTH hunter22 failed", "AUTH *** failed"),
        ("redis://u:p%40ssword@host/0", "u:p%40ssword or p@ssword", "*** or ***"),
        ("redis://host:6379/0", "no host:6379 today", "no host:6379 today"),
        ("redis://u:p%40ssword@host/0", "unknown user u", "unknown user u"),
        ("redis://default@host/0", "the default user", "the default user"),
        ("https://t0kenvalue@host/0", "no t0kenvalue here", "no *** here"),
        ("https://hooks.example/services/T0/B1/xyz", "url: /services/T0/B1/xyz", "url: ***"),
        ("https://h.example/?token=abcdef", "sent token=abcdef", "sent ***"),
        ("  padded-secret\n", "padded-secret", "***"),
        ("http://[broken", "see http://[broken", "see ***"),
    ],
)
def test_what_is_secret_by_itself_is_hidden_by_itself(secret, text, masked):
    assert masked == Mask([secret])(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("token=abcdefgh12...", "token=***..."),
        ("'abcdefgh1234567…' and more", "'***…' and more"),
        ("abc…", "abc…"),
        ("wait...", "wait..."),
        ("abcd... abcdefgh12345678", "***... ***"),
    ],
)
def test_a_secret_that_was_cut_off_is_hidden_all_the_same(text, masked):
    assert masked == Mask(["abcdefgh12345678"])(text)


def test_secrets_too_short_to_be_told_from_words_stay():
    assert Mask(["abc", ""])("abc") == "abc"
    assert not Mask(["abc", ""])
    assert Mask(["abcd"])


def test_of_two_secrets_the_longer_one_is_hidden_first():
    assert Mask(["abcd", "abcdefgh"])("abcdefgh") == HIDDEN
