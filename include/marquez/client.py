"""The one client of the Marquez API; it cannot tell the embedded server from a real Marquez, except by asking `identity`.

Reads answer ``None`` for what the server does not know. Failures are ours: `ProviderAway` (the server takes nothing now),
`ProviderUnavailable` (it failed at this request: try again) and `ProviderRefused` (it will never take this).
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

import httpx

from include.errors import ProviderAway, ProviderRefused, ProviderUnavailable
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from uuid import UUID

Json = dict[str, Any]

IDENTITY_HEADER = "x-lineage-server"
"""The embedded server names itself in this header of every answer; a real Marquez has none."""
BATCH_SIZE = 500
BATCH_BYTES = 8 * 2**20
"""Most events and most bytes of one request; a single event may be larger."""
BATCH_PATH = "/api/v1/lineage/batch"
PAGE = 100
IDENTITY_TIMEOUT_S = 5.0
SERVER_AT_FAULT = frozenset({401, 403, 404, 405, 407, 408, 425, 429, 502, 503, 504})
"""Statuses of a POST that say nothing about the event: a wrong address or token, a server that has enough to do or is away."""
NOT_TRIED = 424
"""Status of an event in a batch that was left alone because an earlier event of its run was refused."""


@dataclass(frozen=True)
class Delivery:
    """What became of one event: taken, or refused with the server's status and words."""

    status: int
    error: str = ""

    @property
    def delivered(self) -> bool:
        return self.status < 300

    @property
    def tried(self) -> bool:
        return self.status != NOT_TRIED


class MarquezClient:
    """A client of one server; safe to use from several threads, to be closed after use (or used in ``with``).

    `url` is the server's root (``http://127.0.0.1:5000``), `admin_url` that of its admin port, `token` a bearer token.
    """

    def __init__(
        self, url: str, admin_url: str | None = None, token: str | None = None, timeout_s: float = 30.0
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self.admin_url = admin_url.rstrip("/") if admin_url else None
        self._http = httpx.Client(timeout=timeout_s, headers=headers)
        self._takes_batches: bool | None = None
        self._asking = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- writing ------------------------------------------------------------------------------------------------------

    def post_event(self, event: Json) -> Delivery:
        """Send one OpenLineage event.

        Raises
        ------
        ProviderAway
            The server takes nothing now.
        ProviderUnavailable
            It failed at this event, or did not answer in time; the event may succeed later.
        """
        response = self._send("POST", "/api/v1/lineage", content=_dumps(event))
        return _delivery(response, self.url)

    def deliver(self, event: Json) -> None:
        """Send one event; `ProviderRefused` when the server will never take it, `ProviderUnavailable` when it may later."""
        delivery = self.post_event(event)
        if not delivery.delivered:
            raise ProviderRefused(f"{self.url} refused the event with {delivery.status}: {delivery.error}")

    def takes_batches(self) -> bool:
        """Return whether the server takes many events in one request; asked once, and again after it was away."""
        with self._asking:
            if self._takes_batches is None:
                response = self._send("POST", BATCH_PATH, content=b"[]")
                if response.status_code not in (404, 405):
                    _delivery(response, self.url)
                self._takes_batches = response.status_code == 200
            return self._takes_batches

    def post_batch(self, events: Sequence[Json]) -> list[Delivery]:
        """Send events in order, many at a time where the server can (the embedded one does), else one by one.

        The answer holds one `Delivery` per event, in their order. After a refused event the later ones of its run are not
        `tried`.

        Raises
        ------
        ProviderUnavailable
            A request failed as a whole, as for `post_event`; the events of earlier requests may have been taken.
        """
        if not self.takes_batches():
            return self._post_each(events)
        deliveries: list[Delivery] = []
        refused: set[str] = set()
        for part in _parts([(event, _dumps(event)) for event in events]):
            chosen = [run_of(event) not in refused for event, _ in part]
            told = iter(self._post_part([item for item, taken in zip(part, chosen, strict=True) if taken]))
            for (event, _), taken in zip(part, chosen, strict=True):
                delivery = next(told) if taken else Delivery(NOT_TRIED)
                deliveries.append(delivery)
                if not delivery.delivered and (run := run_of(event)):
                    refused.add(run)
        return deliveries

    def _post_each(self, events: Sequence[Json]) -> list[Delivery]:
        deliveries: list[Delivery] = []
        refused: set[str] = set()
        for event in events:
            run = run_of(event)
            delivery = Delivery(NOT_TRIED) if run in refused else self.post_event(event)
            deliveries.append(delivery)
            if run and not delivery.delivered:
                refused.add(run)
        return deliveries

    def _post_part(self, part: Sequence[tuple[Json, bytes]]) -> list[Delivery]:
        if not part:
            return []
        content = b"[" + b",".join(encoded for _, encoded in part) + b"]"
        response = self._send("POST", BATCH_PATH, content=content)
        if response.status_code == 413:  # a proxy's limit: each alone may pass
            return self._post_each([event for event, _ in part])
        if response.status_code != 200:
            if response.status_code in (404, 405):  # another server answers at this address now
                self._takes_batches = None
            delivery = _delivery(response, self.url)
            raise ProviderUnavailable(f"{self.url} answered a batch with {delivery.status}: {delivery.error}")
        try:
            told = [(int(one["status"]), one.get("error")) for one in response.json()["events"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ProviderUnavailable(f"{self.url} answered a batch with no status per event") from error
        if len(told) != len(part):
            raise ProviderUnavailable(f"{self.url} answered {len(told)} statuses to {len(part)} events")
        return [Delivery(status, json.dumps(error) if error else "") for status, error in told]

    # --- reading ------------------------------------------------------------------------------------------------------

    def graph(self, node_id: str, depth: int = 2) -> Json | None:
        """Return ``{"graph": [node]}`` around ``job:<ns>:<name>`` or ``dataset:<ns>:<name>``; None: no such node.

        A job is shown with its own latest run by the embedded server, by a real Marquez with its parent's.
        """
        return self._get("/api/v1/lineage", nodeId=node_id, depth=depth, latestRun="own")

    def column_lineage(self, node_id: str, depth: int = 20, *, downstream: bool = False) -> Json | None:
        """Return ``{"graph": [field node]}`` of a dataset, a field (``datasetField:<ns>:<name>:<field>``) or a job's outputs."""
        chosen: dict[str, Any] = {"nodeId": node_id, "depth": depth}
        if downstream:
            chosen |= {"withDownstream": "true", "sources": "true"}
        return self._get("/api/v1/column-lineage", **chosen)

    def search(
        self,
        words: str,
        *,
        kind: Literal["JOB", "DATASET"] | None = None,
        namespace: str | None = None,
        limit: int = 10,
    ) -> Json:
        """Return ``{"totalCount", "results": [{type, name, namespace, nodeId, updatedAt}]}`` by a part of the name."""
        found = self._get("/api/v1/search", q=words, filter=kind, namespace=namespace, limit=limit)
        return found or {"totalCount": 0, "results": []}

    def run(self, run_id: UUID | str) -> Json | None:
        return self._get(f"/api/v1/jobs/runs/{_part(str(run_id))}")

    def upstream_runs(self, run_id: UUID | str, depth: int = 1) -> Json | None:
        """Return ``{"runs": [{job, run, inputs: [{namespace, name, version, producedByRunId}]}]}``, the run itself first.

        The version of an input is the one that the server took to be current: no event can say it.
        """
        return self._get("/api/v1/runlineage/upstream", runId=run_id, depth=depth)

    def run_facets(self, run_id: UUID | str, kind: Literal["run", "job"] = "run") -> Json | None:
        """Return the facets by name; None for an unknown run. A run without facets has an empty answer."""
        response = self._answer(f"/api/v1/jobs/runs/{_part(str(run_id))}/facets", type=kind)
        if response is None:
            return None
        facets: Json = response.json().get("facets", {}) if response.content else {}
        return facets

    def job(self, namespace: str, name: str) -> Json | None:
        return self._get(f"/api/v1/namespaces/{_part(namespace)}/jobs/{_part(name)}")

    def job_runs(self, namespace: str, name: str, *, limit: int = PAGE, offset: int = 0) -> Json | None:
        """Return ``{"runs", "totalCount"}``, the run that started last first."""
        path = f"/api/v1/namespaces/{_part(namespace)}/jobs/{_part(name)}/runs"
        return self._get(path, limit=limit, offset=offset)

    def jobs(self, namespace: str | None = None, *, page: int = PAGE) -> Iterator[Json]:
        """Yield every job, page by page. A real Marquez takes seconds for a page of many runs."""
        path = f"/api/v1/namespaces/{_part(namespace)}/jobs" if namespace else "/api/v1/jobs"
        return self._pages(path, "jobs", page)

    def dataset(self, namespace: str, name: str) -> Json | None:
        return self._get(f"/api/v1/namespaces/{_part(namespace)}/datasets/{_part(name)}")

    def dataset_versions(
        self, namespace: str, name: str, *, limit: int = PAGE, offset: int = 0
    ) -> Json | None:
        """Return ``{"versions", "totalCount"}``, the newest first."""
        path = f"/api/v1/namespaces/{_part(namespace)}/datasets/{_part(name)}/versions"
        return self._get(path, limit=limit, offset=offset)

    def datasets(self, namespace: str, *, page: int = PAGE) -> Iterator[Json]:
        """Yield every dataset of a namespace, page by page."""
        return self._pages(f"/api/v1/namespaces/{_part(namespace)}/datasets", "datasets", page)

    def namespaces(self, *, page: int = PAGE) -> Iterator[Json]:
        return self._pages("/api/v1/namespaces", "namespaces", page)

    def events(self, *, limit: int = PAGE, offset: int = 0, **filters: str | None) -> Json:
        """Return ``{"events", "totalCount"}``, newest first.

        `filters`: before, after, sortDirection (any server); namespace, job, run, eventType (the embedded server only).
        """
        return self._get("/api/v1/events/lineage", limit=limit, offset=offset, **filters) or {}

    def health(self) -> bool:
        """Return whether the server and its database are well, by its admin port, else by a small read."""
        try:
            if self.admin_url:
                return self._http.get(f"{self.admin_url}/healthcheck").status_code == 200
            return self._get("/api/v1/namespaces", limit=1) is not None
        except (ProviderUnavailable, ProviderRefused, httpx.HTTPError):
            return False

    def identity(self) -> str:
        """Return which server answers: ``embedded <version>``, or ``Marquez``, which does not tell its version."""
        response = self._answer("/api/v1/namespaces", limit=1)
        if response is None:
            raise ProviderUnavailable(f"{self.url} answers, but not as a Marquez API")
        return str(response.headers.get(IDENTITY_HEADER, "Marquez"))

    # --- requests -----------------------------------------------------------------------------------------------------

    def _get(self, path: str, **params: Any) -> Json | None:
        response = self._answer(path, **params)
        if response is None:
            return None
        try:
            value = response.json()
        except ValueError as error:
            raise ProviderUnavailable(f"{self.url}{path} answered something that is not JSON") from error
        found: Json = value
        return found

    def _answer(self, path: str, **params: Any) -> httpx.Response | None:
        asked = [f"{key}={quote(str(value), safe='')}" for key, value in params.items() if value is not None]
        response = self._send("GET", path + ("?" + "&".join(asked) if asked else ""))
        if response.status_code == 404:
            return None
        if response.status_code >= 500 or response.status_code in SERVER_AT_FAULT:
            raise ProviderUnavailable(
                f"{self.url}{path} answered {response.status_code}: {response.text[:300]}"
            )
        if response.status_code >= 300:
            raise ProviderRefused(f"{self.url}{path} answered {response.status_code}: {response.text[:300]}")
        return response

    def _send(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        # The path is sent as it is: names are encoded already, slashes and all.
        address = httpx.URL(self.url)
        raw = address.raw_path.rstrip(b"/") + path.encode()
        headers = {"content-type": "application/json"} if content is not None else None
        try:
            return self._http.request(
                method, address.copy_with(raw_path=raw), content=content, headers=headers
            )
        except httpx.HTTPError as error:
            self._takes_batches = None
            # Without a connection no request was read; after that, the request itself may be what the server died of.
            unread = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            failure = ProviderAway if unread else ProviderUnavailable
            raise failure(f"the lineage server {self.url} does not answer: {error!r}") from error

    def _pages(self, path: str, key: str, page: int) -> Iterator[Json]:
        offset = 0
        while True:
            found = self._get(path, limit=page, offset=offset)
            items = (found or {}).get(key) or []
            yield from items
            if len(items) < page:
                return
            offset += page


def connect(timeout_s: float = 30.0) -> MarquezClient:
    """Return a client of the deployment's lineage server (MARQUEZ_URL)."""
    chosen = settings()
    token = chosen.marquez_token.get_secret_value() if chosen.marquez_token else None
    return MarquezClient(chosen.marquez_url, chosen.marquez_admin_url, token, timeout_s)


def identity() -> str:
    """Return which lineage server the deployment has, in words that can be shown; never raises for a silent one."""
    with connect(IDENTITY_TIMEOUT_S) as client:
        try:
            return client.identity()
        except (ProviderUnavailable, ProviderRefused):
            return "none answers"


def _part(text: str) -> str:
    """Encode a name for a path, slashes and dots-only names included.

    >>> _part("lake/gold/a b"), _part("..")
    ('lake%2Fgold%2Fa%20b', '%2E%2E')
    """
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _delivery(response: httpx.Response, url: str) -> Delivery:
    status = response.status_code
    if status < 300:
        return Delivery(status)
    said = response.text[:1000]
    if status in SERVER_AT_FAULT:
        raise ProviderAway(f"{url} answered {status}: {said[:300]}")
    # A real Marquez answers malformed events with HTTP 500 and a body that says code 400.
    if status >= 500 and _body_code(response) != 400:
        raise ProviderUnavailable(f"{url} answered {status}: {said[:300]}")
    return Delivery(status, said)


def _parts(encoded: Sequence[tuple[Json, bytes]]) -> Iterator[list[tuple[Json, bytes]]]:
    """Cut events into requests of at most `BATCH_SIZE` events and about `BATCH_BYTES`, in their order."""
    part: list[tuple[Json, bytes]] = []
    size = 0
    for event, content in encoded:
        if part and (len(part) == BATCH_SIZE or size + len(content) > BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append((event, content))
        size += len(content)
    if part:
        yield part


def run_of(event: Json) -> str | None:
    """Return the id of an event's run; None for an event of a job or a dataset."""
    run = event.get("run")
    return str(run.get("runId")) if isinstance(run, dict) else None


def _body_code(response: httpx.Response) -> int | None:
    try:
        body = response.json()
    except ValueError:
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None
