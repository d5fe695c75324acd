"""The safe way to a plan: the transform is applied to empty files with the inputs' schemas, and that plan is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.artifacts.scratch import scratch
from include.lineage.columns.plan import read_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from include.lineage.columns.edges import PlanLineage


def derive(
    transform: Callable[..., pl.LazyFrame], inputs: Mapping[str, Mapping[str, pl.DataType]]
) -> PlanLineage:
    """Return the column lineage of a transform of LazyFrames, one per input, in the order of `inputs`.

    `inputs` maps dataset name to schema (column -> dtype). No data is read: Delta, Iceberg and remote tables are
    described as well as local files, by their schema alone. The transform must build a plan and not run it.
    """
    import polars as pl

    with scratch() as folder:
        paths = {}
        frames = []
        for number, (dataset, schema) in enumerate(inputs.items()):
            path = folder / f"{number}.parquet"
            pl.DataFrame(schema=dict(schema)).write_parquet(path)
            paths[str(path)] = dataset
            frames.append(pl.scan_parquet(path))
        return read_plan(transform(*frames), paths)
