"""Which part of the package may import which: one way only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Each part with what it may import beside itself; a part of a later line is never imported by one of an earlier line.
TIERS: tuple[tuple[str, ...], ...] = (
    ("errors", "settings"),
    ("ledger",),
    ("artifacts",),
    ("lineage", "marquez.client"),
    ("stage",),
    ("video", "medallion", "reports"),
    ("proof",),
    ("operators", "panel", "stack", "cli"),
)
FAMILIES = {"video", "medallion", "reports"}
KNOW_AIRFLOW = {"operators", "panel", "stack"}
LEVEL = {part: level for level, tier in enumerate(TIERS) for part in tier}


def part_of(module: str) -> str:
    """The part that a module of include belongs to.

    >>> part_of("include.marquez.server.app"), part_of("include.video.plan"), part_of("include.marquez.client")
    ('marquez.server', 'video', 'marquez.client')
    """
    words = module.split(".")
    if words[1:2] == ["marquez"]:
        return ".".join(words[1:3]) if len(words) > 2 else "marquez"
    return words[1] if len(words) > 1 else ""


def imports(source: str) -> set[str]:
    """Every module that a source imports, at any depth of indentation, TYPE_CHECKING included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            # "from include import video" and "from include.marquez import client" name modules too.
            deeper = module in {"include", "include.marquez"}
            found |= {f"{module}.{name.name}" for name in node.names} if deeper else {module}
    return found


def breaches(module: str, source: str) -> list[str]:
    """What one module imports against the order."""
    own = part_of(module)
    wrong = []
    for imported in sorted(imports(source)):
        top = imported.split(".")[0]
        if top == "airflow" and own not in KNOW_AIRFLOW:
            wrong.append(f"{module} imports {imported}: only {', '.join(sorted(KNOW_AIRFLOW))} know Airflow")
        if top in {"dags", "plugins", "tests"}:
            wrong.append(f"{module} imports {imported}: nothing imports {top}")
        if top != "include" or part_of(imported) in {"", own}:
            continue
        other = part_of(imported)
        if own == "marquez.server":
            allowed = other in {"errors", "settings"}
        elif own in FAMILIES and other in FAMILIES:
            allowed = False
        else:
            # The embedded server may be started (by the command line), never used as a library.
            allowed = (own == "cli") if other == "marquez.server" else LEVEL[other] <= LEVEL[own]
        if not allowed:
            wrong.append(f"{module} imports {imported}")
    return wrong


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "include").rglob("*.py"))
}


def test_every_part_has_its_place_in_the_order() -> None:
    parts = {part_of(module) for module in MODULES} - {"", "marquez", "marquez.server"}
    assert parts - set(LEVEL) == set()


@pytest.mark.parametrize("part", sorted({part_of(module) for module in MODULES}))
def test_imports_go_one_way(part: str) -> None:
    wrong = [
        breach
        for module, path in MODULES.items()
        if part_of(module) == part
        for breach in breaches(module, path.read_text())
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["dags", "plugins"])
def test_nothing_imports_a_dag_or_a_plugin(folder: str) -> None:
    wrong = [
        path.name
        for path in (ROOT / folder).glob("*.py")
        if {name.split(".")[0] for name in imports(path.read_text())} & {"dags", "plugins", "tests"}
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("include.video.plan", "from include.reports import render"),
        ("include.video.plan", "def f():\n    from include.medallion.layers import x"),
        ("include.ledger.jobs", "from include.artifacts.store import Store"),
        ("include.artifacts.store", "from include import lineage"),
        ("include.stage.work", "import airflow.sdk"),
        ("include.marquez.server.app", "from include.ledger.session import engine"),
        ("include.proof.trace", "from include.marquez.server import app"),
        ("include.lineage.events", "from include.stage import work"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert len(breaches(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("include.video.plan", "from include.stage import work\nfrom include.errors import InvalidInput"),
        ("include.stage.work", "from include.marquez import client"),
        ("include.operators.stage", "from airflow.sdk import BaseOperator"),
        ("include.cli.lineage_server", "from include.marquez.server import app"),
        ("include.marquez.server.app", "from include.settings import settings"),
    ],
)
def test_what_the_order_allows_is_no_breach(module: str, source: str) -> None:
    assert breaches(module, source) == []
