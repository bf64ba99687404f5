"""One key for a whole run, and the search for it once all tests have ended; a plugin of pytest.

Tests of whatever handles secrets take the fixture ``canary`` and use its key as theirs. When the
last test is over, all that lies below pytest's base directory (spools, logs, exports) is searched
for it, and so is all that the reports of the tests hold. A hit is an error at the last test's end.

With pytest-xdist every worker has a key and a base directory of its own, and searches those.
"""

import base64
import random
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

PIECE = 6  # as many characters in a row give the key away
# Every piece of this length holds it, so that little of what is searched needs a second look.
_MARK = "~_"
_GROUPS = 8
_RUN = 12  # of base64
_CHUNK = 1 << 24
_OVERLAP = 256


class Canary:
    """A key, and where it has got to.

    Args:
        rng: Makes the key.

    Attributes:
        key: The key; a header and an address can hold it.
    """

    def __init__(self, rng: random.Random) -> None:
        letters = string.ascii_letters + string.digits
        groups = ["".join(rng.choices(letters, k=PIECE - 1 - len(_MARK))) for _ in range(_GROUPS)]
        groups[_GROUPS // 2] = groups[0][:1] + "+" + groups[0][1:2]  # so that quoting changes it
        self.key = "".join(group + _MARK for group in groups)
        key = self.key.encode()
        self._pieces = {key[at : at + PIECE] for at in range(len(key) - PIECE + 1)}
        self._forms = _encoded(self.key)
        self._given: list[Path] = []
        self._told: list[str] = []

    def allow(self, path: Path) -> None:
        """Let a file, or all below a directory, hold the key: a test gives it to the product."""
        self._given.append(path)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Search what a test has printed, logged and complained about."""
        texts = {**dict(report.sections), "complaint": report.longreprtext}
        for name, text in texts.items():
            self._told += self._hit(f"{report.nodeid} ({name})", [text.encode(errors="replace")])

    def search(self, base: Path) -> list[str]:
        """Return a line for everything below a directory, and of the reports, that shows it."""
        hits = list(self._told)
        for path in sorted(base.rglob("*")):
            is_given = any(path.is_relative_to(given) for given in self._given)
            if path.is_file() and not path.is_symlink() and not is_given:
                hits += self._hit(str(path), _chunks(path))
        return hits

    def _hit(self, place: str, chunks: Iterable[bytes]) -> list[str]:
        shown = next(filter(None, map(self._shown, chunks)), None)
        return [] if shown is None else [f"{place} shows the canary's key as {shown.decode()!r}"]

    def _shown(self, data: bytes) -> bytes | None:
        at = data.find(_MARK.encode())
        while at >= 0:
            for start in range(max(0, at - PIECE + len(_MARK)), at + 1):
                if data[start : start + PIECE] in self._pieces:
                    return data[start : start + PIECE]
            at = data.find(_MARK.encode(), at + 1)
        return next((form for form in self._forms if form in data), None)


@pytest.fixture(scope="session")
def canary(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Canary]:
    """Return the key of this run."""
    canary = Canary(random.SystemRandom())
    pytestconfig.pluginmanager.register(canary)
    yield canary
    pytestconfig.pluginmanager.unregister(canary)
    hits = canary.search(tmp_path_factory.getbasetemp())
    if hits:
        pytest.fail("\n".join(hits), pytrace=False)


def _encoded(key: str) -> list[bytes]:
    forms = {quote(key, safe=""), quote_plus(key)}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(bytes(before) + key.encode()).decode()
            # Some letters at each end belong to the neighbours, too.
            forms |= {text[at : at + _RUN] for at in range(4, len(text) - 4 - _RUN, _RUN)}
    return [form.encode() for form in sorted(forms)]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        before = b""
        while data := file.read(_CHUNK):
            yield before + data
            before = data[-_OVERLAP:]
