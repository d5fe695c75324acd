"""The stages of the reports family, as DAG files and operators see them; light imports only."""

from include.stage.declared import Stage

GOLD = ("lake/gold/leads", "lake/gold/assessments")
CODE = ("include/reports",)

CHOOSE_LEADS = Stage(
    "choose_leads",
    "reports",
    body="include.reports.stages:choose_leads",
    inputs=GOLD,
    code=CODE,
    doc="Choose the leads to report on: those the form names, else those a report is worth most for.",
)
GATHER = Stage(
    "gather",
    "reports",
    body="include.reports.stages:gather",
    inputs=GOLD,
    outputs=("reports/inputs",),
    code=CODE,
    doc="Capture everything one lead's audit is made from; the key is the lead.",
)
RENDER = Stage(
    "render",
    "reports",
    body="include.reports.stages:render",
    inputs=("reports/inputs",),
    outputs=("reports/lead_audit",),
    code=CODE,
    doc="Make one lead's audit from its captured inputs; the key is the lead.",
)
DOSSIER_GATHER = Stage(
    "dossier_gather",
    "reports",
    body="include.reports.stages:dossier_gather",
    outputs=("reports/dossier_inputs",),
    code=CODE,
    doc="Capture what the job made: every artifact is an exact input. Which datasets those are depends on the job.",
)
DOSSIER_RENDER = Stage(
    "dossier_render",
    "reports",
    body="include.reports.stages:dossier_render",
    inputs=("reports/dossier_inputs",),
    outputs=("reports/dossier",),
    code=CODE,
    doc="Make the production dossier from its captured inputs and the job's pictures.",
)
STAGES = (CHOOSE_LEADS, GATHER, RENDER, DOSSIER_GATHER, DOSSIER_RENDER)
