"""Names in the lineage graph: logical, portable, stable, never per job.

Source: the naming rules of OpenLineage (https://openlineage.io/docs/spec/naming), narrowed by what a Marquez 0.51
can hold: a dataset name starts with a letter and has neither ``#`` nor ``:``.
"""

import re
from uuid import UUID, uuid5

from include.errors import InvalidInput

JOB_NAMESPACE = UUID("7d2b0f0a-53a5-5c2e-9d0e-3a1f6f0d9c11")
DATASET_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_./\-]*$")

DATASET_OF_KIND = {
    "trends": "media/trends",
    "report": "media/reports",
    "script": "media/scripts",
    "voiceover": "media/voiceovers",
    "words": "media/words",
    "music": "media/music",
    "mix": "media/mixes",
    "scene": "media/scenes",
    "captions": "media/captions",
    "video": "media/videos",
    "thumbnail": "media/thumbnails",
    "review": "media/reviews",
    "quality": "media/quality",
    "decision": "media/decisions",
    "report_inputs": "reports/inputs",
    "lead_audit": "reports/lead_audit",
    "dossier_inputs": "reports/dossier_inputs",
    "dossier": "reports/dossier",
}


def dataset_of_kind(kind: str) -> str:
    """Return the dataset that artifacts of a kind belong to.

    >>> dataset_of_kind("scene")
    'media/scenes'
    """
    return DATASET_OF_KIND.get(kind) or check_name(f"media/{kind}")


def check_name(name: str) -> str:
    """Return the name if every lineage server can hold it; InvalidInput otherwise."""
    if not DATASET_NAME.match(name):
        raise InvalidInput(f"dataset name {name!r}: a letter first, then letters, digits and _ . / - only")
    return name


def derived_job_id(dag_id: str, run_id: str) -> UUID:
    """Return the job_id of a DAG run that was given none: a retry before the first XCom finds the same job.

    >>> derived_job_id("video", "manual__1") == derived_job_id("video", "manual__1")
    True
    """
    return uuid5(JOB_NAMESPACE, f"{dag_id}/{run_id}")


def job_id_of(dag_id: str, run_id: str, conf: object) -> UUID:
    """Return the job_id that a run works for: the one in its conf when that is a UUID, else the derived one."""
    given = conf.get("job_id") if isinstance(conf, dict) else None
    if given:
        try:
            return UUID(str(given))
        except ValueError:
            pass  # the first task refuses it; the run's events stay with the run's own job
    return derived_job_id(dag_id, run_id)


def is_rehearsal(run_id: str | None) -> bool:
    """Return whether a run id is the temporary one of `airflow tasks test` without a run."""
    return run_id is None or run_id.startswith("__airflow_temporary_run_")
