"""A target of guided fuzzing that breaks in every way, which shows that each would be seen."""

import itertools

TOO_MUCH = 300 << 20


class Fuzzed:
    """What it does depends on the first letter of an input."""

    may_read = False
    seeds = (b"a",)
    words = (b"a", b"b")

    def __init__(self, root):
        self._elsewhere = root.parent / "elsewhere"

    def check(self, data):
        if data.startswith(b"x"):
            raise KeyError("planted")
        if data.startswith(b"WRITE"):
            self._elsewhere.write_text("planted")
        if data.startswith(b"GROW"):
            assert b"x" * TOO_MUCH
        if data.startswith(b"HANG"):
            for _ in itertools.count():
                pass
