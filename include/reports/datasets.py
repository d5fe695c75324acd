"""What the datasets of the reports family are; light imports only."""

from include.lineage.facets import Declaration

OWNER = "sales"
TAGS = {"family": "reports"}

REPORTS = {
    "reports/inputs": Declaration(
        "Everything one lead's audit is made from, captured at one moment; holds that lead's personal data.",
        "report_inputs",
        "json",
        OWNER,
        "personal",
        TAGS,
    ),
    "reports/lead_audit": Declaration(
        "Audits of single leads as PDF/A-3u, each with its inputs attached; hold that lead's personal data.",
        "lead_audit",
        "pdf",
        OWNER,
        "personal",
        TAGS,
    ),
    "reports/dossier_inputs": Declaration(
        "What a job made, as its dossier tells it, captured at one moment.",
        "dossier_inputs",
        "json",
        "content",
        "internal",
        TAGS,
    ),
    "reports/dossier": Declaration(
        "Production dossiers as PDF/A-3u: everything a job made, and where it came from.",
        "dossier",
        "pdf",
        "content",
        "internal",
        TAGS,
    ),
}


def declaration(namespace: str, name: str) -> Declaration | None:
    """Return what is declared of a report."""
    return REPORTS.get(name)
