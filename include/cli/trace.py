"""``throughline trace | outputs | jobs``: from bytes to a job, and from a job to its bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from include.cli.as_of import AsOfOption, moment_of, parse

if TYPE_CHECKING:
    from datetime import datetime

    from rich.tree import Tree

    from include.proof.trace import Line, Making

UNKNOWN = 1
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def trace(
    what: Annotated[str, typer.Argument(help="A file, wherever it lies, or a sha256.")],
    as_of: AsOfOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what made these bytes, for which job, from which exact inputs; status 1 for bytes nobody here made."""
    from rich.console import Console

    from include.ledger.session import transaction
    from include.proof.trace import makings_of, upstream
    from include.stack.adopt import adopt

    adopt()
    sha256 = _digest(what)
    at = parse(as_of)
    with transaction() as session:
        makings = makings_of(session, sha256, as_of=moment_of(at))
        lines = [upstream(session, found.artifact_id, reuse=True) for found in makings]
    if as_json:
        told = {
            "sha256": sha256,
            "as_of": at.moment.isoformat() if at else None,
            "verdict": "proved" if makings else "unknown",
            "makings": [
                {
                    **_plain(found),
                    "current": _is_current(found, moment_of(at)),
                    "cut": line.cut,
                    "upstream": [_plain(item) for item in line.makings.values() if item != found],
                }
                for found, line in zip(makings, lines, strict=True)
            ],
        }
        typer.echo(json.dumps(told))
    else:
        console = Console(highlight=False)
        console.print(f"sha256 {sha256}" + (f", as of {at}" if at else ""), soft_wrap=True)
        console.print(
            f"[green]proved[/green]: exactly these bytes, {len(makings)} making{'s' if len(makings) != 1 else ''}"
            if makings
            else "[red]unknown[/red]: no artifact of this ledger "
            + ("had these bytes by then" if at else "has these bytes")
        )
        for found, line in zip(makings, lines, strict=True):
            console.print(_tree(found, line, moment_of(at)))
    raise typer.Exit(0 if makings else UNKNOWN)


def _digest(what: str) -> str:
    from include.errors import InvalidInput
    from include.proof.target import digest_of

    sha256 = digest_of(what)
    if sha256 is None:
        raise InvalidInput(f"{what}: neither a file nor a sha256 of 64 hexadecimal digits")
    return sha256


def _is_current(found: Making, moment: datetime | None) -> bool:
    return found.superseded_at is None or (moment is not None and found.superseded_at > moment)


def _tree(found: Making, line: Line, moment: datetime | None) -> Tree:
    from rich.tree import Tree

    state = "" if _is_current(found, moment) else f"  superseded {found.superseded_at:%F %T}Z"
    tree = Tree(f"[bold]{_label(found)}[/bold]  job {found.job_id}{state}")
    tree.add(
        f"made by {found.dag_id or found.family}.{found.task_id or found.stage}, run {found.run_id or '-'}"
    )
    if found.reused_from:
        origin = line.makings.get(found.reused_from)
        tree.add(f"reused from artifact {found.reused_from}" + (f" of job {origin.job_id}" if origin else ""))
    branch = tree.add("from")
    seen: set[UUID] = {found.artifact_id}
    _grow(branch, found.artifact_id, line, seen)
    taken = len(line.makings.keys() - seen)
    if taken:
        tree.add(f"and {taken} artifacts behind what was reused: --json lists them")
    if line.cut:
        tree.add(f"cut after {len(line.makings)} artifacts: throughline export writes the whole line")
    return tree


def _grow(branch: Tree, artifact_id: UUID, line: Line, seen: set[UUID]) -> None:
    for item in line.inputs(artifact_id):
        again = item.artifact_id in seen
        child = branch.add(f"{_label(item)}{' [dim](above)[/dim]' if again else ''}")
        if not again:
            seen.add(item.artifact_id)
            _grow(child, item.artifact_id, line, seen)


def _label(item: Making) -> str:
    key = f" {item.key}" if item.key else ""
    where = f"  {item.facts.get('uri')}" if item.is_source and item.facts.get("uri") else ""
    return f"{item.kind}{key}  [dim]{item.sha256[:12]}[/dim]{where}"


def _plain(item: Making) -> dict[str, Any]:
    kept = (
        "artifact_id",
        "job_id",
        "kind",
        "key",
        "dataset",
        "sha256",
        "stage",
        "dag_id",
        "task_id",
        "run_id",
    )
    values = {name: getattr(item, name) for name in (*kept, "ol_run_id", "reused_from")}
    uri = {"uri": item.facts["uri"]} if "uri" in item.facts else {}
    return {name: str(value) if isinstance(value, UUID) else value for name, value in values.items()} | uri


def outputs(
    job_id: Annotated[UUID, typer.Argument(help="The job.")],
    as_of: AsOfOption = None,
    as_json: AsJson = False,
) -> None:
    """List every current artifact of a job: kind, file, digest, and the stage that made it."""
    from rich.console import Console
    from rich.markup import escape

    from include.cli.tables import print_table
    from include.ledger.history import job_history
    from include.ledger.session import transaction
    from include.proof.outputs import outputs_at
    from include.stack.adopt import adopt

    adopt()
    at = parse(as_of)
    with transaction() as session:
        history = outputs_at(session, job_id, at.moment) if at else job_history(session, job_id)
    if as_json:
        typer.echo(json.dumps(history))
        return
    console = Console(highlight=False, soft_wrap=True)
    job = history["job"]
    console.print(
        f"job {job['job_id']}  {f'as of {at}' if at else job['status']}  {escape(job['theme'] or '')}"
    )
    rows = []
    for item in history["artifacts"]:
        made = f"{item['stage']}{' (reused)' if item['reused_from'] else ''}"
        file = item.get("file", f"out/{job_id}/{item['name']}")
        rows.append((item["kind"], item["key"], file, item["sha256"][:12], made))
    print_table(("kind", "key", "file", "sha256", "made by"), rows)


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""
    from sqlalchemy import text

    from include.cli.tables import print_table
    from include.ledger.session import transaction
    from include.stack.adopt import adopt

    adopt()
    sql = (
        "SELECT job_id, family, status, theme, created_at FROM job WHERE NOT rehearsal"
        " ORDER BY created_at DESC LIMIT :limit"
    )
    with transaction() as session:
        rows = [dict(row) for row in session.execute(text(sql), {"limit": limit}).mappings()]
    if as_json:
        typer.echo(json.dumps(rows, default=str))
        return
    print_table(
        ("job", "family", "status", "theme", "opened"),
        (
            (
                str(row["job_id"]),
                row["family"],
                row["status"],
                row["theme"] or "",
                f"{row['created_at']:%F %T}Z",
            )
            for row in rows
        ),
    )
