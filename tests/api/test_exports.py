import subprocess
import sys

import al_framework
from al_framework import api


def test_exports_are_sorted_and_exist():
    exported = api.__all__

    assert exported == sorted(exported, key=lambda name: (name.islower(), not name.isupper(), name))
    assert [name for name in exported if not hasattr(api, name)] == []


def test_nothing_public_is_missing_from_the_exports():
    public = {
        name
        for name, value in vars(api).items()
        if not name.startswith("_") and not isinstance(value, type(api))
    }

    assert public == set(api.__all__)


def test_root_package_imports_lazily():
    code = (
        "import sys, al_framework.api; "
        "print([m for m in sys.modules if m.startswith(('al_framework.pipeline', "
        "'al_framework.host', 'PIL', 'requests', 'rich', 'click'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_root_package_gives_its_public_names():
    for name in al_framework.__all__:
        assert getattr(al_framework, name) is not None


def test_root_package_refuses_an_unknown_name():
    try:
        al_framework.Nonsense  # noqa: B018 - the look-up is the test
    except AttributeError as exc:
        message = str(exc)

    assert message == "module 'al_framework' has no attribute 'Nonsense'"
