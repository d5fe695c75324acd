"""A lead's audit: what is captured of it, and the PDF that follows from what was captured; nothing else goes in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.artifacts.digests import canonical_json, sha256_json
from include.errors import InvalidInput
from include.reports.render import TYPESETTER, Attachment, Typeset, typeset
from include.reports.scoring import AREAS, Audit, Market, audit
from include.reports.template import current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.reports.data import LeadData
    from include.reports.template import Template

SCHEMA = "throughline/report-inputs/1"
LINEAGE_SCHEMA = "throughline/report-lineage/1"
MOST_OFFERS = 40
"""Rows of the table of assessments; the captured inputs hold all."""


def captured(
    data: LeadData, *, job_id: str, run: Mapping[str, str | None], inputs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the document of inputs: the lead's rows, the market's sums, for whom and in which run, from which files.

    `run` has dag_id, run_id, pipeline_run_id; an item of `inputs` has dataset, key, sha256.
    """
    return {
        "schema": SCHEMA,
        "job_id": job_id,
        "run": dict(run),
        "lead": dict(data.lead),
        "assessments": [dict(row) for row in data.assessments],
        "market": {
            "areas": {name: list(sums) for name, sums in data.market.areas.items()},
            "leads": data.market.leads,
            "assessments": data.market.assessments,
        },
        "inputs": [dict(item) for item in inputs],
        "captured_at": data.ingested_at.isoformat(),
    }


def audit_of(document: Mapping[str, Any]) -> Audit:
    """Return the audit of a document of inputs.

    Raises InvalidInput when it is of another schema.
    """
    if document.get("schema") != SCHEMA:
        raise InvalidInput(f"captured inputs of schema {document.get('schema')!r}, expected {SCHEMA!r}")
    market = document["market"]
    sums = {name: (int(total), int(reviews)) for name, (total, reviews) in market["areas"].items()}
    return audit(
        document["lead"],
        document["assessments"],
        Market(sums, int(market["leads"]), int(market["assessments"])),
    )


def make(document: Mapping[str, Any], template: Template | None = None) -> Typeset:
    """Return the audit's PDF: a pure function of the captured inputs, the template and the typesetter's recipe.

    Raises InvalidInput for a document of another schema, and what `typeset` raises.
    """
    found = audit_of(document)
    chosen = template or current("lead_audit")
    recipe = TYPESETTER.recipe()
    line = lineage(document, f"lead {document['lead']['lead_id']}", chosen, recipe)
    html = chosen.html(_view(document, found, line))
    return typeset(
        html,
        captured_at=datetime.fromisoformat(document["captured_at"]),
        attachments=(lineage_attachment(line),),
        xmp=xmp(line, lead_id=str(document["lead"]["lead_id"])),
    )


def lineage(
    document: Mapping[str, Any], subject: str, template: Template, recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the PDF says of its own origin: printed, in XMP and attached as ``lineage.json``."""
    return {
        "schema": LINEAGE_SCHEMA,
        "subject": subject,
        "job_id": document["job_id"],
        "run": document["run"],
        "template": {
            "name": template.name,
            "version": template.version,
            "sha256": template.sha256,
            "version_id": str(template.version_id),
        },
        "captured": {"schema": document["schema"], "sha256": sha256_json(document)},
        "captured_at": document["captured_at"],
        "inputs": document["inputs"],
        "recipe": dict(recipe),
    }


def lineage_attachment(line: Mapping[str, Any]) -> Attachment:
    """Return ``lineage.json``."""
    return Attachment(
        "lineage.json", canonical_json(line).decode(), "The exact inputs this report was made from", "Source"
    )


def xmp(line: Mapping[str, Any], **more: str) -> dict[str, str]:
    """Return the identifiers for the XMP packet."""
    found = {
        "job_id": line["job_id"],
        "dag_id": line["run"].get("dag_id"),
        "run_id": line["run"].get("run_id"),
        "pipeline_run_id": line["run"].get("pipeline_run_id"),
        "template": f"{line['template']['name']} {line['template']['version']}",
        "template_sha256": line["template"]["sha256"],
        "template_version_id": line["template"]["version_id"],
        "inputs_sha256": line["captured"]["sha256"],
        **more,
    }
    return {name: str(value) for name, value in found.items() if value}


def w3c_time(captured_at: str) -> str:
    """Return a time as PDF metadata wants it: UTC, whole seconds.

    >>> w3c_time("2026-01-02T05:04:05.9+02:00")
    '2026-01-02T03:04:05Z'
    """
    return datetime.fromisoformat(captured_at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _view(document: Mapping[str, Any], found: Audit, line: Mapping[str, Any]) -> dict[str, Any]:
    lead = {"rating": None, "approved": None, "country": None, **document["lead"]}
    name = str(lead.get("company") or f"Lead {lead['lead_id']}")
    rows = sorted(document["assessments"], key=lambda row: (-int(row["n"] or 0), str(row["assessment_id"])))
    return {
        "title": f"Lead audit: {name}",
        "description": f"Audit of lead {lead['lead_id']}, {len(found.findings)} findings",
        "created": w3c_time(document["captured_at"]),
        "name": name,
        "place": ", ".join(str(lead[part]) for part in ("city", "country") if lead.get(part)),
        "lead": lead,
        "audit": found.plain(),
        "market": document["market"],
        "urgent": sum(finding.urgency == "act now" for finding in found.findings),
        "summary": _summary(name, found),
        "area_titles": [area.title for area in AREAS],
        "offers": [
            {
                "assessment_id": row["assessment_id"],
                "scores": [row.get(area.name) for area in AREAS],
                "reviews": row["n"],
            }
            for row in rows[:MOST_OFFERS]
        ],
        "more_offers": len(rows) > MOST_OFFERS,
        "lineage": line,
    }


def _summary(name: str, found: Audit) -> str:
    """Return the audit in a sentence or two."""
    if not found.findings:
        return f"The data show nothing that {name} should change."
    first = found.findings[0]
    head = f"{first.title} is what {name} should look at first (priority {first.priority:.1f} of 10)."
    if found.overall is None or found.market_overall is None:
        return head
    gap = round(found.overall - found.market_overall, 2)
    where = "level with" if gap == 0 else f"{abs(gap):.2f} points {'above' if gap > 0 else 'below'}"
    return f"{head} Over all areas it stands {where} the market."
