"""What is declared of any dataset: each family knows its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.settings import settings

if TYPE_CHECKING:
    from include.lineage.facets import Declaration


def all_declared() -> dict[tuple[str, str], Declaration]:
    """Return what is declared of every dataset of the deployment, by (namespace, name)."""
    from include.medallion import datasets as lake
    from include.reports import datasets as reports
    from include.video import datasets as media

    own = settings().namespace
    names = [*lake.names(), *reports.REPORTS, *media.MEDIA]
    found = {(own, name): said for name in names if (said := declaration(own, name))}
    return found | dict.fromkeys(media.live(), media.LIVE)


def declaration(namespace: str, name: str) -> Declaration | None:
    """Return what is declared of a dataset; a family's declarations are imported only when one is asked for."""
    place = name.partition("/")[0]
    if place in {"lake", "sources"} and not namespace.startswith("http"):
        from include.medallion import datasets as lake

        return lake.declaration(namespace, name)
    if place == "reports" and not namespace.startswith("http"):
        from include.reports import datasets as reports

        return reports.declaration(namespace, name)
    from include.video import datasets as media

    return media.declaration(namespace, name)
