"""What Throughline adds to Airflow's UI: the panel, a place in the navigation, a tab on every DAG run.

Every component of Airflow imports this file, so it registers and nothing else; only the API server asks for the app.
"""

import sys
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class ThroughlinePlugin(AirflowPlugin):
    """Registers the panel at ``/lineage``."""

    name = "throughline"
    # Addresses without a leading slash are below whatever path Airflow itself is served at.
    external_views: list[dict[str, Any]] = [  # noqa: RUF012 Airflow declares it so and reads it of an instance
        {
            "name": "Lineage",
            "href": "lineage/",
            "destination": "nav",
            "url_route": "lineage",
            "nav_top_level": True,
            "icon": "lineage/static/line.svg",
            "icon_dark_mode": "lineage/static/line-dark.svg",
        },
        {
            "name": "Lineage",
            "href": "lineage/run?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "lineage_run",
            "icon": "lineage/static/line.svg",
            "icon_dark_mode": "lineage/static/line-dark.svg",
        },
    ]

    @classmethod
    def on_load(cls, *_args: Any, **_options: Any) -> None:
        """In the process of `airflow tasks test`, keep its temporary run and real ones apart."""
        if sys.argv[1:3] == ["tasks", "test"]:
            from include.operators.rehearsal import keep_apart

            keep_apart()

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # read once, by the API server only
        """Build the panel when the API server asks for it: nobody else pays for FastAPI and the views."""
        from include.panel.app import create_app

        return [{"app": create_app(), "url_prefix": "/lineage", "name": "Throughline"}]
