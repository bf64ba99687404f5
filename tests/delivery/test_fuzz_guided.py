"""A fuzzer that sees how far it comes looks for inputs that raise anything but our own errors.

It finds what no drawn value would: each input that reaches new lines of ours is the seed of others.
In CI it takes some thousand inputs of each kind, with ``AL_TEST_SIZE=full`` two minutes, and half
an hour before a release. `test_fuzz_inputs` and `test_fuzz_peers` draw such values, too.
"""

import base64
import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="guided fuzzing needs atheris: run pip install atheris")

RUNS = {"pictures": 5_000, "group_files": 2_000, "configurations": 2_000, "answers": 5_000}
HANG_S = 600.0  # to load everything, beyond what fuzzing takes
CAP_S = 30  # in CI, as some pictures take half a second
# Of inputs, and of branches that they reach: the seeds alone reach more, if they are looked for.
FEW = 100


@pytest.fixture
def guided(start_child, tmp_path):
    """Run the fuzzer; return how it ended, and what it said."""

    def run(target, *options, hang_s=HANG_S):
        process = start_child("guided", target, tmp_path, *options)
        said = "\n".join(process.communicate(timeout=hang_s))
        lines = [line for line in said.splitlines() if not line.startswith("INFO: Instr")]
        return process.returncode, "\n".join(lines)

    return run


@pytest.mark.parametrize("target", RUNS)
def test_no_input_raises_anything_but_our_own_errors(guided, size, seed, target):
    lasts_s = size.pick(ci=CAP_S, full=120, soak=1800)
    runs = size.pick(ci=RUNS[target], full=-1, soak=-1)  # -1: as many as there is time for
    options = (f"-runs={runs}", f"-max_total_time={lasts_s}", f"-seed={seed or 1}")
    code, said = guided(target, *options, hang_s=HANG_S + lasts_s)

    assert code == 0, said
    done, branches = map(int, re.findall(r"#(\d+)\s+DONE\s+cov: (\d+)", said)[-1])
    assert min(done, branches) > FEW


def test_what_is_found_is_shown_and_can_be_repeated(guided, seed):
    code, said = guided("planted", "-runs=1000000", f"-seed={seed or 1}")
    command = shlex.split(re.findall("repeat with: (.*)", said)[0])
    shown = base64.b64decode(re.findall("base64 of that file: (.*)", said)[0])
    again, said_again = guided("planted", command[-1])

    assert code != 0
    assert again == code
    assert "KeyError: 'planted'" in said
    assert "KeyError: 'planted'" in said_again
    assert shown.startswith(b"x")
    assert shown == Path(command[-1]).read_bytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("WRITE", "elsewhere"),
        ("GROW", "KiB for one input"),
        ("HANG", "ALARM: working on the last Unit"),
    ],
)
def test_files_memory_and_time_are_watched(guided, tmp_path, data, words):
    file = tmp_path / "input"
    file.write_text(data)
    code, said = guided("planted", "-timeout=1", file)

    assert code != 0
    assert words in said
