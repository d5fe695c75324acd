"""The form and the declarations: what a person may ask, and that a DAG file can import them lightly."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from include.reports import declared
from include.reports.params import ReportsParams


def test_an_untouched_form_is_valid_and_plain() -> None:
    assert ReportsParams().model_dump(mode="json") == {
        "job_id": None,
        "leads": [],
        "n_leads": 3,
        "template": "lead_audit",
        "partition": None,
        "dossier": True,
        "fresh": False,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_leads", 0),
        ("n_leads", "many"),
        ("template", "../etc"),
        ("partition", "../x"),
        ("leads", [""]),
        ("job_id", "7"),
        ("surprise", 1),
    ],
)
def test_what_the_form_does_not_allow_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        ReportsParams.model_validate({key: value})


def test_every_field_says_what_it_is_for() -> None:
    fields = ReportsParams.model_json_schema()["properties"]
    assert all(field.get("title") and field.get("description") for field in fields.values())
    assert fields["job_id"]["type"] == ["null", "string"]


def test_every_declared_body_exists() -> None:
    assert [stage.name for stage in declared.STAGES] == [
        "choose_leads",
        "gather",
        "render",
        "dossier_gather",
        "dossier_render",
    ]
    assert all(callable(stage.load()) and stage.doc for stage in declared.STAGES)


def test_declaring_imports_nothing_heavy() -> None:
    program = (
        "import sys; import include.reports.declared, include.reports.params;"
        "print([name for name in ('polars', 'weasyprint', 'jinja2', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
