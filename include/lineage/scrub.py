"""What every event passes before it is stored anywhere: secrets out, hostile text harmless, the job named.

Wired by the OpenLineage client as ``transform``: it wraps the event table and the local file, so that neither
ever sees a raw event. The provider redacts by key names only, and not below ``dagRun.conf`` of task events;
here conf passes by an allow-list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openlineage.client.serde import Serde
from openlineage.client.transport.transform.transform import EventTransformer

from include.lineage.facets import JOB_FACET, PRODUCER, ThroughlineJobRunFacet
from include.lineage.naming import job_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CONF_KEYS = frozenset(
    [
        "job_id",
        "source",
        "theme",
        "content_references",
        "mood",
        "target_s",
        "size",
        "fps",
        "seed",
        "writer",
        "writer_model",
        "voice",
        "language",
        "music",
        "review",
        "fresh",
        "tables",
        "partition",
        "leads",
        "n_leads",
        "template",
        "dossier",
        "budget_usd",
        "dry_run",
        "openlineage",
    ]
)
SECRET_KEY = re.compile(r"pass(word|wd)?$|secret|token|api_?key|private_?key|credential|authorization", re.I)
URL_LOGIN = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s:@]+:[^/\s@]+@")
ADDRESS = re.compile(r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)+")
UNSTORABLE = re.compile(
    "[\x00\ud800-\udfff]"
)  # PostgreSQL's jsonb refuses NUL, UTF-8 refuses lone surrogates
HIDDEN = "***"
DROPPED_FACETS = ("unknownSourceAttribute", "environmentVariables", "debug")


def clean_text(text: str) -> str:
    r"""Return the text without logins, mail addresses and characters that cannot be stored.

    >>> clean_text("postgresql://me:pw@db/x by a.b@c.example\x00")
    'postgresql://***@db/x by ***'
    """
    text = UNSTORABLE.sub("", text)
    return ADDRESS.sub(HIDDEN, URL_LOGIN.sub(rf"\g<scheme>{HIDDEN}@", text)) if "@" in text else text


def clean(value: Any, key: str = "") -> Any:
    """Return a JSON value with every string cleaned and every secret-named value hidden."""
    if isinstance(value, dict):
        return {clean_text(str(name)): clean(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, key) for item in value]
    if isinstance(value, str):
        return HIDDEN if value and SECRET_KEY.search(key) else clean_text(value)
    return value


def scrub(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as it may be stored: clean, with `throughline_job` on every run event of a DAG run."""
    run = event.get("run")
    if not run:
        return clean(event)  # type: ignore[no-any-return]  # a dict goes in, a dict comes out
    facets: dict[str, Any] = {
        name: facet for name, facet in (run.get("facets") or {}).items() if name not in DROPPED_FACETS
    }
    given: dict[str, Any] = {}
    for dag_run in _dag_runs(facets):
        conf = dag_run.get("conf")
        given = dag_run
        if isinstance(conf, dict):
            dag_run["conf"] = {name: value for name, value in conf.items() if name in CONF_KEYS}
    parent = facets.get("parent")
    if _is_dag(event) and parent:
        # A real Marquez renames a DAG's job after its parent and leaves a ghost under the old name.
        del facets["parent"]
    if given:
        facets[JOB_FACET] = _named(facets.get(JOB_FACET), given, event, parent)
    return clean({**event, "run": {**run, "facets": facets}})  # type: ignore[no-any-return]


def _dag_runs(facets: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every dagRun object that a facet holds (task and DAG events name the facet differently)."""
    for facet in facets.values():
        if isinstance(facet, dict) and isinstance(facet.get("dagRun"), dict):
            yield facet["dagRun"]


def _is_dag(event: dict[str, Any]) -> bool:
    job_type = ((event.get("job") or {}).get("facets") or {}).get("jobType") or {}
    return job_type.get("jobType") == "DAG"


def _named(
    facet: dict[str, Any] | None,
    dag_run: dict[str, Any],
    event: dict[str, Any],
    parent: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the job facet: the operator's own where there is one, completed from the DAG run."""
    dag_id, run_id = str(dag_run["dag_id"]), str(dag_run["run_id"])
    if facet is None:
        stage = None if _is_dag(event) else event["job"]["name"].removeprefix(f"{dag_id}.")
        facet = Serde.to_dict(
            ThroughlineJobRunFacet(
                producer=PRODUCER,
                job_id=str(job_id_of(dag_id, run_id, dag_run.get("conf"))),
                dag_id=dag_id,
                run_id=run_id,
                stage=stage,
            )
        )
    if _is_dag(event) and parent:
        facet = {**facet, "triggered_by": {"job": parent["job"]["name"], "run": parent["run"]["runId"]}}
    return facet


class Scrub(EventTransformer):
    """The transformer that the OpenLineage client is configured with."""

    def transform(self, event: Any) -> Any:
        """Return the scrubbed event as a JSON object; every transport of the client takes one."""
        return scrub(Serde.to_dict(event))
