"""Run every block of every page in `docs/`, from top to bottom, in an empty directory.

What becomes of a block follows from its language, and from a comment on the line before it:

- ``python``: executed; the blocks of a page share their names.
- ``console``: each line after ``$ `` is run, and the lines below it are what it has to print;
  ``…`` stands for anything. Where there are none, it may print what it likes.
- ``bash``: run, and has to end with 0.
- ``yaml``: a configuration, or parts of one, which have to be valid with the rest as below.
- ``json``, ``toml``: parsed.
- ``mermaid``: the states that the build makes a table of; it fails on anything else.
- ``<!-- file: NAME -->``: written to that file, for commands further down.
- ``<!-- output -->``: what the block before has to have printed.
- ``<!-- not run: REASON -->``: nothing; `NOT_RUN` says how many there are.
- ``<!-- setup`` … ``-->``: commands that the reader need not see.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from al_framework.api import ConfigurationError
from al_framework.config.loading import load_configuration, read_document
from al_framework.host import PluginHost

pytestmark = pytest.mark.docs

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
NOT_RUN = {"performance.md": 1, "tutorial.md": 1}
LANGUAGES = {"python", "console", "bash", "yaml", "json", "toml", "mermaid"}
PART = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->$"
    r"|(?:^<!-- (?P<mark>[^>\n]+) -->\n)?^```(?P<language>[^\n`]+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
ENVIRONMENT = {
    "COLUMNS": "80",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "REPOSITORY": str(DOCS.parent),  # for setups only: the reader has none
    "ROBOFLOW_API_KEY": "a-key-of-nobody",
    "WEBHOOK_SECRET": "whsec_" + "QUJD" * 16,
}
REST = {
    "active_learning": {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
        "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
    },
    "sinks": [{"type": "directory", "path": "collected"}],
}


@dataclass(frozen=True, kw_only=True)
class Block:
    language: str
    text: str
    mark: str
    line: int


def blocks(page):
    """Return the blocks of a page; what the site takes from elsewhere is not among them."""
    content = (DOCS / page).read_text(encoding="utf-8")
    found = [
        Block(
            language="bash" if match["setup"] else match["language"],
            text=match["setup"] or match["text"],
            mark=match["mark"] or "",
            line=content.count("\n", 0, match.start("setup" if match["setup"] else "text")) + 1,
        )
        for match in PART.finditer(content)
    ]
    return [block for block in found if not block.language.startswith("{")]


def shell(command):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def lines_of(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def assert_printed(expected, printed):
    pattern = ".*".join(re.escape(part) for part in lines_of(expected).split("…"))
    assert re.fullmatch(pattern, lines_of(printed), re.DOTALL), f"{expected}\n--- is\n{printed}"


class Reader:
    """Does what a page says."""

    def __init__(self, page):
        self.page = page
        self.names = {"__name__": "page"}
        self.printed = ""

    def follow(self, block):
        kind, _, rest = block.mark.partition(": ")
        if kind == "file":
            Path(rest).parent.mkdir(parents=True, exist_ok=True)
            Path(rest).write_text(block.text, encoding="utf-8")
        elif kind == "output":
            assert_printed(block.text, self.printed)
        elif kind != "not run":
            assert block.language in LANGUAGES, f"{self.page}:{block.line}: nothing runs it"
            getattr(self, f"_{block.language}")(block)

    def _python(self, block):
        padded = "\n" * (block.line - 1) + block.text  # so that a traceback names the line
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            exec(compile(padded, f"docs/{self.page}", "exec"), self.names)  # noqa: S102 - our own page
        self.printed = stdout.getvalue()

    def _console(self, block):
        assert block.text.startswith("$ ")
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            self.printed = shell(command)
            if expected.strip():
                assert_printed(expected, self.printed)

    def _bash(self, block):
        self.printed = shell(block.text)

    def _yaml(self, block):
        given = YAML(typ="safe").load(block.text) or {}
        taken_from = "configuration" if "configuration" in given else "active_learning"
        rest = {k: v for k, v in REST.items() if k in (taken_from, "sinks")}
        Path("of-the-page.json").write_text(json.dumps({**rest, **given}), encoding="utf-8")
        load_configuration(read_document(Path("of-the-page.json")), PluginHost.discover())

    def _json(self, block):
        json.loads(block.text)

    def _toml(self, block):
        tomllib.loads(block.text)

    def _mermaid(self, block):
        assert block.text.startswith("stateDiagram-v2\n")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as Python does that is started there
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    # What is called `.venv` is active, and may take packages from `wheels` besides the index.
    monkeypatch.setenv("PATH", str(tmp_path / ".venv" / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    reader = Reader(page)

    for block in blocks(page):
        reader.follow(block)


def test_what_is_not_run_is_counted_and_has_a_reason():
    counted = {}
    for page in PAGES:
        marks = [block.mark for block in blocks(page) if block.mark.startswith("not run")]
        assert all(re.fullmatch(r"not run: \S.{10,}", mark) for mark in marks), page
        if marks:
            counted[page] = len(marks)

    assert counted == NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_no_block_escapes(page):
    content = (DOCS / page).read_text(encoding="utf-8")
    fences = re.findall(r"^[ >]*(?:```|~~~).*$", content, re.MULTILINE)
    found = [match for match in PART.finditer(content) if match["language"]]

    assert len(fences) == 2 * len(found)
    assert "{code" not in content  # a directive that shows code would not be seen here
    assert not re.search(r"\n\n    \S", re.sub(PART, "", content))  # nor would indented code


@pytest.mark.parametrize(
    ("language", "text", "error"),
    [
        ("python", "raise LookupError\n", LookupError),
        ("console", "$ echo one\ntwo\n", AssertionError),
        ("console", "$ exit 3\n", AssertionError),
        ("bash", "false\ntrue\n", AssertionError),
        ("yaml", "sinks: [{type: nowhere}]\n", ConfigurationError),
        ("yaml", "spool: {pth: spool}\n", ConfigurationError),
        ("json", "{\n", json.JSONDecodeError),
        ("toml", "=\n", tomllib.TOMLDecodeError),
        ("mermaid", "flowchart LR\n", AssertionError),
        ("text", "words\n", AssertionError),
    ],
)
def test_a_block_that_is_wrong_fails(language, text, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(error):
        Reader("wrong.md").follow(Block(language=language, text=text, mark="", line=1))


def test_output_that_differs_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = Reader("wrong.md")
    reader.follow(Block(language="python", text="print('one, two')\n", mark="", line=1))
    reader.follow(Block(language="text", text="one, …\n", mark="output", line=2))

    with pytest.raises(AssertionError):
        reader.follow(Block(language="text", text="three\n", mark="output", line=3))
