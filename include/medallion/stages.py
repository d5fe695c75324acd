"""The stage bodies of the lake: one per layer; the declared stage says which table."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.artifacts.scratch import scratch
from include.medallion.contract import SOURCE_OF, Table
from include.medallion.facts import table_facts
from include.medallion.partitions import NoInput, checked, partition_of, source_of
from include.medallion.promote import ENGINE, Hop, Promotion, promote
from include.medallion.staging import Arrival, stage
from include.medallion.tables import table_named
from include.medallion.transition import Transition, transition_id_of
from include.settings import settings
from include.stage import SkipStage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.stage import Input, Work

MEDIA_TYPE = "application/vnd.apache.parquet"


def ingest(work: Work) -> dict[str, Any]:
    """Stage the partition's source file; raise SkipStage where there is none."""
    table, partition = _task(work)
    work.transition(_opening(work, table, partition, ()))
    found = source_of(table.name, partition)
    if isinstance(found, NoInput):
        raise SkipStage(found.reason)
    work.progress(
        "source found", table=table.name, partition=partition, file=found.label, sample=found.sample
    )
    arrived = work.admit(
        table.name,
        found.path,
        uri=found.uri,
        media_type="text/csv",
        part=partition,
        facts={"label": found.label, "sample": found.sample, "partition": partition},
    )
    arrival = Arrival(
        arrived.path,
        found.label,
        arrived.sha256,
        datetime.fromisoformat(arrived.facts["first_seen_at"]),
    )
    return _make(
        work,
        table,
        partition,
        arrived,
        lambda hop, target, refused: stage(hop, arrival, target, refused),
        label=arrival.label,
        first_seen_at=arrival.first_seen_at.astimezone(UTC).isoformat(),
    )


def bronze(work: Work) -> dict[str, Any]:
    """Promote staged to bronze."""
    return _promote(work)


def silver(work: Work) -> dict[str, Any]:
    """Promote bronze to silver."""
    return _promote(work)


def gold(work: Work) -> dict[str, Any]:
    """Promote silver to gold."""
    return _promote(work)


def _promote(work: Work) -> dict[str, Any]:
    table, partition = _task(work)
    work.transition(_opening(work, table, partition, ()))
    below = work.table(SOURCE_OF[work.options["layer"]], table.name, partition)
    return _make(
        work,
        table,
        partition,
        below,
        lambda hop, target, refused: promote(hop, below.path, target, refused),
    )


def _task(work: Work) -> tuple[Table, str]:
    """Return the table and partition of this attempt; raise SkipStage for a table the run does not want."""
    name = str(work.options["table"])
    wanted = work.params.get("tables")
    if wanted is not None and name not in wanted:
        raise SkipStage(f"{name} is not among the tables of this run: {', '.join(wanted)}")
    if work.key:
        return table_named(name), checked(work.key)
    return table_named(name), partition_of(work.params, work.at.run_id, work.at.logical_date)


def _make(
    work: Work,
    table: Table,
    partition: str,
    source: Input,
    make: Callable[[Hop, Path, Path], Promotion],
    **parameters: Any,
) -> dict[str, Any]:
    """Run one hop and publish what came of it; `parameters` decide the bytes beside input and code."""
    layer = str(work.options["layer"])
    opening = _opening(work, table, partition, (source,), parameters)
    work.transition(None)  # a reused hop keeps the record of the run that made it
    work.settle(partition=partition, **parameters)
    work.transition(opening)
    hop = Hop(table, layer, partition, opening.transition_id, source.dataset)
    with scratch() as folder:
        target, refused = folder / "rows.parquet", folder / "refused.parquet"
        done = make(hop, target, refused)
        closing = _closing(opening, done, source)
        facts = table_facts(table, layer, target, done, settings().namespace)
        made = work.publish_table(
            layer, table.name, partition, _copy(target), transition=closing, facts=facts
        )
        outputs = [{"dataset": made.dataset, "sha256": made.sha256, "rows": done.rows_out}]
        if done.refused:
            kept = work.publish(
                "quarantine",
                f"{layer}/{table.name}/{partition}",
                _copy(refused),
                suffix=".parquet",
                media_type=MEDIA_TYPE,
                name=f"quarantine-{layer}-{table.name}-{partition}.parquet",
                facts={
                    "rows": done.rejected,
                    "owner": table.owner,
                    "classification": table.classification,
                    "partition": partition,
                    "layer": layer,
                    "rejected_by": dict(done.rejected_by),
                },
                inputs=(source,),
                dataset=f"lake/quarantine/{table.name}",
            )
            outputs.append({"dataset": kept.dataset, "sha256": kept.sha256, "rows": done.rejected})
        work.transition(replace(closing, outputs=tuple(outputs)))
    work.progress(
        "promoted",
        table=table.name,
        layer=layer,
        partition=partition,
        rows_in=done.rows_in,
        rows_out=done.rows_out,
        rejected=done.rejected,
        deduplicated=done.deduplicated,
        filtered=done.filtered,
    )
    return {
        "table": table.name,
        "layer": layer,
        "partition": partition,
        "transition_id": str(closing.transition_id),
        "rows_in": done.rows_in,
        "rows_out": done.rows_out,
        "rejected": done.rejected,
        "deduplicated": done.deduplicated,
        "filtered": done.filtered,
        "sha256": made.sha256,
    }


def _opening(
    work: Work,
    table: Table,
    partition: str,
    inputs: tuple[Input, ...],
    parameters: dict[str, str] | None = None,
) -> Transition:
    """Return what is known of a hop before it is made: all that a failed one has to show."""
    layer = work.options["layer"]
    transition_id = transition_id_of(
        table.name,
        layer,
        partition,
        [item.sha256 for item in inputs],
        work.code_digest,
        parameters or {},
    )
    function = (
        f"include.medallion.tables.{table.name}:{layer}"
        if layer != "staged"
        else "include.medallion.staging:stage"
    )
    return Transition(
        transition_id=transition_id,
        batch_id=None,
        table_name=table.name,
        partition=partition,
        source_layer=SOURCE_OF[layer],
        target_layer=layer,
        source_files=tuple(
            {"dataset": item.dataset, "path": str(item.facts.get("label") or item.key), "sha256": item.sha256}
            for item in inputs
        ),
        target_file=None,
        transforms_applied=({"name": work.stage, "function": function, "code_sha256": work.code_digest},),
        engine=ENGINE,
        started_at=datetime.now(UTC),
        inputs=tuple({"dataset": item.dataset, "sha256": item.sha256} for item in inputs),
    )


def _closing(opening: Transition, done: Promotion, source: Input) -> Transition:
    rows = {"rows": done.rows_in}
    place = f"lake/{opening.target_layer}/{opening.table_name}/{opening.partition}"
    return replace(
        opening,
        batch_id=done.batch_id,
        source_files=tuple({**item, **rows} for item in opening.source_files),
        target_file=f"{place}/{opening.transition_id}.parquet",
        engine=done.engine,
        row_count_in=done.rows_in,
        row_count_out=done.rows_out,
        rejected=done.rejected,
        deduplicated=done.deduplicated,
        filtered=done.filtered,
        status="success",
        warnings=(*done.warnings, *done.lineage.warnings),
        column_lineage=done.lineage.facet(settings().namespace),
        completed_at=datetime.now(UTC),
        inputs=({"dataset": source.dataset, "sha256": source.sha256, **rows},),
        rejected_by=dict(done.rejected_by),
        schema_in=tuple({"name": name, "type": dtype} for name, dtype in done.schema_in.items()),
        schema_out=tuple({"name": name, "type": dtype} for name, dtype in done.schema_out.items()),
        drift=done.drift.plain() if done.drift is not None and done.drift.any else None,
    )


def _copy(source: Path) -> Callable[[Path], None]:
    def write(target: Path) -> None:
        shutil.copyfile(source, target)

    return write
