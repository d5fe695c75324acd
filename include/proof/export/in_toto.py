"""The line as in-toto statements: for each artifact, what was built, by which run, from which exact inputs.

One JSON object per line: an in-toto Statement v1 with a SLSA Provenance v1 predicate. They are not signed: the
deployment holds no signing key, and an envelope without one would only look like proof. A reused artifact names the
run that wrote its bytes, and who took them over. Sources have no statement: nobody here built them; they are
dependencies.

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.lineage.facets import PRODUCER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.proof.export.record import Record, Run
    from include.proof.trace import Making

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://throughline.example/build/stage/v1"


def statements(record: Record) -> Iterator[dict[str, Any]]:
    """Yield one statement per artifact that was made, in the order they were made."""
    inputs = record.inputs()
    for item in record.artifacts.values():
        if item.is_source:
            continue
        maker = record.maker(item)
        yield {
            "_type": STATEMENT,
            "subject": [{"name": record.file(item), "digest": {"sha256": item.sha256}}],
            "predicateType": PREDICATE,
            "predicate": _provenance(record, item, maker, inputs[maker.artifact_id]),
        }


def _provenance(record: Record, item: Making, maker: Making, inputs: list[Making]) -> dict[str, Any]:
    run = record.runs[maker.stage_run_id]
    taken_over = {} if item is maker else {"takenOverBy": _coordinates(record.runs[item.stage_run_id])}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "jobId": str(run.job_id),
                "family": run.family,
                "stage": run.stage,
                "key": run.key,
                "artifact": {"kind": maker.kind, "key": maker.key, "dataset": maker.dataset},
            },
            "internalParameters": {"recipe": run.recipe, "airflow": _coordinates(run), **taken_over},
            "resolvedDependencies": [
                *(_dependency(used) for used in inputs),
                {"name": f"code of {run.stage}", "digest": {"sha256": run.code_digest}},
            ],
        },
        "runDetails": {
            "builder": {
                "id": f"throughline://{quote(record.namespace, safe='')}",
                "version": {"throughline": PRODUCER.rpartition("/")[2]},
            },
            "metadata": {
                "invocationId": invocation(run),
                "startedOn": _moment(run.started_at),
                "finishedOn": _moment(run.finished_at),
            },
        },
    }


def invocation(run: Run) -> str:
    """Return the run as an address: the Airflow coordinates with the try, or the stage run where there are none."""
    if run.dag_id is None or run.run_id is None or run.task_id is None:
        return f"urn:uuid:{run.stage_run_id}"
    words = (run.dag_id, run.run_id, run.task_id, str(run.map_index), str(run.try_number))
    return "airflow:" + "/".join(quote(word, safe="") for word in words)


def _coordinates(run: Run) -> dict[str, Any]:
    return {
        "jobId": str(run.job_id),
        "stageRunId": str(run.stage_run_id),
        "dagId": run.dag_id,
        "runId": run.run_id,
        "taskId": run.task_id,
        "mapIndex": run.map_index,
        "tryNumber": run.try_number,
        "openlineageRunId": str(run.ol_run_id) if run.ol_run_id else None,
    }


def _dependency(used: Making) -> dict[str, Any]:
    return {
        "name": f"{used.kind} {used.key}".strip(),
        "uri": str(used.facts.get("uri") or f"throughline://store/{used.path}"),
        "digest": {"sha256": used.sha256},
        "mediaType": used.media_type,
        "annotations": {"artifactId": str(used.artifact_id), "dataset": used.dataset},
    }


def _moment(value: Any) -> str:
    return str(value.isoformat(timespec="seconds").replace("+00:00", "Z"))


def document(record: Record) -> str:
    """Return the file: JSON lines (`.intoto.jsonl`)."""
    return "".join(json.dumps(statement, separators=(",", ":")) + "\n" for statement in statements(record))
