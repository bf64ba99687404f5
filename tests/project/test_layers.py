"""Who may import whom; DESIGN: layers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each part of the core may import of al_framework; the version may be read by all.
ALLOWED = {
    "api": {"api"},
    "host": {"api", "host"},
    "config": {"api", "host", "config"},
    "pipeline": {"api", "pipeline"},
    "testing": {"api", "host", "config", "pipeline", "assembly", "testing"},
    "assembly": {"api", "host", "config", "pipeline", "assembly"},
    "collector": {"api", "host", "config", "pipeline", "assembly", "collector"},
    "metrics": {"api", "metrics"},
    "cli": {"api", "host", "config", "pipeline", "assembly", "collector", "metrics", "cli"},
}

# Users of the host rather than parts of it; DESIGN: applications.
APPLICATIONS = {
    f"al_framework_roboflow.{name}"
    for name in (
        "conformance",
        "inference_plugin",
        "pool",
        "server",
        "step",
        "workflow",
    )
}
PUBLIC = {"api", "testing", "Collector", "RecentImages", "document_faults", "started_components"}


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            found.add(f"relative import in {path.name}")
    return found


def core_files() -> list[Path]:
    return sorted((ROOT / "al_framework").rglob("*.py"))


def plugin_files() -> list[Path]:
    return sorted((ROOT / "plugins").rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT / "al_framework").parts[0].removesuffix(".py")


def breaches(modules: set[str], allowed: set[str]) -> list[str]:
    parts = {m: m.split(".") for m in modules if m.split(".")[0] == "al_framework"}
    return sorted(
        m for m, p in parts.items() if len(p) < 2 or p[1] not in {*allowed, "__version__"}
    )


@pytest.mark.parametrize("path", core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_module_imports_only_its_lower_layers(path):
    if path == ROOT / "al_framework" / "__init__.py":
        return
    modules = imported_modules(path)

    assert breaches(modules, ALLOWED[layer_of(path)]) == []
    assert not [m for m in modules if m.startswith(("al_framework_", "plugins", "relative"))]


def is_application(module: str) -> bool:
    return ".".join(module.split(".")[:2]) in APPLICATIONS


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts)


@pytest.mark.parametrize("path", plugin_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_plugin_imports_the_api_alone_and_applications_the_public_names(path):
    modules = imported_modules(path)
    own = path.relative_to(ROOT / "plugins").parts[0]
    strangers = {m for m in modules if m.startswith("al_framework_") and m.split(".")[0] != own}
    allowed = PUBLIC if is_application(module_name(path)) else {"api"}

    assert breaches(modules, allowed) == []
    assert strangers == set()


@pytest.mark.parametrize("path", plugin_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_component_needs_an_application(path):
    if is_application(module_name(path)):
        return

    assert {m for m in imported_modules(path) if is_application(m)} == set()


def test_the_layer_test_sees_a_breach():
    assert breaches({"al_framework.host.plugins", "numpy"}, {"api"}) == [
        "al_framework.host.plugins"
    ]


def test_every_layer_of_the_table_exists():
    existing = {layer_of(path) for path in core_files()} - {"__init__"}

    assert existing == set(ALLOWED)
