"""The line as an RO-Crate: a zip with ``ro-crate-metadata.json`` and, when asked for, the files themselves.

RO-Crate 1.1, profile Process Run Crate 0.5: one `CreateAction` for every stage run that made something, from its
inputs (`object`) to its outputs (`result`). A run that took finished bytes over made nothing: it is an `Action`.

Source: https://www.researchobject.org/ro-crate/specification/1.1/, https://w3id.org/ro/wfrun/process/0.5
"""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.artifacts.store import Store
    from include.proof.export.record import Record, Run
    from include.proof.trace import Making

METADATA = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [f"{CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # files have no time of their own: their digest is what they are

Entity = dict[str, Any]


def metadata(record: Record, *, with_files: bool, at: datetime | None = None) -> dict[str, Any]:
    """Return the JSON-LD of the crate. `at` is when it is published, by default now."""
    files = {item.sha256: item for item in reversed(record.artifacts.values())}
    addresses = {sha256: address(item, with_files=with_files) for sha256, item in files.items()}
    actions = [_action(record, run, addresses) for run in record.runs.values() if _made(record, run)]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": record.title,
        "description": f"{len(record.artifacts)} artifacts and the {len(actions)} runs behind them, with the exact "
        "inputs of each by digest",
        "datePublished": (at or datetime.now(UTC)).isoformat(timespec="seconds"),
        "license": {"@id": "#licence"},
        "author": {"@id": "#deployment"},
        "publisher": {"@id": "#deployment"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": _links(addresses.values()),
        "mentions": _links(action["@id"] for action in actions),
    }
    return {
        "@context": CONTEXT,
        "@graph": [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": {"@id": CRATE},
                "about": {"@id": "./"},
            },
            root,
            {
                "@id": PROFILE,
                "@type": "CreativeWork",
                "name": "Process Run Crate",
                "version": "0.5",
            },
            {
                "@id": "#licence",
                "@type": "CreativeWork",
                "name": "No licence stated",
                "description": "A record for whoever may read this deployment; the rights in its files stay as they are.",
            },
            {
                "@id": "#deployment",
                "@type": "Organization",
                "name": f"Throughline deployment {record.namespace}",
            },
            *_software(record),
            *(_file(record, item, addresses[item.sha256]) for item in files.values()),
            *actions,
        ],
    }


def address(item: Making, *, with_files: bool) -> str:
    """Return the `@id` of an artifact's bytes: a path in the zip, or the address in the store they stay in."""
    return item.path if with_files else f"throughline://store/{item.path}"


def write(record: Record, out: IO[bytes], *, store: Store | None = None, at: datetime | None = None) -> None:
    """Write the zip; with a store, the files too, each checked against its digest before it is packed.

    Raises ArtifactCorrupt.
    """
    described = metadata(record, with_files=store is not None, at=at)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as crate:
        crate.writestr(zipfile.ZipInfo(METADATA, ZIP_EPOCH), json.dumps(described, indent=1) + "\n")
        if store is None:
            return
        for path, sha256 in sorted({(item.path, item.sha256) for item in record.artifacts.values()}):
            info = zipfile.ZipInfo(path, ZIP_EPOCH)
            info.external_attr = 0o644 << 16
            with (
                store.open(path, sha256).open("rb") as source,
                crate.open(info, "w", force_zip64=True) as target,
            ):
                while chunk := source.read(1 << 20):
                    target.write(chunk)


def _made(record: Record, run: Run) -> bool:
    return any(
        item.stage_run_id == run.stage_run_id and not item.is_source for item in record.artifacts.values()
    )


def _action(record: Record, run: Run, addresses: dict[str, str]) -> Entity:
    inputs = record.inputs()
    results = [
        item
        for item in record.artifacts.values()
        if item.stage_run_id == run.stage_run_id and not item.is_source
    ]
    read = {addresses[used.sha256] for item in results for used in inputs[item.artifact_id]}
    made = {addresses[item.sha256] for item in results}
    took_over = run.status == "reused"
    ids = [f"job {run.job_id}", f"run {run.run_id}" if run.run_id else "", f"try {run.try_number}"]
    verb = "took finished outputs over for" if took_over else "ran for"
    return {
        "@id": f"#run-{run.stage_run_id}",
        "@type": "Action" if took_over else "CreateAction",
        "name": f"{run.where} {run.key}".strip(),
        "description": f"{run.where} {verb} " + ", ".join(word for word in ids if word),
        "identifier": f"urn:uuid:{run.ol_run_id or run.stage_run_id}",
        "instrument": {"@id": _software_id(run)},
        "agent": {"@id": "#deployment"},
        "startTime": run.started_at.isoformat(timespec="seconds"),
        "endTime": run.finished_at.isoformat(timespec="seconds"),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "object": _links(read - made),
        "result": _links(made),
    }


def _links(ids: Iterable[str]) -> Entity | list[Entity]:
    """Return references in a fixed order; RO-Crate wants a single one without a list around it."""
    links = [{"@id": found} for found in sorted(ids)]
    return links[0] if len(links) == 1 else links


def _software(record: Record) -> list[Entity]:
    found = {
        _software_id(run): {
            "@id": _software_id(run),
            "@type": "SoftwareApplication",
            "name": f"{run.family} {run.stage}",
            "softwareVersion": run.code_digest,
        }
        for run in record.runs.values()
        if _made(record, run)
    }
    return list(found.values())


def _software_id(run: Run) -> str:
    words = (run.family, run.stage, run.code_digest)
    return "throughline://stage/" + "/".join(quote(word, safe="") for word in words)


def _file(record: Record, item: Making, found: str) -> Entity:
    origin = item.facts.get("uri") if item.is_source else None
    return {
        "@id": found,
        "@type": "File",
        "name": PurePosixPath(record.file(item)).name,
        "description": f"{item.kind} {item.key}".strip() + f" of dataset {item.dataset}, job {item.job_id}",
        "alternateName": record.file(item),
        "encodingFormat": item.media_type,
        "contentSize": str(item.size_bytes),
        "sha256": item.sha256,
        "sdDatePublished": item.created_at.isoformat(),
        **({"isBasedOn": str(origin)} if origin else {}),
    }
