"""The audit's PDF: it says what the data say, says where it comes from, and can be made again."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader

from include.artifacts.digests import canonical_json, sha256_json
from include.errors import ArtifactCorrupt, InvalidInput
from include.reports import data, lead_audit, template
from include.reports.reproduce import reproduce

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def text_of(pdf: bytes) -> str:
    """Return the words of a PDF, on one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


def test_the_pages_say_what_the_data_say(document: dict[str, Any]) -> None:
    made = lead_audit.make(document)
    text = text_of(made.pdf)
    for said in (
        "LEAD AUDIT Aster Malta · lead 1 · data as of 2026-11-20 06:30:00 UTC",
        "Crew and service is what Aster should look at first (priority 6.2 of 10). Over all areas it stands",
        "Comfort 7.50 7.73 40 25%",
        "Mean 7.50 of 10 over 40 reviews, below the market's 7.73; 25% of the reviews are of offers below the market."
        " Lowest: offer 12 with 6.00.",
        "The published rating is 80%; buyers filter at 90%.",
        "1 of 3 assessments without any score: left out of every mean.",
        "0b6f1c52-6a4f-5a7b-9a35-3c1f2f1f0a01",
        "reports · manual__2026-11-20T07:00:00+00:00",
        "lake/gold/leads gold/leads/latest " + "a" * 64,
        sha256_json(document),
        f"Aster 1 / {made.pages}",
    ):
        assert said in text, said
    assert made.complaints == ()


def test_the_file_alone_tells_its_line(document: dict[str, Any]) -> None:
    made = lead_audit.make(document)
    reader = PdfReader(BytesIO(made.pdf))
    line = json.loads(reader.attachments["lineage.json"][0])
    current = template.current("lead_audit")
    assert line["job_id"] == document["job_id"]
    assert line["run"] == document["run"]
    assert line["inputs"] == document["inputs"]
    assert line["captured"] == {"schema": lead_audit.SCHEMA, "sha256": sha256_json(document)}
    assert line["template"]["sha256"] == current.sha256
    assert line["template"]["version_id"] == str(current.version_id)
    assert line["recipe"]["harfbuzz_subset"].startswith("libharfbuzz-subset.so.")
    packet = reader.trailer["/Root"]["/Metadata"].get_object().get_data().decode()
    for name, value in (
        ("job_id", document["job_id"]),
        ("lead_id", "1"),
        ("inputs_sha256", sha256_json(document)),
    ):
        assert f"<throughline:{name}>{value}</throughline:{name}>" in packet


def test_captured_inputs_reproduce_the_report_byte_for_byte(document: dict[str, Any]) -> None:
    stored = canonical_json(document)
    made = lead_audit.make(document)
    again = reproduce(stored, sha256=sha256_json(document))
    assert again.pdf == made.pdf
    with pytest.raises(ArtifactCorrupt):
        reproduce(stored.replace(b'"rating":0.8', b'"rating":0.9'), sha256=sha256_json(document))
    with pytest.raises(InvalidInput, match="no report is made from that"):
        reproduce(b'{"schema":"else/1"}')


def test_one_changed_cell_changes_the_report(document: dict[str, Any]) -> None:
    changed = json.loads(canonical_json(document))
    changed["assessments"][0]["comfort"] = 7.0
    assert "Comfort 6.75" in text_of(lead_audit.make(changed).pdf)
    assert lead_audit.make(changed).sha256 != lead_audit.make(document).sha256


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=file:///etc/passwd alt=x><link rel=attachment href=file:///etc/passwd>",
    "{{ cycler.__init__.__globals__ }}{% raw %}",
    "</title></style><style>* { display: none }</style>",
    "]]></x:xmpmeta><?xpacket end='w'?>&lt;",
    "‮gnirts desrever‬ \u200b\ufeff",
    "日本語 العربية हिन्दी 🍬 👩‍👩‍👧",
    "A" * 100_000,
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_in_every_field_stays_text(document: dict[str, Any], hostile: str) -> None:
    changed = json.loads(canonical_json(document))
    changed["lead"] |= {"company": hostile, "country": hostile, "city": hostile}
    changed["assessments"][0]["assessment_id"] = hostile
    changed["run"]["run_id"] = hostile
    made = lead_audit.make(changed)
    reader = PdfReader(BytesIO(made.pdf))
    assert set(reader.attachments) == {"lineage.json"}
    assert b"root:" not in made.pdf
    assert json.loads(reader.attachments["lineage.json"][0])["run"]["run_id"] == hostile
    text = text_of(made.pdf)
    assert "What to change, most worthwhile first" in text
    if hostile.startswith(("<", "{{")):
        assert hostile[:20] in text


def test_a_lead_without_assessments_gets_a_report_that_says_so(gold: tuple[Path, Path]) -> None:
    found = lead_audit.captured(
        data.read_lead(*gold, "3"),
        job_id="0" * 8,
        run={"dag_id": None, "run_id": None, "pipeline_run_id": "x"},
        inputs=[],
    )
    text = text_of(lead_audit.make(found).pdf)
    assert "No assessment of this lead exists" in text
    assert "Cedar & Söhne" in text
    assert "without Airflow" in text


def test_a_lead_with_very_many_assessments_stays_a_short_report(document: dict[str, Any]) -> None:
    many = json.loads(canonical_json(document))
    many["assessments"] = [{**many["assessments"][0], "assessment_id": str(number)} for number in range(3000)]
    made = lead_audit.make(many)
    assert made.pages < 8
    assert "The 40 most reviewed of 3,000" in text_of(made.pdf)


def test_a_real_company_is_audited(spaceflights: Callable[[], Any]) -> None:
    gold, leads = spaceflights()
    best = data.rank_leads(*gold, 1)[0]
    found = lead_audit.captured(
        data.read_lead(*gold, best.lead_id),
        job_id="0" * 8,
        run={"pipeline_run_id": "x", "dag_id": "d", "run_id": "r"},
        inputs=[],
    )
    made = lead_audit.make(found)
    assert f"The dark line is the mean of all {leads.height:,} leads" in text_of(made.pdf)
    assert made.complaints == ()
