from pathlib import Path

import pytest
from click.testing import CliRunner

import al_framework_local
import al_framework_roboflow
from al_framework.cli.check import check
from al_framework.cli.init import init
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost


@pytest.fixture
def host():
    return PluginHost.without_discovery(
        {"local": al_framework_local, "roboflow": al_framework_roboflow}
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(init, arguments)


@pytest.mark.parametrize("file", ["first.yaml", "first.toml"])
@pytest.mark.parametrize("sink", ["directory", "null"])
@pytest.mark.parametrize("images", ["images", 'a "b": #c', "Bücher 😀"])
def test_the_file_passes_al_check(run, host, file, sink, images):
    Path(images).mkdir()
    written = run(file, "--sink", sink, "--images", images)
    checked = CliRunner().invoke(check, [file], obj={"host": host})
    configuration = load_configuration(read_document(file), host)

    assert written.stdout == f"{file}: written; next: al check {file}\n"
    assert checked.exit_code == 0, checked.output
    assert [sink] == [entry.type_name for entry in configuration.sinks]
    assert images == configuration.sources[0].options.path
    assert [strategy.entry.name for strategy in configuration.strategies] == ["sample"]


def test_what_is_commented_out_is_right_as_well(run, host, tmp_path):
    run()
    lines = (tmp_path / "al.yaml").read_text().splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if "# - name: unsure" in line)
    lines[start : start + 5] = [line.replace("# ", "", 1) for line in lines[start : start + 5]]
    (tmp_path / "al.yaml").write_text("".join(lines))
    configuration = load_configuration(read_document("al.yaml"), host)

    assert [each.entry.name for each in configuration.strategies] == ["unsure", "sample"]


def test_what_is_commented_out_is_right_as_toml_as_well(run, host, tmp_path):
    run("al.toml")
    text = (tmp_path / "al.toml").read_text()
    start, end = text.index("# [[active"), text.index("\n[[active")
    part = "\n".join(line.removeprefix("# ") for line in text[start:end].splitlines())
    (tmp_path / "al.toml").write_text(text[:start] + part + "\n" + text[end:])
    configuration = load_configuration(read_document("al.toml"), host)

    assert [each.entry.name for each in configuration.strategies] == ["unsure", "sample"]


def test_both_formats_say_the_same(run, host):
    run("al.yaml")
    run("al.toml")
    hashes = {
        load_configuration(read_document(name), host).configuration_hash
        for name in ("al.yaml", "al.toml")
    }

    assert len(hashes) == 1


def test_an_existing_file_is_not_replaced(run, tmp_path):
    (tmp_path / "al.yaml").write_text("mine")
    result = run()

    assert result.exit_code == 1
    assert "al.yaml: exists already: pass --force to replace it" in result.stderr
    assert (tmp_path / "al.yaml").read_text() == "mine"


def test_force_replaces_it(run, tmp_path):
    (tmp_path / "al.yaml").write_text("mine")
    result = run("--force")

    assert result.exit_code == 0
    assert "sampling_strategies" in (tmp_path / "al.yaml").read_text()


def test_another_suffix_is_refused(run):
    result = run("al.json")

    assert result.exit_code == 2
    assert "'al.json' should end in .yaml or .toml" in result.stderr


def test_a_file_that_cannot_be_written_is_reported(run):
    result = run("missing/al.yaml")

    assert result.exit_code == 1
    assert "missing/al.yaml: cannot be written: No such file or directory" in result.stderr
