"""The stages of the lake, as DAG files and operators see them: one per table and layer; light imports only."""

from typing import Literal

from include.stage.declared import Stage

Name = Literal["trends", "leads", "assessments"]
TABLES: tuple[Name, ...] = ("trends", "leads", "assessments")
STEPS: tuple[tuple[str, str, str], ...] = (
    ("ingest", "", "staged"),
    ("bronze", "staged", "bronze"),
    ("silver", "bronze", "silver"),
    ("gold", "silver", "gold"),
)
DOCS = {
    "ingest": "Read the source file of {table} as text, with provenance; broken lines go to quarantine.",
    "bronze": "Rename and cast the columns of {table}; values that do not parse go to quarantine.",
    "silver": "Clean, validate and deduplicate {table}; rows that break a rule go to quarantine.",
    "gold": "Derive what readers of {table} use, under its contract.",
}
MACHINERY = tuple(
    f"include/medallion/{name}.py"
    for name in (
        "contract",
        "facts",
        "headers",
        "layers",
        "parse",
        "promote",
        "quarantine",
        "schemas",
        "stages",
        "staging",
        "transition",
    )
)


def code_of(table: str) -> tuple[str, ...]:
    """Return the files that decide a table's bytes: its own declaration and what promotes every table."""
    return (f"include/medallion/tables/{table}.py", "include/lineage/columns", *MACHINERY)


def _stage(table: str, step: str, source: str, target: str) -> Stage:
    return Stage(
        f"{table}.{step}",
        "medallion",
        body=f"include.medallion.stages:{step}",
        inputs=(f"lake/{source}/{table}" if source else f"sources/{table}",),
        outputs=(f"lake/{target}/{table}",),
        scope="lake",
        options={"table": table, "layer": target},
        code=code_of(table),
        doc=DOCS[step].format(table=table),
    )


STAGES: tuple[Stage, ...] = tuple(_stage(table, *step) for table in TABLES for step in STEPS)
BY_NAME = {stage.name: stage for stage in STAGES}


def stages_of(table: str) -> tuple[Stage, ...]:
    """Return ingest, bronze, silver and gold of one table, in order."""
    return tuple(stage for stage in STAGES if stage.options["table"] == table)
