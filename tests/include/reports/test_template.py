"""Templates: strict, sandboxed, escaped, and versioned by their own bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from include.errors import InvalidInput, QualityGateFailed
from include.reports.template import FOLDER, NAMES, SHARED, Template, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the templates that a test may change."""
    return Path(shutil.copytree(FOLDER, tmp_path / "templates"))


@pytest.mark.parametrize(
    "changed", ["lead_audit/page.html", "lead_audit/page.css", "shared/marks.html", "shared/frame.css"]
)
def test_a_changed_file_is_another_version(folder: Path, changed: str) -> None:
    before = load("lead_audit", folder)
    path = folder / changed
    path.write_text(path.read_text() + "\n")
    after = load("lead_audit", folder)
    assert after.version == before.version
    assert after.sha256 != before.sha256
    assert after.version_id != before.version_id


def test_other_templates_files_do_not_count(folder: Path) -> None:
    before = load("lead_audit", folder)
    (folder / "dossier" / "page.css").write_text("p { color: red }")
    assert load("lead_audit", folder).version_id == before.version_id


def test_every_folder_is_a_declared_template() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == sorted([*NAMES, SHARED])


@pytest.mark.parametrize("name", ["../lead_audit", "shared", ""])
def test_only_declared_names_exist(name: str) -> None:
    with pytest.raises(InvalidInput, match="does not exist; there are lead_audit, dossier"):
        load(name)


def test_a_declaration_without_a_number_is_refused(folder: Path) -> None:
    (folder / "dossier" / "template.json").write_text('{"name": "dossier", "title": "x", "version": "1.0"}')
    with pytest.raises(InvalidInput, match=r"templates/dossier/template.json: name, version"):
        load("dossier", folder)


def small(source: str) -> Template:
    """Return a template of one page."""
    files = {"shared/frame.css": "", "lead_audit/page.css": "", "lead_audit/page.html": source}
    return Template("lead_audit", "1.0.0", "Test", "0" * 64, files)


class Secret:
    """Something a template must not be able to use."""

    def destroy(self) -> str:
        return "destroyed"


@pytest.mark.parametrize(
    "source",
    [
        "{{ view.name.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ ''.__class__ }}",
        "{{ view.update({'a': 1}) }}",
        "{{ view.rows.append(1) }}",
        "{{ self.__init__ }}{{ self._TemplateReference__context.eval_ctx.environment.loader }}",
        "{{ range(10 ** 9) | list }}",
        "{{ view.missing }}",
        "{% include 'dossier/page.html' %}",
    ],
)
def test_what_a_template_may_not_do_fails(source: str) -> None:
    with pytest.raises(QualityGateFailed, match=r"template lead_audit 1.0.0"):
        small(source).html({"name": "x", "rows": []})


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=file:///etc/passwd>",
        '"><link rel=attachment href=file:///etc/passwd>',
        "{{ 7 * 7 }}",
        "{% for x in range(9) %}",
        "</title><style>@import 'http://127.0.0.1/'</style>",
    ],
)
def test_text_stays_text(hostile: str) -> None:
    from markupsafe import escape

    made: Any = small("<p title='{{ view.name }}'>{{ view.name }}</p>").html({"name": hostile})
    assert made == f"<p title='{escape(hostile)}'>{escape(hostile)}</p>"
