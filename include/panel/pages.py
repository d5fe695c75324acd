"""From values to HTML: one Jinja environment, every value escaped, addresses relative to where the app is mounted."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from include.proof.drawing.svg import HERE as DRAWING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"


def render(request: Request, view: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page; `values` are what the view names, every one of them escaped where it is shown."""
    template = environment().get_template(f"{view}.html")
    place = Place(str(request.scope.get("root_path", "")))
    return HTMLResponse(template.render(place=place, **values), status_code=http_status)


class Place:
    """Addresses of the panel's pages and of Airflow's, below whatever path the app is mounted at."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.airflow_root = self.root.rpartition("/")[0]

    def __call__(self, path: str = "/", **query: Any) -> str:
        """Return the address of one of the panel's pages; parameters without a value are left out."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self.root + path + (f"?{urlencode(given)}" if given else "")

    def job(self, job_id: Any) -> str:
        """Return the address of a job's page."""
        return self(f"/jobs/{quote(str(job_id), safe='')}")

    def artifact(self, artifact_id: Any) -> str:
        """Return the address of an artifact's page."""
        return self(f"/artifacts/{quote(str(artifact_id), safe='')}")

    def file(self, artifact_id: Any) -> str:
        """Return the address of an artifact's bytes."""
        return self.artifact(artifact_id) + "/file"

    def blob(self, sha256: str) -> str:
        """Return the address of the page of these bytes."""
        return self(f"/blobs/{quote(sha256, safe='')}")

    def graph(self, node: str, depth: int | None = None) -> str:
        """Return the address of the lineage graph around a job or dataset."""
        return self("/graph", node=node, depth=depth)

    def static(self, name: str) -> str:
        """Return the address of a static file; it changes with the file."""
        return self(f"/static/{name}", v=fingerprint(name))

    def dag_run(self, dag_id: str, run_id: str) -> str:
        """Return the address of a DAG run in Airflow's UI."""
        return f"{self.airflow_root}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int | None = -1) -> str:
        """Return the address of a task's run in Airflow's UI."""
        mapped = "" if map_index is None or map_index < 0 else f"/mapped/{map_index}"
        return f"{self.dag_run(dag_id, run_id)}/tasks/{quote(task_id, safe='')}{mapped}"


@cache
def fingerprint(name: str) -> str:
    """Return a short digest of a static file."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


@cache
def environment() -> Environment:
    """Return the one environment of all views."""
    made = Environment(
        loader=FileSystemLoader([HERE / "views", DRAWING]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        size=size, when=when, seconds=seconds, short=short, digest=digest, pretty=pretty, state=state_class
    )
    return made


def size(count: int) -> str:
    """Return a number of bytes for people, in powers of ten.

    >>> size(999), size(1500), size(12_345_678)
    ('999 B', '1.5 kB', '12.3 MB')
    """
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{count} B"


def when(value: str | datetime | None) -> str:
    """Return a moment in UTC, to the second.

    >>> when("2026-01-02T03:04:05.678+00:00")
    '2026-01-02 03:04:05'
    """
    moment = _moment(value)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else "–"


def seconds(start: str | datetime | None, end: str | datetime | None) -> str:
    """Return how long something took.

    >>> seconds("2026-01-02T03:04:05+00:00", "2026-01-02T03:05:06.5+00:00")
    '1 min 2 s'
    """
    begun, ended = _moment(start), _moment(end)
    if begun is None or ended is None:
        return "–"
    took = (ended - begun).total_seconds()
    if took < 1:
        return f"{took * 1000:.0f} ms"
    if took < 10:
        return f"{took:.1f} s"
    if took < 60:
        return f"{took:.0f} s"
    minutes, rest = divmod(round(took), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def short(value: Any) -> str:
    """Return the first eight characters of an id, enough to tell it from its neighbours."""
    return str(value)[:8]


def digest(sha256: str) -> str:
    """Return the beginning of a digest."""
    return f"{sha256[:12]}…"


def pretty(value: Any) -> str:
    """Return a value as text: JSON for lists and objects."""
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return "–" if value is None else str(value)


STATES: Mapping[str, str] = {
    "completed": "ok",
    "succeeded": "ok",
    "success": "ok",
    "approved": "ok",
    "reused": "again",
    "running": "busy",
    "announced": "busy",
    "failed": "bad",
    "rejected": "bad",
    "stale": "idle",
    "skipped": "idle",
}


def state_class(status: str) -> str:
    """Return the class that colours a state; its word is always shown beside the colour."""
    return STATES.get(status.lower(), "idle")


def _moment(value: str | datetime | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
