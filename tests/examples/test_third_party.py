"""Strangers' plugins, installed as their authors would, take part in a real run."""

import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

pytestmark = pytest.mark.third_party

ROOT = Path(__file__).resolve().parents[2]
AL = str(Path(sys.executable).with_name("al"))
EXAMPLES = ROOT / "examples"


def al(*arguments, directory, **environment):
    return subprocess.run(
        [AL, *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def quickstart(tmp_path):
    source = EXAMPLES / "quickstart"
    target = tmp_path / "quickstart"
    target.mkdir()
    for name in ("al.yaml", "nanodet_416.onnx", "prepare.py"):
        shutil.copy2(source / name, target / name)
    subprocess.run([sys.executable, "prepare.py"], cwd=target, check=True, capture_output=True)
    return target


def with_entropy(quickstart):
    config = (quickstart / "al.yaml").read_text(encoding="utf-8")
    strategy = "    - {name: confused, type: entropy, minimum: 0.9}\n"
    (quickstart / "entropy.yaml").write_text(
        config.replace("  sampling_strategies:\n", f"  sampling_strategies:\n{strategy}"),
        encoding="utf-8",
    )
    return "entropy.yaml"


@pytest.fixture
def broken_entropy(tmp_path):
    """A module of the plugin's name that stands before the installed one, and raises."""
    directory = tmp_path / "broken"
    directory.mkdir()
    (directory / "al_framework_entropy.py").write_text("raise RuntimeError('half an update')\n")
    return str(directory)


def blocks(project, language):
    """Return what a project's README shows in a language."""
    readme = (EXAMPLES / project / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


def patched(text, diff):
    """Return a text after a diff that says by its own lines where it belongs."""
    before = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " -")
    after = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " +")
    assert text.count(before) == 1, f"the diff has to fit once:\n{before}"
    return text.replace(before, after)


def test_the_commands_of_the_quick_start_work(tmp_path):
    [commands] = blocks("quickstart", "console")
    kept = shutil.ignore_patterns("frames", "collected", ".al")
    directory = shutil.copytree(EXAMPLES / "quickstart", tmp_path / "quickstart", ignore=kept)
    path = f"{Path(AL).parent}{os.pathsep}{os.environ['PATH']}"
    for command in re.findall(r"^\$ (.*)$", commands, re.MULTILINE):
        subprocess.run(
            ["bash", "-euc", command],
            cwd=directory,
            env={**os.environ, "PATH": path},
            check=True,
            capture_output=True,
        )

    assert (directory / "collected" / "index.html").is_file()


@pytest.mark.parametrize("name", ["entropy", "sqlite-sink"])
def test_a_plugin_is_listed_with_distribution_and_version(name, tmp_path):
    done = al("plugins", "--json", directory=tmp_path)
    records = {record["name"]: record for record in json.loads(done.stdout)["plugins"]}

    assert done.returncode == 0, done.stderr
    assert records[name]["distribution"] == f"al-framework-{name}"
    assert records[name]["version"] == "0.1.0"
    assert {"adapters", "local", "onnx", "roboflow", "video"} <= set(records)


def test_the_sink_of_the_quick_start_is_swapped_by_three_lines(quickstart):
    [diff] = blocks("al-framework-sqlite-sink", "diff")
    [queries] = blocks("al-framework-sqlite-sink", "sql")
    config = quickstart / "al.yaml"
    config.write_text(patched(config.read_text(encoding="utf-8"), diff), encoding="utf-8")

    counts = json.loads(al("run", "--json", config.name, directory=quickstart).stdout)["counts"]
    with closing(sqlite3.connect(quickstart / "collected.db")) as database:
        pictures = database.execute("SELECT image, width, height FROM picture").fetchall()
        answers = [database.execute(query).fetchall() for query in queries.splitlines()]
        [(seen,)] = database.execute("SELECT count(DISTINCT item_id) FROM annotation").fetchall()

    assert len(diff.splitlines()) == 3
    assert not (quickstart / "collected").exists()
    assert len(pictures) == seen == counts["sinks"]["sqlite"]["delivered"] >= 15
    for image, width, height in pictures:
        assert Image.open(io.BytesIO(image)).size == (width, height)
    assert [bool(answer) for answer in answers] == [True, True]


def test_the_configuration_in_a_readme_is_valid(tmp_path):
    [part] = blocks("al-framework-entropy", "yaml")
    rest = {"sinks": [{"type": "sqlite", "path": "collected.db"}]}
    whole = {**YAML(typ="safe").load(part), **rest}
    (tmp_path / "al.json").write_text(json.dumps(whole), encoding="utf-8")

    done = al("check", "al.json", directory=tmp_path)

    assert done.returncode == 0, done.stderr


def test_the_plugin_decides_in_a_real_run(quickstart):
    done = al("run", "--json", with_entropy(quickstart), directory=quickstart)
    counts = json.loads(done.stdout)["counts"]
    lines = (quickstart / "collected/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    verdicts = [json.loads(line)["decision"]["verdicts"][0] for line in lines]

    assert done.returncode == 0, done.stderr
    assert counts["strategies"]["confused"]["evaluated"] == counts["offered"] > 0
    assert counts["strategies"]["confused"]["paid"] > 0
    assert {verdict["strategy"] for verdict in verdicts} == {"confused"}


def test_the_run_works_without_the_broken_plugin_and_names_it(quickstart, broken_entropy):
    done = al("run", "--json", "al.yaml", directory=quickstart, PYTHONPATH=broken_entropy)
    summary = json.loads(done.stdout)
    listed = al("plugins", directory=quickstart, PYTHONPATH=broken_entropy)

    assert done.returncode == 0, done.stderr
    assert summary["counts"]["accepted"] > 0
    assert any("'entropy'" in p and "half an update" in p for p in summary["problems"])
    assert listed.returncode == 1
    assert "half an update" in listed.stdout


def test_a_configuration_that_needs_the_broken_plugin_says_so(quickstart, broken_entropy):
    config = with_entropy(quickstart)
    done = al("run", config, directory=quickstart, PYTHONPATH=broken_entropy)

    assert done.returncode == 2
    assert "entropy" in done.stderr
    assert "half an update" in done.stderr
    assert "Traceback" not in done.stderr
