"""What holds for a component of any kind."""

import functools
import re
import subprocess
import sys
from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_args

import pydantic
from pydantic import SecretBytes, SecretStr

from al_framework.api import Component
from al_framework.host.checking import component_faults
from al_framework.testing._checks import check, secrets_of
from al_framework.testing._threads import run_in_time
from al_framework.testing._watching import HEAVY_PACKAGES
from al_framework.testing.fakes import make_context

ComponentT = TypeVar("ComponentT", bound=Component[Any])

_UNKNOWN = "an_option_that_nobody_has"
_CLOSE_LIMIT_S = 60.0
_SECRETS = (SecretStr, SecretBytes)
# How options that hold a secret are called, alone or at the end of a name.
_SECRET_NAME = re.compile(r"(.*_)?(api_?key|password|passwd|secret|(access|auth|api)_token)")
# A module of a test suite can have no importable name, so its file is the second try.
_IMPORT = """
import importlib, importlib.util, sys
name, path, heavy = sys.argv[1:4]
sys.path[:] = sys.argv[4:]
try:
    importlib.import_module(name)
except ModuleNotFoundError as exc:
    if exc.name is None or name.partition(".")[0] != exc.name.partition(".")[0]:
        raise
    spec = importlib.util.spec_from_file_location("component_under_test", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(",".join(package for package in heavy.split(",") if package in sys.modules))
"""


class ComponentContract(ABC, Generic[ComponentT]):
    """What holds for a component of any kind; subclass the contract of its kind instead.

    The host accepts the class; unknown options are refused, and secrets are hidden; `close` is safe
    without `start`, twice, and on another thread; the module imports no heavy package.

    Attributes:
        component: The class under test.
        options: Options that are valid and sufficient, as a user would write them.
    """

    component: type[ComponentT]
    options: ClassVar[Mapping[str, object]] = {}
    _kind: ClassVar[str]
    # Of the instance, which is a new one for each check: what `prepare` gave, by directory.
    _prepared_in: dict[Path, Mapping[str, object]] | None = None

    def prepare(self, directory: Path) -> Mapping[str, object]:
        """Lay out in an empty directory what the component needs; return options for it.

        It is called once for a directory, before anything else is written there. The default is
        `options`. The directory is also where relative paths start.
        """
        del directory
        return self.options

    def build(self, directory: Path, options: Mapping[str, object] | None = None) -> ComponentT:
        """Return an instance as the host builds it, not started."""
        if options is None:
            options = self._prepared(directory)
        validated = self.component.Options(**options)
        return self.component(validated, make_context(directory))

    def test_host_accepts_the_class(self) -> None:
        """Whether type name, options and methods are what the host and users can work with."""
        faults = component_faults(self._kind, self.component)
        check(not faults, "; ".join(faults))

    def test_unknown_options_are_refused(self, tmp_path: Path) -> None:
        """Whether a slip of the pen is found before the first frame."""
        options = {**self._prepared(tmp_path), _UNKNOWN: 1}
        try:
            self.component.Options(**options)
        except pydantic.ValidationError:
            return
        check(False, "an unknown option is accepted: derive the options from al_framework.api")

    def test_secrets_are_hidden(self, tmp_path: Path) -> None:
        """Whether a key can show up in a log or a message: hold it in `pydantic.SecretStr`."""
        options = self._prepared(tmp_path)
        made = self.component.Options(**options)
        for name, field in type(made).model_fields.items():
            bare = _SECRET_NAME.fullmatch(name) and not _holds_secrets(field.annotation)
            check(not bare, f"option {name!r} is no secret: make it a pydantic.SecretStr")
        try:
            self.component.Options(**{**options, _UNKNOWN: 1})
        except pydantic.ValidationError as exc:
            shown = f"{exc} {made!r} {made}"
        else:
            shown = f"{made!r} {made}"
        told = [secret for secret in secrets_of(made) if secret in shown]
        check(not told, "the options show a secret: derive them from al_framework.api.Options")

    def test_close_is_safe_without_start(self, tmp_path: Path) -> None:
        """Whether a run that ends before it begins ends cleanly."""
        self.build(tmp_path).close()

    def test_close_is_safe_twice(self, tmp_path: Path) -> None:
        """Whether closing again does nothing."""
        component = self.build(tmp_path)
        component.start()
        component.close()
        component.close()

    def test_close_works_on_another_thread(self, tmp_path: Path) -> None:
        """Whether the end of a run can close it: that is done on a thread of its own."""
        component = self.build(tmp_path)
        component.start()
        self._close(component)

    def test_module_imports_no_heavy_package(self) -> None:
        """Whether commands that never use the component stay fast: import such in `start`."""
        name = self.component.__module__
        path = getattr(sys.modules[name], "__file__", None) or ""
        found, error = _heavy_imports(name, path, tuple(sys.path))
        check(error is None, f"module {name!r} does not import: {error}")
        check(not found, f"importing module {name!r} imports {found}: do that in start()")

    @staticmethod
    def _close(component: Component[Any]) -> None:
        """Close as the host does: on another thread."""

        def close() -> None:
            try:
                component.close()
            except Exception as exc:
                raise AssertionError(
                    f"close fails with {exc!r}: it has to work on another thread than start"
                ) from exc

        run_in_time(close, limit_s=_CLOSE_LIMIT_S, what="close")

    def _prepared(self, directory: Path) -> Mapping[str, object]:
        """Return the options that `prepare` gives, which finds the directory empty."""
        if self._prepared_in is None:
            self._prepared_in = {}
        if directory not in self._prepared_in:
            self._prepared_in[directory] = self.prepare(directory)
        return self._prepared_in[directory]


@functools.cache  # several contracts look at the same module, and each look is a process
def _heavy_imports(name: str, path: str, search: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the heavy packages that a module imports, and why it cannot be imported, or None."""
    command = [sys.executable, "-c", _IMPORT, name, path, ",".join(HEAVY_PACKAGES), *search]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own code
    return done.stdout.strip(), done.stderr[-500:] if done.returncode else None


def _holds_secrets(annotation: object) -> bool:
    parts = get_args(annotation)
    return annotation in _SECRETS or any(_holds_secrets(part) for part in parts)
