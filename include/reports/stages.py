"""The stage bodies of the reports family."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.artifacts.digests import canonical_json
from include.errors import InvalidInput, NotReady
from include.ledger.models import Lead, ReportGeneration, ReportLineage, TemplateVersion
from include.reports import data, dossier, lead_audit
from include.reports.capture import Enrichment, bundle, enrich, parse
from include.reports.render import TYPESETTER
from include.reports.template import current
from include.settings import settings
from include.stage import SkipStage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from include.reports.render import Typeset
    from include.reports.template import Template
    from include.stage import Input, Work

SECONDS_PER_REPORT = 2.0
"""What a report takes on two cores, for the preview of a batch."""


class Journal:
    """The log of one report, kept with its lineage; each line also goes to the stage's own log."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self.lines: list[dict[str, Any]] = []

    def note(self, event: str, **details: Any) -> None:
        """Write one line."""
        self.lines.append({"event": event, "after_s": round(time.monotonic() - self._started, 3), **details})
        self.work.progress(event, **details)


def choose_leads(work: Work) -> dict[str, Any]:
    """Return the ids of the leads to report on, in order, and what the batch will take."""
    named = list(dict.fromkeys(work.params.get("leads") or []))
    try:
        leads, assessments = _gold(work)
    except NotReady as missing:
        if named:
            raise
        # a schedule runs on days that have no leads, and a new deployment has none at all: nothing to report is no failure
        raise SkipStage(f"nothing to report on: {missing}") from missing
    if named:
        chosen = named
    else:
        most = int(work.params.get("n_leads") or 3)
        chosen = [lead.lead_id for lead in data.rank_leads(leads.path, assessments.path, most)]
    if not chosen:
        raise InvalidInput(
            "gold leads and assessments share no reviewed lead: name `leads` in the form, or check lead_id in both"
        )
    preview = {
        "reports": len(chosen),
        "seconds": round(len(chosen) * SECONDS_PER_REPORT, 1),
        "cost_usd": "0.00",
    }
    work.progress("leads chosen", **preview)
    return {"leads": chosen, "preview": preview}


def gather(work: Work) -> dict[str, Any]:
    """Capture the inputs of one lead's audit."""
    lead_id = _lead_of(work)
    leads, assessments = _gold(work)
    work.settle(job_id=str(work.job_id), dag_id=work.at.dag_id, run_id=work.at.run_id)
    found = data.read_lead(leads.path, assessments.path, lead_id)
    document = lead_audit.captured(
        found,
        job_id=str(work.job_id),
        run=_run(work),
        inputs=[_named(item) for item in (leads, assessments)],
    )
    packed = bundle(document, f"lead-{lead_id}-inputs")
    made = work.publish(
        "report_inputs",
        lead_id,
        _json_writer(document),
        suffix=".json",
        media_type="application/json",
        name=f"lead-{_file_name(lead_id)}-inputs.json",
        facts={
            "rows": 1 + len(document["assessments"]),
            "schema_id": lead_audit.SCHEMA,
            "compressed_size_bytes": packed.compressed_size_bytes,
            "download": packed.listing(),
        },
        rows=(Lead(lead_id=lead_id, company=document["lead"].get("company")),),
    )
    return {"lead_id": lead_id, "inputs": made.sha256, "assessments": len(document["assessments"])}


def render(work: Work) -> dict[str, Any]:
    """Make one lead's audit from its captured inputs."""
    journal = Journal(work)
    lead_id = _lead_of(work)
    template = current(str(work.params.get("template") or "lead_audit"))
    inputs = work.input("report_inputs", lead_id)
    work.settle(
        template=template.sha256, typesetter=TYPESETTER.recipe(), capture=settings().enable_report_lineage
    )
    document = parse(inputs.path.read_bytes(), inputs.sha256)
    audit = lead_audit.audit_of(document)
    journal.note("inputs read", inputs=inputs.sha256, assessments=len(document["assessments"]))
    for warning in audit.warnings:
        journal.note("warning", text=warning)
    made = lead_audit.make(document, template)
    journal.note("typeset", pages=made.pages, size_bytes=len(made.pdf), complaints=list(made.complaints))
    work.publish(
        "lead_audit",
        lead_id,
        _pdf_writer(made),
        suffix=".pdf",
        media_type="application/pdf",
        name=f"lead-{_file_name(lead_id)}-audit.pdf",
        facts=_facts(made, template, document, findings=len(audit.findings), warnings=list(audit.warnings)),
        rows=_rows(
            work, journal, template, document, inputs, made, lead_id=lead_id, findings=len(audit.findings)
        ),
    )
    first = audit.findings[0] if audit.findings else None
    return {
        "lead_id": lead_id,
        "pages": made.pages,
        "findings": len(audit.findings),
        "first": first.title if first else None,
        "sha256": made.sha256,
    }


def dossier_gather(work: Work) -> dict[str, Any]:
    """Capture what the job made; every artifact of it is read and becomes an exact input."""
    if not work.params.get("dossier", True):
        raise SkipStage("the form asks for no dossier")
    history = work.history()
    kinds = sorted({item["kind"] for item in history["artifacts"]} - dossier.OWN_KINDS)
    read = {kind: work.inputs(kind) for kind in kinds}
    if not any(items for kind, items in read.items() if kind != "source"):
        raise SkipStage(f"job {work.job_id} has made nothing: a dossier tells what a job made")
    document = dossier.captured(
        history,
        run=_run(work),
        contents={
            kind: json.loads(read[kind][0].path.read_bytes())
            for kind in ("trends", "report", "script", "quality")
            if read.get(kind)
        },
        facts={kind: dict(read[kind][0].facts) for kind in ("video", "voiceover") if read.get(kind)},
    )
    told = {name: value for name, value in document.items() if name != "run"}
    work.settle(history=told, dag_id=work.at.dag_id, run_id=work.at.run_id)
    made = work.publish(
        "dossier_inputs",
        "",
        _json_writer(document),
        suffix=".json",
        media_type="application/json",
        name="dossier-inputs.json",
        facts={"schema_id": dossier.SCHEMA, "artifacts": len(document["artifacts"])},
    )
    return {"inputs": made.sha256, "artifacts": len(document["artifacts"])}


def dossier_render(work: Work) -> dict[str, Any]:
    """Make the production dossier."""
    if not work.params.get("dossier", True):
        raise SkipStage("the form asks for no dossier")
    journal = Journal(work)
    template = current("dossier")
    inputs = work.input("dossier_inputs")
    document = parse(inputs.path.read_bytes(), inputs.sha256)
    pictures: dict[str, bytes] = {}
    for kind, digest in document["pictures"].items():
        found = next((item for item in work.inputs(kind) if item.sha256 == digest), None)
        if found is None:
            raise NotReady(
                f"the {kind} of job {work.job_id} is another one than was gathered: clear dossier_gather and run it again"
            )
        pictures[digest] = found.path.read_bytes()
    work.settle(
        template=template.sha256, typesetter=TYPESETTER.recipe(), capture=settings().enable_report_lineage
    )
    journal.note("inputs read", inputs=inputs.sha256, artifacts=len(document["artifacts"]))
    made = dossier.make(document, pictures, template)
    journal.note("typeset", pages=made.pages, size_bytes=len(made.pdf), complaints=list(made.complaints))
    work.publish(
        "dossier",
        "",
        _pdf_writer(made),
        suffix=".pdf",
        media_type="application/pdf",
        name="dossier.pdf",
        facts=_facts(made, template, document, artifacts=len(document["artifacts"])),
        rows=_rows(work, journal, template, document, inputs, made, lead_id=None, findings=0),
    )
    return {"pages": made.pages, "artifacts": len(document["artifacts"]), "sha256": made.sha256}


# -- what the bodies share ---------------------------------------------------------------------------------------


def _gold(work: Work) -> tuple[Input, Input]:
    partition = work.params.get("partition")
    return work.table("gold", "leads", partition), work.table("gold", "assessments", partition)


def _lead_of(work: Work) -> str:
    if not work.key:
        raise InvalidInput(f"stage {work.stage} works for one lead: give its lead_id as the key")
    return work.key


def _run(work: Work) -> dict[str, str | None]:
    """Return the run that captures: the DAG run's own OpenLineage run where known, else this attempt's."""
    pipeline_run = work.at.pipeline_run_id or work.pipeline_run_id
    return {"dag_id": work.at.dag_id, "run_id": work.at.run_id, "pipeline_run_id": str(pipeline_run)}


def _named(item: Input) -> dict[str, str]:
    return {"dataset": item.dataset, "kind": item.kind, "key": item.key, "sha256": item.sha256}


def _file_name(text: str) -> str:
    """Return a lead's id as part of a file name."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in text)[:64]


def _json_writer(document: Mapping[str, Any]) -> Any:
    def write(path: Path) -> None:
        path.write_bytes(canonical_json(document))

    return write


def _pdf_writer(made: Typeset) -> Any:
    def write(path: Path) -> None:
        path.write_bytes(made.pdf)

    return write


def _facts(made: Typeset, template: Template, document: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "pages": made.pages,
        "template": template.name,
        "template_version": template.version,
        "template_sha256": template.sha256,
        "template_version_id": str(template.version_id),
        "captured_at": document["captured_at"],
        "provider": f"weasyprint {TYPESETTER.recipe()['weasyprint']}",
        **more,
    }


def _rows(
    work: Work,
    journal: Journal,
    template: Template,
    document: Mapping[str, Any],
    inputs: Input,
    made: Typeset,
    *,
    lead_id: str | None,
    findings: int,
) -> Sequence[Any]:
    """Return the ledger rows of a report; the lineage row's triplet is that of the file's own panel."""
    kept: Enrichment = enrich(lambda: journal.lines, enabled=settings().enable_report_lineage)
    content = inputs.path.stat().st_size
    return (
        TemplateVersion(
            template_version_id=template.version_id,
            template=template.name,
            version=template.version,
            sha256=template.sha256,
        ),
        ReportGeneration(
            template=template.name,
            lead_id=lead_id,
            pages=made.pages,
            size_bytes=len(made.pdf),
            findings=findings,
        ),
        ReportLineage(
            lead_id=lead_id or f"job:{work.job_id}",
            pipeline_run_id=UUID(document["run"]["pipeline_run_id"]),
            template_version_id=template.version_id,
            inputs_artifact_id=inputs.artifact_id,
            inputs_sha256=inputs.sha256,
            inputs_size_bytes=content,
            compressed_size_bytes=bundle(document, "inputs").compressed_size_bytes,
            capture_status=kept.status,
            capture_reason=kept.reason,
            logs=kept.logs,
            started_at=journal.started_at,
        ),
    )
