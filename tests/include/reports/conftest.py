"""A small gold pair of tables whose audit can be worked out by hand, and a job's history for the dossier."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
JOB = "0b6f1c52-6a4f-5a7b-9a35-3c1f2f1f0a01"
RUN = {
    "dag_id": "reports",
    "run_id": "manual__2026-11-20T07:00:00+00:00",
    "pipeline_run_id": "01930000-1111-7222-8333-444455556666",
}
INPUTS = [
    {"dataset": "lake/gold/leads", "kind": "table", "key": "gold/leads/latest", "sha256": "a" * 64},
    {
        "dataset": "lake/gold/assessments",
        "kind": "table",
        "key": "gold/assessments/latest",
        "sha256": "b" * 64,
    },
]
LEADS: list[dict[str, Any]] = [
    {"lead_id": "1", "company": "Aster", "country": "Malta", "rating": 0.8, "size": 3, "approved": False},
    {"lead_id": "2", "company": "Birch", "country": None, "rating": None, "size": None, "approved": True},
    {
        "lead_id": "3",
        "company": "Cedar & Söhne",
        "country": "Niue",
        "rating": 1.0,
        "size": 1,
        "approved": True,
    },
]
ASSESSMENTS: list[dict[str, Any]] = [
    # lead 1: comfort (8 x 30 + 6 x 10) / 40 = 7.5; price 10
    {"assessment_id": "11", "lead_id": "1", "comfort": 8.0, "amenities": 9.0, "trip": 9.0, "crew": 9.0, "location": 9.0, "price": 10.0, "n": 30},
    {"assessment_id": "12", "lead_id": "1", "comfort": 6.0, "amenities": 9.0, "trip": 9.0, "crew": 9.0, "location": 9.0, "price": 10.0, "n": 10},
    {"assessment_id": "13", "lead_id": "1", "comfort": None, "amenities": None, "trip": None, "crew": None, "location": None, "price": None, "n": 2},
    {"assessment_id": "21", "lead_id": "2", "comfort": 10.0, "amenities": 10.0, "trip": 10.0, "crew": 10.0, "location": 10.0, "price": 7.0, "n": 4},
]  # fmt: skip

Gold = tuple[Path, Path]


def write_gold(folder: Path, leads: list[dict[str, Any]], assessments: list[dict[str, Any]]) -> Gold:
    """Write both gold tables; returns their paths."""
    paths = folder / "leads.parquet", folder / "assessments.parquet"
    for path, rows in zip(paths, (leads, assessments), strict=True):
        pl.DataFrame([{**row, "_ingested_at": AT} for row in rows], infer_schema_length=None).write_parquet(
            path
        )
    return paths


@pytest.fixture
def gold(tmp_path: Path) -> Gold:
    """Paths of gold leads and gold assessments."""
    return write_gold(tmp_path, LEADS, ASSESSMENTS)


@pytest.fixture
def document(gold: Gold) -> dict[str, Any]:
    """The captured inputs of lead 1's audit."""
    from include.reports import data, lead_audit

    return lead_audit.captured(data.read_lead(*gold, "1"), job_id=JOB, run=RUN, inputs=INPUTS)


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """Return a plain picture."""
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(target, "PNG")
    return target.getvalue()


THUMBNAIL = png(1080, 1920, (20, 90, 140))
SHEET = png(1600, 1200, (140, 40, 70))


def digest(content: bytes | str) -> str:
    """Return the sha256 of bytes or text."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


PICTURES = {digest(THUMBNAIL): THUMBNAIL, digest(SHEET): SHEET}


class HistoryOfJob:
    """A job's history in the shape of `include.ledger.history`, one stage run per artifact."""

    def __init__(self) -> None:
        self.stages: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []

    def add(
        self, kind: str, key: str, stage: str, *inputs: dict[str, Any], sha256: str | None = None
    ) -> dict[str, Any]:
        second = 4 * len(self.artifacts)
        start, end = (f"2026-11-20T06:{(s) // 60:02d}:{s % 60:02d}+00:00" for s in (second, second + 3))
        run = digest(f"run {stage} {key}")[:32]
        self.stages.append(
            {"stage_run_id": run, "family": "video", "stage": stage, "key": key, "attempt": 1, "status": "succeeded",
             "dag_id": "video", "run_id": "manual__1", "started_at": start, "finished_at": end, "error": None}
        )  # fmt: skip
        made = {
            "artifact_id": digest(f"id {kind} {key}"), "kind": kind, "key": key, "dataset": f"media/{kind}", "name": kind,
            "sha256": sha256 or digest(f"{kind} {key}"), "reused_from": None, "created_at": end, "size_bytes": 1234,
            "media_type": "x/y", "stage": stage, "stage_run_id": run,
            "inputs": [{name: item[name] for name in ("artifact_id", "kind", "key", "sha256")} for item in inputs],
        }  # fmt: skip
        self.artifacts.append(made)
        return made

    def plain(self) -> dict[str, Any]:
        job = {"job_id": JOB, "family": "campaign", "theme": "Candy week", "params": {}, "status": "running",
               "created_at": "2026-11-20T06:00:00+00:00"}  # fmt: skip
        video = next(item for item in self.artifacts if item["kind"] == "video")
        return {
            "job": job,
            "runs": [{"dag_id": "campaign", "run_id": "manual__1", "started_at": "2026-11-20T06:00:00+00:00"}],
            "stages": self.stages,
            "artifacts": self.artifacts,
            "decisions": [
                {"decision": "approved", "reviewer": "Ada Lovelace", "unattended": False, "reason": "figures match",
                 "video_sha256": video["sha256"], "decided_at": "2026-11-20T07:00:00+00:00"}
            ],
            "costs": [
                {"provider": "anthropic", "model": "m", "unit": "input tokens", "quantity": "100", "amount_usd": "0.10"},
                {"provider": "anthropic", "model": "m", "unit": "input tokens", "quantity": "50", "amount_usd": "0.05"},
            ],
        }  # fmt: skip


def scored(place: int, title: str) -> dict[str, Any]:
    """Return a scored trend as the trends artifact holds it."""
    trend = {
        "platform": "youtube",
        "external_id": f"v{place}",
        "title": title,
        "channel": "Channel",
        "views": 1_054_156,
    }
    return {"trend": trend, "score": 3.0 - place / 10, "components": {}, "flags": []}


PLAN: dict[str, Any] = {
    "title": "Candy week",
    "theme": "sweets",
    "mood": "bright",
    "target_s": 16.0,
    "seed": 7,
    "hashtags": ["#candy", "#sweets"],
    "writer": {"provider": "grammar", "version": "1", "model": None},
    "evidence": {"e1": {"trend_id": "youtube:v0", "field": "views", "value": 1054156, "display": "1.1 million"}},
    "narration": [{"id": "s1", "text": "1.1 million people watched this.", "evidence": ["e1"]}],
    "scenes": [
        {"number": 1, "start_s": 0.0, "duration_s": 4.0, "visual": {"kind": "bars", "data": {}, "palette": "ocean"},
         "narration_ids": ["s1"], "overlays": [{"text": "Most watched"}]},
    ],
}  # fmt: skip


@pytest.fixture
def history() -> Callable[[], dict[str, Any]]:
    """Return a function that makes a fresh history of a job with a video."""

    def build() -> dict[str, Any]:
        job = HistoryOfJob()
        source = job.add("source", "trends", "ingest")
        trends = job.add("trends", "", "trend_collection", source)
        script = job.add("script", "", "write_script", trends)
        scene = job.add("scene", "01", "render_scene", script)
        video = job.add("video", "", "composition", script, scene)
        job.add("thumbnail", "", "thumbnail", video, sha256=digest(THUMBNAIL))
        sheet = job.add("review", "", "review_material", video, sha256=digest(SHEET))
        job.add("decision", "", "review", video, sheet)
        return job.plain()

    return build


CONTENTS: dict[str, Any] = {
    "trends": {"sources": ["gold"], "trends": [scored(place, f"Trend {place}") for place in range(30)]},
    "report": {"trend_count": 30, "recommendations": [{"text": "Put a number in the title.", "because": []}]},
    "script": {"plan": PLAN},
    "quality": {
        "checks": [{"name": "loudness", "passed": True, "found": "-14.1 LUFS", "wanted": "-14 LUFS"}]
    },
}
FACTS = {"video": {"width": 1080, "height": 1920, "fps": 30.0, "duration_s": 16.0, "frames": 480}}


@pytest.fixture
def dossier_document(history: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The captured inputs of a dossier."""
    from include.reports import dossier

    return dossier.captured(history(), run=RUN, contents=CONTENTS, facts=FACTS)


@pytest.fixture
def spaceflights(shared_data: Path, tmp_path: Path) -> Callable[[], tuple[Gold, pl.DataFrame]]:
    """Gold tables out of real companies (leads) and reviews of their shuttles (assessments)."""

    def build() -> tuple[Gold, pl.DataFrame]:
        folder = shared_data / "spaceflights"
        companies = pl.read_csv(folder / "companies.csv", infer_schema_length=None)
        leads = companies.select(
            lead_id=pl.col("id").cast(pl.String),
            company=pl.format("Company {}", "id"),
            country="company_location",
            rating=pl.col("company_rating").str.strip_suffix("%").cast(pl.Float64) / 100,
            size=pl.col("total_fleet_count").cast(pl.Int64),
            approved=pl.col("iata_approved") == "t",
            _ingested_at=pl.lit(AT),
        ).unique("lead_id", keep="first", maintain_order=True)
        owners = pl.read_excel(folder / "shuttles.xlsx").select(
            shuttle_id="id", lead_id=pl.col("company_id").cast(pl.String)
        )
        areas = ("comfort", "amenities", "trip", "crew", "location", "price")
        assessments = (
            pl.read_csv(folder / "reviews.csv", infer_schema_length=None)
            .join(owners, on="shuttle_id", maintain_order="left")
            .select(
                "lead_id",
                assessment_id=pl.col("shuttle_id").cast(pl.String),
                **{area: pl.col(f"review_scores_{area}") for area in areas},
                n="number_of_reviews",
                _ingested_at=pl.lit(AT),
            )
        )
        paths = tmp_path / "leads.parquet", tmp_path / "assessments.parquet"
        leads.write_parquet(paths[0])
        assessments.write_parquet(paths[1])
        return paths, leads

    return build


@pytest.fixture
def pictures() -> dict[str, bytes]:
    """The thumbnail and the contact sheet, in this order, by digest."""
    return dict(PICTURES)


@pytest.fixture
def contents() -> dict[str, Any]:
    """The JSON artifacts of a job with a video, by kind."""
    return dict(CONTENTS)


@pytest.fixture
def video_facts() -> dict[str, Any]:
    """The facts of its video."""
    return dict(FACTS["video"])
