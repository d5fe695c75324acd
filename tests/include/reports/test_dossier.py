"""The dossier: everything a job made, nothing of what is still in motion, and the same bytes again."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from include.artifacts.digests import canonical_json
from include.errors import InvalidInput, QualityGateFailed
from include.reports import dossier
from include.reports.reproduce import reproduce

History = Callable[[], dict[str, Any]]


def text_of(pdf: bytes) -> str:
    """Return the words of a PDF, on one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


def squeezed(text: str) -> str:
    """Return a text without the breaks that a narrow column put into its digests."""
    return text.replace(" ", "")


def test_the_pages_name_every_artifact_with_digest_and_inputs(
    dossier_document: dict[str, Any], pictures: dict[str, bytes]
) -> None:
    made = dossier.make(dossier_document, pictures)
    text = text_of(made.pdf)
    for item in dossier_document["artifacts"]:
        assert item["sha256"] in squeezed(text)
    for said in (
        "PRODUCTION DOSSIER Candy week Theme: sweets",
        "16.0 s",
        "1080 × 1920 at 30 fps",
        "Approved By Ada Lovelace on 2026-11-20 07:00:00 UTC: figures match",
        "The best of 30 collected from gold",
        "Trend 0 Channel · youtube:v0 3.00 1,054,156",
        "“1.1 million” is views of youtube:v0",
        "anthropic m 150 input tokens 0.15",
        "$0.1500",
        "loudness passed -14.1 LUFS -14 LUFS",
        "outside, captured as it was",
    ):
        assert said in text, said
    assert made.complaints == ()


def test_lineage_json_holds_every_input(dossier_document: dict[str, Any], pictures: dict[str, bytes]) -> None:
    made = dossier.make(dossier_document, pictures)
    line = json.loads(PdfReader(BytesIO(made.pdf)).attachments["lineage.json"][0])
    assert [(item["kind"], item["sha256"]) for item in line["inputs"]] == [
        (item["kind"], item["sha256"]) for item in dossier_document["artifacts"]
    ]


def test_the_dossier_does_not_tell_of_itself_nor_of_what_still_runs(history: History) -> None:
    before = history()
    after = history()
    after["job"]["status"] = "completed"
    template = after["artifacts"][-1]
    for kind, stage in (("dossier_inputs", "dossier_gather"), ("dossier", "dossier_render")):
        after["artifacts"].append(
            {**template, "kind": kind, "key": "", "stage": stage, "stage_run_id": stage}
        )
        after["stages"].append({**after["stages"][0], "stage": stage, "stage_run_id": stage})
    after["stages"].append({**after["stages"][0], "stage_run_id": "again", "status": "reused"})
    after["stages"].append(
        {**after["stages"][0], "stage_run_id": "now", "status": "running", "finished_at": None}
    )
    run = {"dag_id": "reports", "run_id": "r", "pipeline_run_id": "p"}
    captured = [dossier.captured(found, run=run, contents={}, facts={}) for found in (before, after)]
    assert captured[0] == captured[1]


def test_a_failed_attempt_is_told(history: History) -> None:
    found = history()
    found["stages"].append(
        {**found["stages"][0], "stage_run_id": "f", "stage": "speak", "status": "failed", "error": "x"}
    )
    captured = dossier.captured(found, run={}, contents={}, facts={})
    assert [stage["stage"] for stage in captured["stages"]].count("speak") == 1


def test_a_job_that_made_nothing_has_no_dossier(history: History) -> None:
    found = history()
    found["artifacts"] = found["artifacts"][:1]
    with pytest.raises(InvalidInput, match="has made nothing yet"):
        dossier.captured(found, run={}, contents={}, facts={})


def test_a_job_without_a_video_has_a_dossier(history: History) -> None:
    found = history()
    found["artifacts"] = found["artifacts"][:2]
    found["decisions"], found["costs"] = [], []
    document = dossier.captured(
        found, run={"dag_id": None, "run_id": None, "pipeline_run_id": "p"}, contents={}, facts={}
    )
    text = text_of(dossier.make(document, {}).pdf)
    assert "this job made none" in text
    assert "Not reviewed" not in text


def test_captured_inputs_and_pictures_reproduce_it_byte_for_byte(
    dossier_document: dict[str, Any], pictures: dict[str, bytes]
) -> None:
    made = dossier.make(dossier_document, pictures)
    assert reproduce(canonical_json(dossier_document), pictures=pictures).pdf == made.pdf


def test_a_missing_picture_is_refused(dossier_document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"the thumbnail .* is not at hand"):
        dossier.make(dossier_document, {})


def test_what_is_no_picture_is_refused(dossier_document: dict[str, Any], pictures: dict[str, bytes]) -> None:
    broken = dict.fromkeys(pictures, b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(QualityGateFailed, match="a picture of the dossier cannot be read"):
        dossier.make(dossier_document, broken)


def test_waiting_is_drawn_short(history: History) -> None:
    found = history()
    last = found["stages"][-1]
    last["started_at"], last["finished_at"] = "2026-11-21T06:00:00+00:00", "2026-11-21T06:00:02+00:00"
    document = dossier.captured(found, run={}, contents={}, facts={})
    drawn = dossier._timeline(document["stages"])
    assert drawn["total_s"] < 60
    assert drawn["bars"][-1]["length_s"] == 2
