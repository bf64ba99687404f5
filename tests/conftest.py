"""What an error can be made to say, for the tests that no secret is in it."""

import traceback
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(scope="session")
def texts_of() -> Callable[[BaseException], Iterator[str]]:
    """Return a function that tells what an error, all that led to it, and our own frames say."""

    def texts_of(error: BaseException) -> Iterator[str]:
        chain: list[BaseException] = []
        waiting: list[BaseException | None] = [error]
        while waiting:
            exc = waiting.pop()
            if exc is not None and exc not in chain:
                chain.append(exc)
                waiting += [exc.__cause__, exc.__context__]
        for exc in chain:
            yield from (str(exc), repr(exc), repr(exc.args), repr(vars(exc)))
            found = traceback.TracebackException.from_exception(exc, capture_locals=True)
            yield from (repr(f.locals) for f in found.stack if "al_framework" in f.filename)
            yield "".join(traceback.format_exception(exc))

    return texts_of
