"""A job's production dossier: everything the job made, from what, when, for how much, and who approved it.

What is captured is the ledger's history of the job, narrowed to what stays true (no status of what still runs, nothing of
the dossier itself), and the parts of its JSON artifacts that are shown. Pictures are named by digest and handed in beside.
"""

from __future__ import annotations

import base64
import io
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.errors import InvalidInput, QualityGateFailed
from include.reports.lead_audit import lineage, lineage_attachment, w3c_time, xmp
from include.reports.render import TYPESETTER, Typeset, typeset
from include.reports.template import PICTURE, current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.reports.template import Template

SCHEMA = "throughline/dossier-inputs/1"
OWN_KINDS = frozenset({"dossier_inputs", "dossier"})
PICTURES = ("thumbnail", "review")
MOST_TRENDS = 10
MOST_ARTIFACTS = 400
MOST_STAGES = 60
MOST_PIXELS = 60_000_000
"""No picture of ours has more; one that claims to is not opened."""
WIDTHS = {"thumbnail": 480, "review": 1100}
"""Pixels across, as embedded."""
KIND_TITLES = {
    "source": "Source file",
    "table": "Lake table",
    "trends": "Scored trends",
    "report": "Trend report",
    "script": "Script",
    "voiceover": "Voice-over",
    "words": "Word times",
    "music": "Music",
    "mix": "Sound mix",
    "scene": "Scene",
    "captions": "Captions",
    "video": "Video",
    "thumbnail": "Thumbnail",
    "review": "Contact sheet",
    "quality": "Quality report",
    "decision": "Review decision",
    "report_inputs": "Inputs of an audit",
    "lead_audit": "Lead audit",
}


def captured(
    history: Mapping[str, Any],
    *,
    run: Mapping[str, str | None],
    contents: Mapping[str, Any],
    facts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the document of inputs.

    In    history: `include.ledger.history.job_history`; contents: kind -> parsed JSON artifact (trends, report, script,
          quality), where the job has it; facts: kind -> facts of the artifact (video, voiceover, script)
    Out   JSON; `captured_at` is when the newest of the job's artifacts was made

    Raises InvalidInput when the job has made nothing.
    """
    artifacts = [_artifact(item) for item in history["artifacts"] if item["kind"] not in OWN_KINDS]
    made = [item for item in artifacts if item["kind"] != "source"]
    if not made:
        raise InvalidInput(
            f"job {history['job']['job_id']} has made nothing yet: a dossier tells what a job made"
        )
    makers = {item["stage_run_id"] for item in artifacts}
    stages = [
        {name: stage[name] for name in _STAGE_FIELDS}
        for stage in history["stages"]
        if stage["stage_run_id"] in makers
        or (stage["status"] == "failed" and stage["stage"] not in _OWN_STAGES)
    ]
    shown = {item["kind"]: item["sha256"] for item in artifacts if item["kind"] in PICTURES}
    job = history["job"]
    return {
        "schema": SCHEMA,
        "job_id": str(job["job_id"]),
        "run": dict(run),
        "job": {name: job[name] for name in ("family", "theme", "params", "created_at")},
        "runs": [
            {name: item[name] for name in ("dag_id", "run_id", "started_at")} for item in history["runs"]
        ],
        "stages": stages,
        "artifacts": artifacts,
        "decisions": [dict(item) for item in history["decisions"]],
        "costs": [
            {name: str(item[name]) for name in ("provider", "model", "unit", "quantity", "amount_usd")}
            for item in history["costs"]
        ],
        "trends": _trends(contents.get("trends"), contents.get("script")),
        "report": _report(contents.get("report")),
        "script": _script(contents.get("script")),
        "quality": contents.get("quality"),
        "facts": {kind: dict(values) for kind, values in facts.items()},
        "pictures": shown,
        "inputs": [
            {"dataset": item["dataset"], "kind": item["kind"], "key": item["key"], "sha256": item["sha256"]}
            for item in artifacts
        ],
        "captured_at": max(item["created_at"] for item in artifacts),
    }


_STAGE_FIELDS = ("stage_run_id", "family", "stage", "key", "attempt", "status", "dag_id", "run_id", "started_at",
                 "finished_at", "error")  # fmt: skip
_OWN_STAGES = frozenset({"dossier_gather", "dossier_render"})


def make(
    document: Mapping[str, Any], pictures: Mapping[str, bytes], template: Template | None = None
) -> Typeset:
    """Return the dossier's PDF: a pure function of the captured inputs, its pictures and the typesetter's recipe.

    `pictures` maps sha256 to the bytes of a PNG; every one that the document names must be there.

    Raises InvalidInput for a document of another schema or a missing picture, and what `typeset` raises.
    """
    if document.get("schema") != SCHEMA:
        raise InvalidInput(f"captured inputs of schema {document.get('schema')!r}, expected {SCHEMA!r}")
    embedded = {}
    for kind, digest in document["pictures"].items():
        if digest not in pictures:
            raise InvalidInput(f"the {kind} {digest} that the captured inputs name is not at hand")
        embedded[kind] = picture(pictures[digest], WIDTHS[kind])
    chosen = template or current("dossier")
    line = lineage(document, f"job {document['job_id']}", chosen, TYPESETTER.recipe())
    return typeset(
        chosen.html(_view(document, embedded, line)),
        captured_at=datetime.fromisoformat(document["captured_at"]),
        attachments=(lineage_attachment(line),),
        xmp=xmp(line),
    )


def picture(content: bytes, width: int) -> str:
    """Return a PNG as a ``data:`` address of a JPEG no wider than `width` pixels.

    Raises QualityGateFailed when it is no picture, or one too large to open.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise QualityGateFailed(f"a picture of {image.width} x {image.height} pixels is too large")
            small = image.convert("RGB")
        if small.width > width:
            small = small.resize(
                (width, max(1, round(small.height * width / small.width))), Image.Resampling.LANCZOS
            )
        target = io.BytesIO()
        small.save(target, "JPEG", quality=86, optimize=False, subsampling=0)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise QualityGateFailed(f"a picture of the dossier cannot be read: {error}") from error
    return f"{PICTURE}{base64.b64encode(target.getvalue()).decode()}"


# -- capture -----------------------------------------------------------------------------------------------------


def _artifact(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: item[name]
        for name in (
            "kind",
            "key",
            "dataset",
            "name",
            "sha256",
            "size_bytes",
            "media_type",
            "stage",
            "stage_run_id",
        )
    }
    return {
        **kept,
        "reused": item["reused_from"] is not None,
        "created_at": item["created_at"],
        "inputs": [{name: edge[name] for name in ("kind", "key", "sha256")} for edge in item["inputs"]],
    }


def _trends(content: Any, script: Any) -> dict[str, Any] | None:
    """Return the best trends, with those that the script speaks of marked."""
    if not content:
        return None
    plan = _plan(script)
    spoken = {item.get("trend_id") for item in plan.get("evidence", {}).values()}
    rows = []
    for item in content["trends"]:
        trend = item["trend"]
        trend_id = f"{trend['platform']}:{trend['external_id']}"
        rows.append(
            {
                "trend_id": trend_id,
                "title": trend["title"],
                "channel": trend.get("channel"),
                "platform": trend["platform"],
                "views": trend.get("views"),
                "score": item["score"],
                "spoken": trend_id in spoken,
            }
        )
    rows.sort(key=lambda row: (-row["score"], row["trend_id"]))
    shown = [row for place, row in enumerate(rows) if place < MOST_TRENDS or row["spoken"]]
    return {
        "count": len(rows),
        "sources": content.get("sources", []),
        "shown": shown[: 2 * MOST_TRENDS],
    }


def _report(content: Any) -> dict[str, Any] | None:
    if not content:
        return None
    return {
        "trend_count": content["trend_count"],
        "reach_total": content.get("reach_total"),
        "reach_field": content.get("reach_field"),
        "styles": [
            {"name": item["name"], "count": item["count"], "share": item["share"]}
            for item in content.get("styles", [])[:6]
        ],
        "recommendations": [item["text"] for item in content.get("recommendations", [])[:5]],
    }


def _plan(script: Any) -> dict[str, Any]:
    if not script:
        return {}
    plan: dict[str, Any] = script.get("plan", script)
    return plan


def _script(content: Any) -> dict[str, Any] | None:
    plan = _plan(content)
    if not plan:
        return None
    evidence = plan.get("evidence", {})
    sentences = {
        item["id"]: {
            "text": item["text"],
            "evidence": [
                {"display": evidence[name]["display"], "of": evidence[name]["trend_id"], "field": evidence[name]["field"]}
                for name in item.get("evidence", [])
                if name in evidence
            ],
        }
        for item in plan["narration"]
    }  # fmt: skip
    return {
        "title": plan["title"],
        "theme": plan["theme"],
        "mood": plan["mood"],
        "target_s": plan["target_s"],
        "seed": plan["seed"],
        "hashtags": plan["hashtags"],
        "writer": plan["writer"],
        "scenes": [
            {
                "number": scene["number"],
                "start_s": scene["start_s"],
                "duration_s": scene["duration_s"],
                "visual": scene["visual"]["kind"],
                "palette": scene["visual"].get("palette"),
                "overlays": [overlay["text"] for overlay in scene.get("overlays", [])],
                "sentences": [
                    sentences[name] for name in scene.get("narration_ids", []) if name in sentences
                ],
            }
            for scene in plan["scenes"]
        ],
    }


# -- view --------------------------------------------------------------------------------------------------------


def _view(
    document: Mapping[str, Any], pictures: Mapping[str, str], line: Mapping[str, Any]
) -> dict[str, Any]:
    script, video = document["script"], document["facts"].get("video") or {}
    job = document["job"]
    title = (script or {}).get("title") or job["theme"] or f"Job {document['job_id'][:8]}"
    kinds: dict[str, int] = {}
    for item in document["artifacts"]:
        kinds[item["kind"]] = kinds.get(item["kind"], 0) + 1
    total = sum((Decimal(item["amount_usd"]) for item in document["costs"]), Decimal(0))
    return {
        "title": f"Production dossier: {title}",
        "description": f"What job {document['job_id']} made, from what",
        "created": w3c_time(document["captured_at"]),
        "name": title,
        "theme": (script or {}).get("theme") or job["theme"],
        "job": job,
        "job_id": document["job_id"],
        "runs": document["runs"],
        "script": script,
        "trends": document["trends"],
        "best_score": max(
            (row["score"] for row in (document["trends"] or {"shown": []})["shown"]), default=0
        ),
        "report": document["report"],
        "video": {**dict.fromkeys(_VIDEO_FACTS), **video},
        "video_artifact": next((item for item in document["artifacts"] if item["kind"] == "video"), None),
        "quality": _quality(document["quality"]),
        "decision": document["decisions"][-1] if document["decisions"] else None,
        "costs": _costs(document["costs"]),
        "total": f"{total:.4f}" if total else "0.00",
        "pictures": {kind: pictures.get(kind) for kind in PICTURES},
        "timeline": _timeline(document["stages"]),
        "artifacts": [
            {
                **item,
                "kind_title": KIND_TITLES.get(item["kind"], item["kind"].replace("_", " ").capitalize()),
                "inputs": _edges(item["inputs"]),
            }
            for item in document["artifacts"][:MOST_ARTIFACTS]
        ],
        "more_artifacts": max(0, len(document["artifacts"]) - MOST_ARTIFACTS),
        "counts": {
            "artifacts": len(document["artifacts"]),
            "sources": kinds.get("source", 0),
            "reused": sum(item["reused"] for item in document["artifacts"]),
        },
        "lineage": {**line, "inputs": []},
    }


_VIDEO_FACTS = ("width", "height", "fps", "duration_s", "frames")


def _edges(edges: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an artifact's inputs in few words: many of one kind are counted."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for edge in edges:
        by_kind.setdefault(edge["kind"], []).append(edge)
    found = []
    for kind, items in sorted(by_kind.items()):
        if len(items) > 3:
            found.append(f"{len(items)} × {kind}")
        else:
            found += [
                f"{kind}{' ' + item['key'] if item['key'] else ''} {item['sha256'][:8]}" for item in items
            ]
    return found


def _quality(content: Any) -> list[dict[str, Any]]:
    """Return the checks of the automatic quality report: name, passed, found, wanted."""
    return [
        {
            "name": str(check["name"]).replace("_", " "),
            "passed": bool(check["passed"]),
            "found": str(check["found"]),
            "wanted": str(check["wanted"]),
        }
        for check in (content or {}).get("checks", [])
    ]


def _costs(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the costs by provider, model and unit, exact sums."""
    sums: dict[tuple[str, str, str], list[Decimal]] = {}
    for row in rows:
        place = (row["provider"], row["model"], row["unit"])
        found = sums.setdefault(place, [Decimal(0), Decimal(0)])
        found[0] += Decimal(row["quantity"])
        found[1] += Decimal(row["amount_usd"])
    return [
        {"provider": provider, "model": model, "unit": unit, "quantity": f"{quantity.normalize():f}", "amount_usd": f"{amount.normalize():f}"}
        for (provider, model, unit), (quantity, amount) in sorted(sums.items())
    ]  # fmt: skip


def _timeline(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the stage runs as bars on one axis of seconds since the first began; idle time is left out.

    A job may wait a day for a person: gaps of more than five seconds are drawn as five.
    """
    spans = []
    for stage in stages:
        if stage["started_at"] and stage["finished_at"]:
            begin, end = (
                datetime.fromisoformat(stage[name]).timestamp() for name in ("started_at", "finished_at")
            )
            spans.append((begin, max(begin, end), stage))
    spans.sort(key=lambda span: (span[0], span[1], span[2]["stage_run_id"]))
    shift, reach, bars = 0.0, None, []
    for begin, end, stage in spans[:MOST_STAGES]:
        if reach is None:
            shift = begin
        elif begin - reach > 5:
            shift += begin - reach - 5
        reach = end if reach is None else max(reach, end)
        bars.append(
            {
                "stage": stage["stage"],
                "key": stage["key"],
                "family": stage["family"],
                "failed": stage["status"] == "failed",
                "start_s": begin - shift,
                "length_s": end - begin,
                "error": stage["error"],
            }
        )
    total = max((bar["start_s"] + bar["length_s"] for bar in bars), default=0.0)
    return {
        "bars": bars,
        "total_s": total,
        "more": max(0, len(spans) - MOST_STAGES),
        "from": min((span[2]["started_at"] for span in spans), default=None),
        "to": max((span[2]["finished_at"] for span in spans), default=None),
        "work_s": sum(end - begin for begin, end, _ in spans),
    }
