"""`--verbose` says more with each repetition, on the standard error alone."""

import subprocess
import sys
from pathlib import Path

import pytest

AL = Path(sys.executable).with_name("al")


@pytest.mark.parametrize(
    ("switches", "said"), [([], False), (["--verbose"], False), (["-vv"], True)]
)
def test_what_is_loaded_is_said_to_those_who_ask_twice(switches, said, tmp_path):
    done = subprocess.run(
        [AL, *switches, "plugins", "show", "random"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert said == ("plugin 'local' of al-framework" in done.stderr)
    assert done.stdout.startswith("strategy random\n")
