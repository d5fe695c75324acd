"""The client of whichever lineage server is in use: the embedded one or a Marquez, over the same API.

Routes and shapes are those of Marquez 0.51.1. Not found is None; what the server will never take raises
ProviderRefused; everything else that goes wrong raises ProviderUnavailable.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

from include.errors import ProviderRefused, ProviderUnavailable
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

IDENTITY_HEADER = "x-lineage-server"  # the embedded server says its name and version in it
TIMEOUT_S = 30.0
PAGE = 100


class MarquezClient:
    """One server's API; names and node ids are percent-encoded whole, so they may hold slashes."""

    def __init__(
        self,
        url: str,
        admin_url: str | None = None,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self.admin_url = admin_url.rstrip("/") if admin_url else None
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._http.close()

    # -- writing -------------------------------------------------------------------------------------------------

    def deliver(self, event: dict[str, Any]) -> None:
        """Post one OpenLineage event; return once the server has it."""
        self._ask("POST", "/lineage", json=event)

    # -- reading -------------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> dict[str, Any] | None:
        """Return one run with its dataset versions and facets."""
        return self._find(f"/jobs/runs/{quote(run_id, safe='')}")

    def run_facets(self, run_id: str, kind: str = "run") -> dict[str, Any] | None:
        """Return a run's facets; `kind` is run or job."""
        return self._find(f"/jobs/runs/{quote(run_id, safe='')}/facets", type=kind)

    def job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one job with its current inputs and outputs."""
        return self._find(_job(namespace, name))

    def job_runs(self, namespace: str, name: str, limit: int = PAGE) -> list[dict[str, Any]]:
        """Return a job's newest runs."""
        found = self._find(f"{_job(namespace, name)}/runs", limit=limit)
        return list(found["runs"]) if found else []

    def jobs(self, namespace: str) -> Iterator[dict[str, Any]]:
        """Yield every job of a namespace, page by page."""
        yield from self._pages(f"/namespaces/{quote(namespace, safe='')}/jobs", "jobs")

    def dataset(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one dataset at its current version."""
        return self._find(f"/namespaces/{quote(namespace, safe='')}/datasets/{quote(name, safe='')}")

    def datasets(self, namespace: str) -> Iterator[dict[str, Any]]:
        """Yield every dataset of a namespace, page by page."""
        yield from self._pages(f"/namespaces/{quote(namespace, safe='')}/datasets", "datasets")

    def graph(self, node_id: str, depth: int = 2) -> dict[str, Any] | None:
        """Return the lineage graph around ``job:<ns>:<name>`` or ``dataset:<ns>:<name>``, both ways."""
        return self._find("/lineage", nodeId=node_id, depth=depth)

    def column_lineage(
        self, node_id: str, depth: int = 20, with_downstream: bool = False
    ) -> dict[str, Any] | None:
        """Return the column lineage of a dataset, a dataset field or a job."""
        downstream = "true" if with_downstream else "false"
        return self._find("/column-lineage", nodeId=node_id, depth=depth, withDownstream=downstream)

    def search(self, words: str, limit: int = 10, kind: str | None = None) -> dict[str, Any]:
        """Return jobs and datasets whose names hold the words; `kind` is JOB or DATASET."""
        asked = {"q": words, "limit": limit, **({"filter": kind} if kind else {})}
        return self._find("/search", **asked) or {"totalCount": 0, "results": []}

    def events(self, limit: int = PAGE, **filters: Any) -> list[dict[str, Any]]:
        """Return the newest events."""
        found = self._find("/events/lineage", limit=limit, **filters)
        return list(found["events"]) if found else []

    def identity(self) -> str:
        """Return which server answers: "embedded <version>", "Marquez", or raise ProviderUnavailable."""
        answer = self._send("GET", "/namespaces", params={"limit": 1})
        return answer.headers.get(IDENTITY_HEADER) or "Marquez"

    # -- inside --------------------------------------------------------------------------------------------------

    def _pages(self, path: str, field: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            found = self._find(path, limit=PAGE, offset=offset)
            rows = found[field] if found else []
            yield from rows
            if len(rows) < PAGE:
                return
            offset += PAGE

    def _find(self, path: str, **params: Any) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._ask("GET", path, params=params).json()
        except _NotFound:
            return None
        return found

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        answer = self._send(method, path, **content)
        if answer.is_success:
            return answer
        said = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        if answer.status_code == HTTPStatus.NOT_FOUND and method == "GET":
            raise _NotFound(said)
        if answer.is_client_error and answer.status_code not in {
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
        }:
            raise ProviderRefused(f"the lineage server refused {said}")
        raise ProviderUnavailable(f"the lineage server failed: {said}")

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"no lineage server at {self.url}: {error}") from error


class _NotFound(ProviderRefused):
    """The server has no such thing."""


def _job(namespace: str, name: str) -> str:
    return f"/namespaces/{quote(namespace, safe='')}/jobs/{quote(name, safe='')}"


def connect() -> MarquezClient:
    """Return a client of the server that the settings name."""
    known = settings()
    token = known.marquez_token.get_secret_value() if known.marquez_token else None
    return MarquezClient(known.marquez_url, known.marquez_admin_url, token)


def identity() -> str:
    """Return which lineage server answers at MARQUEZ_URL, or "none answers"."""
    try:
        with connect() as client:
            return client.identity()
    except ProviderUnavailable:
        return "none answers"
