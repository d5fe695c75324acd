"""Who may read what: Airflow's login on every page, and its permission per DAG on the row that was loaded.

A mounted app inherits no authentication. A job belongs to the DAG that opened it, a stage run to the DAG that ran it;
who may not read that DAG is told that there is no such thing, not that it is forbidden.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends

logged_in = requires_access_view(AccessView.PLUGINS)


class Reader:
    """The person behind a request, and which DAGs' runs they may read; each DAG is asked about once."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self._known: dict[str, bool] = {}

    @property
    def name(self) -> str:
        """Return the name to greet the person by."""
        return str(self.user.get_name())

    def may_read(self, dag_id: str) -> bool:
        """Ask Airflow's auth manager whether the person may read the runs of a DAG."""
        if dag_id not in self._known:
            team = DagModel.get_team_name(dag_id) if conf.getboolean("core", "multi_team") else None
            self._known[dag_id] = bool(
                get_auth_manager().is_authorized_dag(
                    method="GET",
                    access_entity=DagAccessEntity.RUN,
                    details=DagDetails(id=dag_id, team_name=team),
                    user=self.user,
                )
            )
        return self._known[dag_id]

    def readable(self, dag_ids: Iterable[str]) -> list[str]:
        """Return those of the DAGs whose runs the person may read."""
        return [dag_id for dag_id in dag_ids if self.may_read(dag_id)]


def reader(user: GetUserDep) -> Reader:
    """Return the person behind the request."""
    return Reader(user)


ReaderDep = Annotated[Reader, Depends(reader)]
