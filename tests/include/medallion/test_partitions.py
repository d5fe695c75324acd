"""Which partition a run works on, and which file it reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from include.errors import InvalidInput
from include.medallion.params import MedallionParams
from include.medallion.partitions import NoInput, SourceFile, checked, partition_of, source_of
from include.settings import settings

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("SOURCES_DIR", "TRENDS_FILE", "LEADS_FILE", "ASSESSMENTS_FILE"):
        monkeypatch.delenv(f"THROUGHLINE_{name}", raising=False)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.mark.parametrize(
    ("params", "run_id", "at", "partition"),
    [
        ({"partition": "2020-02-29"}, "scheduled__x", AT, "2020-02-29"),
        ({"partition": "latest"}, "backfill__x", AT, "latest"),
        ({"partition": None}, "scheduled__x", AT, "2026-03-04"),
        ({}, "backfill__x", AT, "2026-03-04"),
        ({}, "manual__x", AT, "latest"),
        ({}, "campaign__x__medallion", None, "latest"),
        ({}, None, None, "latest"),
    ],
)
def test_conf_decides_then_the_date_of_a_scheduled_run_then_latest(
    params: dict[str, str | None], run_id: str | None, at: datetime | None, partition: str
) -> None:
    assert partition_of(params, run_id, at) == partition


def test_a_partition_is_a_date_or_latest() -> None:
    assert checked("2026-01-02") == "2026-01-02"
    for wrong in ("yesterday", "2026-02-30", "../etc"):
        with pytest.raises(InvalidInput, match="partition"):
            checked(wrong)
        with pytest.raises(ValidationError, match="partition"):
            MedallionParams.model_validate({"partition": wrong})


@pytest.mark.parametrize("table", ["trends", "leads", "assessments"])
def test_latest_without_a_setting_is_the_bundled_sample(table: str) -> None:
    found = source_of(table, "latest")
    assert isinstance(found, SourceFile)
    assert found.sample
    assert found.path.is_file()
    assert found.label == f"samples/{table}_sample.csv"


def test_latest_is_the_file_that_the_setting_names(
    fresh_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mine.csv"
    fresh_settings.setenv("THROUGHLINE_LEADS_FILE", str(file))
    with pytest.raises(InvalidInput, match=r"THROUGHLINE_LEADS_FILE: there is no file .*mine\.csv"):
        source_of("leads", "latest")
    file.write_text("lead_id\n")
    assert source_of("leads", "latest") == SourceFile(
        file, "leads/mine.csv", "throughline://sources/leads/mine.csv"
    )


def test_a_date_is_a_file_of_the_sources_folder_or_no_input(
    fresh_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert source_of("trends", "2026-01-02") == NoInput(
        "no input of trends for 2026-01-02: THROUGHLINE_SOURCES_DIR names no folder"
    )
    fresh_settings.setenv("THROUGHLINE_SOURCES_DIR", str(tmp_path))
    settings.cache_clear()
    assert source_of("trends", "2026-01-02") == NoInput(
        "no input of trends for 2026-01-02: the sources folder has no trends/2026-01-02.csv"
    )
    file = tmp_path / "trends" / "2026-01-02.csv"
    file.parent.mkdir()
    file.write_text("x")
    found = source_of("trends", "2026-01-02")
    assert isinstance(found, SourceFile)
    assert (found.path, found.label, found.sample) == (file, "trends/2026-01-02.csv", False)


def test_the_form_refuses_what_it_does_not_know() -> None:
    assert MedallionParams().tables == ("trends", "leads", "assessments")
    assert MedallionParams.model_validate({"tables": ["leads", "leads"]}).tables == ("leads",)
    for wrong in ({"tables": []}, {"tables": ["orders"]}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            MedallionParams.model_validate(wrong)
