"""The calls of Airflow's REST API that this deployment makes, as its service account."""

from __future__ import annotations

import http.client
import json
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from include.errors import ProviderRefused, ProviderUnavailable

if TYPE_CHECKING:
    from include.stack.credentials import Secrets
    from include.stack.state import Stack

UNREACHABLE = "unreachable"
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def get(url: str, timeout_s: float = 5.0) -> bytes | None:
    """Return the body of a 200 answer of a server on this machine, or None; cheap enough to ask twice a second."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # our own http:// address
            body: bytes = answer.read()
            return body if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None


def health(url: str) -> dict[str, str]:
    """Return what Airflow says of its own components; all UNREACHABLE while the API server is away."""
    text = get(f"{url}/api/v2/monitor/health")
    try:
        said = json.loads(text or b"")
    except ValueError:
        return dict.fromkeys(COMPONENTS, UNREACHABLE)
    return {name: str((said.get(name) or {}).get("status") or "not started") for name in COMPONENTS}


class Api:
    """A logged-in client."""

    def __init__(self, stack: Stack, secrets: Secrets) -> None:
        self._client = httpx.Client(base_url=stack.airflow_url, timeout=60.0)
        login = {"username": "admin", "password": secrets.airflow_admin_password}
        token = self._ask("POST", "/auth/token", json=login)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Api:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._client.close()

    def dags(self) -> dict[str, bool]:
        """Return the DAGs that Airflow has read, each with whether it is paused."""
        return {dag["dag_id"]: dag["is_paused"] for dag in self._ask("GET", "/api/v2/dags?limit=100")["dags"]}

    def import_errors(self) -> dict[str, str]:
        """Return the DAG files that Airflow could not read, with the last line of the reason."""
        listed = self._ask("GET", "/api/v2/importErrors?limit=100")["import_errors"]
        return {one["filename"]: one["stack_trace"].strip().splitlines()[-1] for one in listed}

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> dict[str, Any]:
        """Start a run of a DAG; the answer is Airflow's DAG run."""
        body = {"dag_run_id": run_id, "conf": conf, "logical_date": None}
        found: dict[str, Any] = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return found

    def dag_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one DAG run."""
        found: dict[str, Any] = self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
        return found

    def dag_runs(self, dag_id: str, states: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the runs of a DAG that are in one of the states, newest first."""
        wanted = "".join(f"&state={state}" for state in states)
        path = f"/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=50{wanted}"
        found: list[dict[str, Any]] = self._ask("GET", path)["dag_runs"]
        return found

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances?limit=100"
        found: list[dict[str, Any]] = self._ask("GET", path)["task_instances"]
        return found

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear every task of a run, so that it runs again."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/clear"
        self._ask("POST", path, json={"dry_run": False, "only_failed": False})

    def create_backfill(self, dag_id: str, start: str, end: str, conf: dict[str, Any]) -> dict[str, Any]:
        """Start a backfill over the schedule's dates from `start` to `end` (ISO 8601, both included)."""
        body = {
            "dag_id": dag_id,
            "from_date": start,
            "to_date": end,
            "dag_run_conf": conf,
            "max_active_runs": 2,
            "reprocess_behavior": "none",
        }
        found: dict[str, Any] = self._ask("POST", "/api/v2/backfills", json=body)
        return found

    def backfill(self, backfill_id: int) -> dict[str, Any]:
        """Return one backfill."""
        found: dict[str, Any] = self._ask("GET", f"/api/v2/backfills/{backfill_id}")
        return found

    def open_reviews(self) -> list[dict[str, Any]]:
        """Return the reviews that wait for a person, newest last."""
        path = "/api/v2/dags/~/dagRuns/~/hitlDetails?response_received=false&order_by=created_at&limit=100"
        found: list[dict[str, Any]] = self._ask("GET", path)["hitl_details"]
        return [review for review in found if review["task_instance"]["state"] == "awaiting_input"]

    def answer_review(self, review: dict[str, Any], option: str, reason: str) -> None:
        """Answer one review as this user."""
        task = review["task_instance"]
        self._ask(
            "PATCH",
            f"/api/v2/dags/{task['dag_id']}/dagRuns/{quote(task['dag_run_id'], safe='')}/taskInstances/"
            f"{task['task_id']}/{task['map_index']}/hitlDetails",
            json={"chosen_options": [option], "params_input": {"reason": reason}},
        )

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            answer = self._client.request(method, path, **content)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            kind = ProviderRefused if error.response.is_client_error else ProviderUnavailable
            said = f"{error.response.status_code} {error.response.text[:500]}"
            raise kind(f"Airflow's API refused {method} {path}: {said}") from error
        except httpx.HTTPError as error:
            reason = f"Airflow's API did not answer {method} {path}: {error or type(error).__name__}"
            raise ProviderUnavailable(reason) from error
        return answer.json()
