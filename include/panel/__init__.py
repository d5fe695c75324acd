"""The panel: jobs, artifacts and lineage in a browser, server-rendered, behind Airflow's own login."""
