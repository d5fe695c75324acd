"""What the events of every task must carry: one table, read by the tests of the DAG bag and of real campaigns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JOB = frozenset({"documentation", "ownership", "tags", "jobType"})
RUN = frozenset({"throughline_job", "parent", "nominalTime", "processing_engine", "airflow"})
DAG_RUN = frozenset({"throughline_job", "nominalTime", "processing_engine", "airflowDagRun"})


@dataclass(frozen=True)
class Dataset:
    """Facets of one dataset: on START, more on COMPLETE, and the facets of its use."""

    start: frozenset[str]
    end: frozenset[str]
    use: frozenset[str]


@dataclass(frozen=True)
class Task:
    """What one task declares to read and make; `also` are inputs that only the run knows."""

    reads: dict[str, Dataset] = field(default_factory=dict)
    makes: dict[str, Dataset] = field(default_factory=dict)
    also: dict[str, Dataset] = field(default_factory=dict)


DECLARED = frozenset({"dataSource", "documentation", "datasetType", "storage", "tags", "ownership"})
QUALITY = frozenset({"schema", "dataQualityMetrics", "dataQualityAssertions"})
STATISTICS_IN, STATISTICS_OUT = frozenset({"inputStatistics"}), frozenset({"outputStatistics"})
SUBSET = frozenset({"subset"})

READ = Dataset(DECLARED, frozenset({"version"}), STATISTICS_IN)
READ_SOURCE = Dataset(DECLARED, frozenset({"version"}), STATISTICS_IN | SUBSET)
READ_STAGED = Dataset(DECLARED, QUALITY | {"version"}, STATISTICS_IN | SUBSET)
READ_TABLE = Dataset(DECLARED | {"schema"}, QUALITY | {"version"}, STATISTICS_IN | SUBSET)
MADE = Dataset(DECLARED, frozenset({"version", "lifecycleStateChange"}), STATISTICS_OUT)
MADE_STAGED = Dataset(
    DECLARED, QUALITY | {"version", "columnLineage", "lifecycleStateChange"}, STATISTICS_OUT | SUBSET
)
MADE_TABLE = Dataset(DECLARED | {"schema"}, MADE_STAGED.end, STATISTICS_OUT | SUBSET)


def _reads(*names: str) -> dict[str, Dataset]:
    return dict.fromkeys(names, READ)


def _makes(*names: str) -> dict[str, Dataset]:
    return dict.fromkeys(names, MADE)


def _lake(table: str) -> dict[str, Task]:
    return {
        f"medallion.{table}.ingest": Task(
            {f"sources/{table}": READ_SOURCE}, {f"lake/staged/{table}": MADE_STAGED}
        ),
        f"medallion.{table}.bronze": Task(
            {f"lake/staged/{table}": READ_STAGED}, {f"lake/bronze/{table}": MADE_TABLE}
        ),
        f"medallion.{table}.silver": Task(
            {f"lake/bronze/{table}": READ_TABLE}, {f"lake/silver/{table}": MADE_TABLE}
        ),
        f"medallion.{table}.gold": Task(
            {f"lake/silver/{table}": READ_TABLE}, {f"lake/gold/{table}": MADE_TABLE}
        ),
    }


GOLD = {"lake/gold/leads": READ_TABLE, "lake/gold/assessments": READ_TABLE}
DAGS = ("campaign", "medallion", "reports", "upkeep", "video")
TASKS: dict[str, Task] = {
    **{f"{dag}.{task}": Task() for dag in DAGS for task in ("open_job", "close_job")},
    **{f"campaign.trigger_{family}": Task() for family in ("medallion", "video", "reports")},
    **{f"upkeep.{chore}": Task() for chore in ("drain", "reconcile", "sweep", "read_back", "verify")},
    **_lake("trends"),
    **_lake("leads"),
    **_lake("assessments"),
    "video.trend_collection": Task({}, _makes("media/trends"), {"lake/gold/trends": READ_TABLE}),
    "video.trend_analysis": Task(_reads("media/trends"), _makes("media/reports")),
    "video.content_generation.write_script": Task(
        _reads("media/trends", "media/reports"), _makes("media/scripts")
    ),
    "video.content_generation.speak": Task(
        _reads("media/scripts"), _makes("media/voiceovers", "media/words")
    ),
    "video.content_generation.render_scene": Task(
        _reads("media/scripts", "media/words"), _makes("media/scenes")
    ),
    "video.composition": Task(
        _reads("media/scripts", "media/voiceovers", "media/words", "media/scenes"),
        _makes("media/captions", "media/music", "media/mixes", "media/videos", "media/thumbnails"),
    ),
    "video.review": Task(
        _reads("media/scripts", "media/words", "media/captions", "media/videos"),
        _makes("media/quality", "media/reviews", "media/decisions"),
    ),
    "reports.choose_leads": Task(GOLD),
    "reports.audit.gather": Task(GOLD, _makes("reports/inputs")),
    "reports.audit.render": Task(_reads("reports/inputs"), _makes("reports/lead_audit")),
    "reports.dossier_gather": Task({}, _makes("reports/dossier_inputs"), {"media/videos": READ}),
    "reports.dossier_render": Task(_reads("reports/dossier_inputs"), _makes("reports/dossier")),
}


def missing(event: dict[str, Any]) -> list[str]:
    """Return what an event of a task or a DAG lacks of what the table promises, one line each."""
    name, kind = event["job"]["name"], event["eventType"]
    is_dag = name in DAGS
    wanted_run = set(DAG_RUN if is_dag else RUN) | ({"errorMessage"} if kind == "FAIL" else set())
    found = _lacks(f"{name} {kind} run", wanted_run, event["run"]["facets"])
    found += _lacks(f"{name} {kind} job", JOB, event["job"]["facets"])
    if is_dag:
        return found
    task = TASKS[name]
    whole = kind == "COMPLETE" and event["run"]["facets"]["throughline_job"].get("status") != "skipped"
    reused = event["run"]["facets"]["throughline_job"].get("status") == "reused"
    for side, more, told in (
        ("inputs", "inputFacets", task.reads | (task.also if whole else {})),
        ("outputs", "outputFacets", task.makes),
    ):
        here = {item["name"]: item for item in event.get(side) or []}
        for dataset, carries in told.items():
            where = f"{name} {kind} {side} {dataset}"
            if dataset not in here:
                found.append(f"{where}: the dataset is not there")
                continue
            wanted = carries.start | (carries.end if whole else frozenset())
            if reused:  # a table version that stays as it is has not changed
                wanted -= {"lifecycleStateChange"}
            found += _lacks(where, wanted, here[dataset].get("facets"))
            found += _lacks(where, carries.use if whole else frozenset(), here[dataset].get(more))
        for dataset in here.keys() - told.keys():
            found += _lacks(f"{name} {kind} {side} {dataset}", DECLARED, here[dataset].get("facets"))
    return found


def _lacks(where: str, wanted: frozenset[str] | set[str], facets: dict[str, Any] | None) -> list[str]:
    return [f"{where}: no {facet}" for facet in sorted(wanted - set(facets or {}))]
