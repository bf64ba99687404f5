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
from al_framework.testing._checks import check, secrets_of
from al_framework.testing._watching import HEAVY_PACKAGES
from al_framework.testing.fakes import make_context

ComponentT = TypeVar("ComponentT", bound=Component[Any])

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED = frozenset({"name", "type", "tags", "limits", "applies_to"})
_UNKNOWN = "an_option_that_nobody_has"
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

    The type's name is valid; options are described, unknown ones are refused, and secrets are
    hidden; `close` is safe without `start`, and twice; the module imports no heavy package.

    Attributes:
        component: The class under test.
        options: Options that are valid and sufficient, as a user would write them.
    """

    component: type[ComponentT]
    options: ClassVar[Mapping[str, object]] = {}

    def prepare(self, directory: Path) -> Mapping[str, object]:
        """Lay out in an empty directory what the component needs; return options for it.

        The default is `options`. The directory is also where relative paths start.
        """
        del directory
        return self.options

    def build(self, directory: Path, options: Mapping[str, object] | None = None) -> ComponentT:
        """Return an instance as the host builds it, not started."""
        if options is None:
            options = self.prepare(directory)
        validated = self.component.Options(**options)
        return self.component(validated, make_context(directory))

    def test_type_name_is_valid(self) -> None:
        """Whether users can write the type in a configuration."""
        name = getattr(self.component, "type_name", None)
        check(
            isinstance(name, str) and _TYPE_NAME.fullmatch(name),
            f"type_name is {name!r}: it has to match {_TYPE_NAME.pattern}",
        )

    def test_every_option_is_described(self) -> None:
        """Whether schema and help say what each option means."""
        for name, field in self.component.Options.model_fields.items():
            check(field.description, f"option {name!r} has no description: add description=")
            check(name not in _RESERVED, f"option {name!r} belongs to the host: rename it")

    def test_unknown_options_are_refused(self, tmp_path: Path) -> None:
        """Whether a slip of the pen is found before the first frame."""
        options = {**self.prepare(tmp_path), _UNKNOWN: 1}
        try:
            self.component.Options(**options)
        except pydantic.ValidationError:
            return
        check(False, "an unknown option is accepted: derive the options from al_framework.api")

    def test_secrets_are_hidden(self, tmp_path: Path) -> None:
        """Whether a key can show up in a log or a message: hold it in `pydantic.SecretStr`."""
        options = self.prepare(tmp_path)
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

    def test_module_imports_no_heavy_package(self) -> None:
        """Whether commands that never use the component stay fast: import such in `start`."""
        name = self.component.__module__
        path = getattr(sys.modules[name], "__file__", None) or ""
        found, error = _heavy_imports(name, path, tuple(sys.path))
        check(error is None, f"module {name!r} does not import: {error}")
        check(not found, f"importing module {name!r} imports {found}: do that in start()")


@functools.cache  # several contracts look at the same module, and each look is a process
def _heavy_imports(name: str, path: str, search: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the heavy packages that a module imports, and why it cannot be imported, or None."""
    command = [sys.executable, "-c", _IMPORT, name, path, ",".join(HEAVY_PACKAGES), *search]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own code
    return done.stdout.strip(), done.stderr[-500:] if done.returncode else None


def _holds_secrets(annotation: object) -> bool:
    parts = get_args(annotation)
    return annotation in _SECRETS or any(_holds_secrets(part) for part in parts)
