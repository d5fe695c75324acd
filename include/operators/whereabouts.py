"""What Airflow says of its runs, asked over its REST API as the deployment's service account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

from include.errors import ConfigurationError, ProviderUnavailable
from include.proof.whereabouts import Whereabouts
from include.settings import settings

if TYPE_CHECKING:
    from types import TracebackType


class Airflow:
    """A logged-in client that asks where runs are; use it in ``with``."""

    def __init__(self, url: str, user: str, password: str, timeout_s: float = 20.0) -> None:
        """Log in.

        Raises ProviderUnavailable when Airflow does not answer, or not to this account.
        """
        self._client = httpx.Client(base_url=url, timeout=timeout_s)
        try:
            answer = self._request("POST", "/auth/token", json={"username": user, "password": password})
        except ProviderUnavailable:
            self._client.close()
            raise
        self._client.headers["Authorization"] = f"Bearer {(answer or {}).get('access_token', '')}"

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._client.close()

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Whereabouts | None:
        """Return where a task instance is; None when Airflow no longer has it."""
        return _whereabouts(
            self._request(
                "GET", f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/{map_index}"
            )
        )

    def dag_run(self, dag_id: str, run_id: str) -> Whereabouts | None:
        """Return where a DAG run is; None when Airflow no longer has it."""
        return _whereabouts(self._request("GET", _run(dag_id, run_id)))

    def _request(self, method: str, path: str, **content: Any) -> dict[str, Any] | None:
        try:
            answer = self._client.request(method, path, **content)
            if answer.status_code == httpx.codes.NOT_FOUND and "detail" in answer.json():
                return None
            found: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailable(f"Airflow's API refused {method} {path}: {error}") from error
        return found


def connect() -> Airflow:
    """Return a client of the deployment's Airflow.

    Raises ConfigurationError without a service account in the settings, ProviderUnavailable when it does not answer.
    """
    chosen = settings()
    if chosen.airflow_password is None:
        raise ConfigurationError(
            "THROUGHLINE_AIRFLOW_PASSWORD is not set: the service account that asks Airflow where runs are"
        )
    return Airflow(chosen.airflow_url, chosen.airflow_user, chosen.airflow_password.get_secret_value())


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _whereabouts(answer: dict[str, Any] | None) -> Whereabouts | None:
    if answer is None:
        return None
    ended = datetime.fromisoformat(answer["end_date"]).astimezone(UTC) if answer.get("end_date") else None
    return Whereabouts(answer["state"], ended, int(answer.get("try_number") or 0))
