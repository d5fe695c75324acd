"""Where a lineage server shows something else than the ledger's events say, asked over its HTTP API.

Compared for every run of the event table: that it is there, its job, state, start and end, its input and output
datasets and the `throughline_job` facet; for every job name the edges of its newest ended run; for every dataset
that it is there and has the column edges of its newest output.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from include.ledger.models import Event
from include.lineage.facets import JOB_FACET, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from include.marquez.client import MarquezClient

STATES = {"COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
Place = tuple[str, str]
ASKING = 4  # requests at a time
Output = tuple[UUID, dict[str, Any]]  # the run that made it, and what its event says


@dataclass(frozen=True)
class Difference:
    """One thing that the server shows otherwise: `what` is run, state, time, job, dataset, edge, column or facet.

    `run_id` is the run whose events say what is expected.
    """

    what: str
    where: str
    expected: str
    found: str
    run_id: UUID | None = None

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.what} {self.where}: the ledger says {self.expected}, the server {self.found}"


@dataclass(frozen=True)
class Comparison:
    """How much was compared, and what differs."""

    jobs: int
    datasets: int
    runs: int
    differences: tuple[Difference, ...]


@dataclass
class _Run:
    """What the delivered events of one run say."""

    run_id: UUID
    job: Place
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def end(self) -> dict[str, Any] | None:
        ends = [event for event in self.events if event["eventType"] in TERMINAL]
        return max(ends, key=_time) if ends else None

    @property
    def state(self) -> str:
        return STATES[self.end["eventType"]] if self.end else "RUNNING"

    @property
    def started(self) -> datetime | None:
        starts = [_time(event) for event in self.events if event["eventType"] == "START"]
        return min(starts) if starts else None

    def datasets(self, side: str) -> set[Place]:
        return {(item["namespace"], item["name"]) for event in self.events for item in event.get(side) or []}

    @property
    def facet(self) -> dict[str, Any] | None:
        told = self.end or max(self.events, key=_time)
        found: dict[str, Any] | None = told["run"]["facets"].get(JOB_FACET)
        return found


def compare(
    session: Session, client: MarquezClient, job_id: UUID | None = None, since: datetime | None = None
) -> Comparison:
    """Compare the events (of one job, or all; of runs that said something since a moment) with what the server answers.

    Dead and withdrawn events are nothing that a server is expected to show.
    """
    standing = (Event.dead_at.is_(None), Event.withdrawn_at.is_(None))
    query = select(Event.run_id, Event.body).where(*standing).order_by(Event.seq)
    if job_id is not None:
        query = query.where(Event.job_id == job_id)
    if since is not None:
        query = query.where(Event.run_id.in_(select(Event.run_id).where(Event.created_at >= since)))
    runs: dict[UUID, _Run] = {}
    for run_id, body in session.execute(query):
        job = (body["job"]["namespace"], body["job"]["name"])
        runs.setdefault(run_id, _Run(run_id, job)).events.append(body)
    newest = _newest_by_job(session, {run.job for run in runs.values()})
    datasets = {
        place for run in runs.values() for side in ("inputs", "outputs") for place in run.datasets(side)
    }
    outputs = {place: _newest_output(session, place) for place in datasets}
    asks = [
        *(partial(_compare_run, client, run) for run in runs.values()),
        *(partial(_compare_edges, client, run) for run in newest.values()),
        *(partial(_compare_dataset, client, place, outputs[place]) for place in sorted(datasets)),
    ]
    with ThreadPoolExecutor(ASKING) as pool:
        found = [difference for part in pool.map(lambda ask: list(ask()), asks) for difference in part]
    return Comparison(len(newest), len(datasets), len(runs), tuple(found))


def _time(event: dict[str, Any]) -> datetime:
    return _parsed(event["eventTime"])


def _parsed(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _newest_by_job(session: Session, jobs: set[Place]) -> dict[Place, _Run]:
    """Return for each job name the run that ended last, over all jobs of the ledger: its edges are the current ones."""
    newest: dict[Place, _Run] = {}
    for namespace, name in jobs:
        last = session.execute(
            select(Event.run_id)
            .where(
                Event.job_namespace == namespace,
                Event.job_name == name,
                Event.event_type.in_(TERMINAL),
                Event.delivered_at.is_not(None),
                Event.withdrawn_at.is_(None),
            )
            .order_by(Event.event_time.desc(), Event.seq.desc())
            .limit(1)
        ).scalar_one_or_none()
        if last is not None:
            bodies = session.execute(
                select(Event.body)
                .where(Event.run_id == last, Event.withdrawn_at.is_(None))
                .order_by(Event.seq)
            ).scalars()
            newest[namespace, name] = _Run(last, (namespace, name), list(bodies))
    return newest


def _newest_output(session: Session, place: Place) -> Output | None:
    """Return what the newest delivered COMPLETE of all runs says of a dataset it made; its column edges are current."""
    named = [{"namespace": place[0], "name": place[1]}]
    row = session.execute(
        select(Event.run_id, Event.body)
        .where(
            Event.event_type == "COMPLETE",
            Event.delivered_at.is_not(None),
            Event.withdrawn_at.is_(None),
            Event.body["outputs"].contains(named),
        )
        .order_by(Event.event_time.desc(), Event.seq.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return row.run_id, next(
        item for item in row.body["outputs"] if (item["namespace"], item["name"]) == place
    )


def _compare_run(client: MarquezClient, run: _Run) -> Iterator[Difference]:
    where = f"{run.job[1]} {run.run_id}"
    shown = client.run(str(run.run_id))
    if shown is None:
        yield Difference("run", where, run.state, "no such run", run.run_id)
        return
    if shown["state"] != run.state:
        yield Difference("state", where, run.state, str(shown["state"]), run.run_id)
    for name, expected in (("startedAt", run.started), ("endedAt", _time(run.end) if run.end else None)):
        value = _parsed(shown[name]) if shown.get(name) else None
        if expected is not None and (value is None or abs((value - expected).total_seconds()) >= 0.001):
            yield Difference("time", f"{where} {name}", str(expected), str(value), run.run_id)
    for side, field_name in (("inputs", "inputDatasetVersions"), ("outputs", "outputDatasetVersions")):
        listed = {
            (item["datasetVersionId"]["namespace"], item["datasetVersionId"]["name"])
            for item in shown.get(field_name) or []
        }
        for place in sorted(run.datasets(side) ^ listed):
            yield Difference("dataset", f"{where} {side}", *_present(place, listed), run.run_id)
    expected_facet = run.facet
    shown_facet = (shown.get("facets") or {}).get(JOB_FACET)
    if expected_facet != shown_facet:
        told = (_brief(expected_facet), _brief(shown_facet))
        yield Difference("facet", f"{where} {JOB_FACET}", *told, run.run_id)


def _compare_edges(client: MarquezClient, run: _Run) -> Iterator[Difference]:
    shown = client.job(*run.job)
    if shown is None:
        yield Difference("job", run.job[1], "a job", "no such job", run.run_id)
        return
    for side in ("inputs", "outputs"):
        listed = {(item["namespace"], item["name"]) for item in shown.get(side) or []}
        for place in sorted(run.datasets(side) ^ listed):
            yield Difference("edge", f"{run.job[1]} {side}", *_present(place, listed), run.run_id)


def _compare_dataset(client: MarquezClient, place: Place, newest: Output | None) -> Iterator[Difference]:
    shown = client.dataset(*place)
    run_id, output = newest or (None, {})
    if shown is None:
        yield Difference("dataset", place[1], "a dataset", "no such dataset", run_id)
        return
    if "columnLineage" not in (output.get("facets") or {}):
        return
    expected = {
        (column, entry["namespace"], entry["name"], entry["field"])
        for column, fields in output["facets"]["columnLineage"]["fields"].items()
        for entry in fields["inputFields"]
    }
    listed = {
        (column["name"], entry["namespace"], entry.get("dataset") or entry.get("name"), entry["field"])
        for column in shown.get("columnLineage") or []
        for entry in column["inputFields"]
    }
    for edge in sorted(expected - listed):
        yield Difference(
            "column", f"{place[1]}.{edge[0]}", f"from {edge[2]}.{edge[3]}", "no such edge", run_id
        )


def _present(place: Place, listed: set[Place]) -> tuple[str, str]:
    name = "/".join(place)
    return ("nothing", name) if place in listed else (name, "nothing")


def _brief(facet: dict[str, Any] | None) -> str:
    if facet is None:
        return "nothing"
    return f"job {facet.get('job_id')} with {len(facet.get('artifacts') or [])} artifacts"
