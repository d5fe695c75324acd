"""An auth manager of Airflow that tells DAGs apart, as those of production do."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

HIDDEN_DAG, NARROW_USER, OUTSIDER = "secret", "narrow", "outsider"


class NarrowAuthManager(SimpleAuthManager):
    """Airflow's simple one, but `narrow` may read nothing of the DAG `secret`, and `outsider` sees no plugin."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **rest: Any) -> bool:
        if user.username == NARROW_USER and details is not None and details.id == HIDDEN_DAG:
            return False
        return super().is_authorized_dag(user=user, details=details, **rest)

    def is_authorized_view(self, *, access_view: Any, user: Any) -> bool:
        return user.username != OUTSIDER and super().is_authorized_view(access_view=access_view, user=user)
