"""Which DAGs a fresh stack switches on, and why none of them fetches anything live by itself."""

from __future__ import annotations

# A DAG that is paused does not even run what is triggered by hand, so the families are on; each is listed with
# what it does when nobody asks. A DAG that is not listed stays paused.
UNPAUSED = {
    "campaign": "runs when triggered",
    "video": "collects from the trends file or the lake unless a run's form says another source",
    "medallion": "daily, from dated files of the sources folder",
    "reports": "daily, from the lake's gold tables",
    "upkeep": "delivers, reconciles and sweeps what this deployment made",
}
