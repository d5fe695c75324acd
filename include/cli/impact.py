"""``throughline impact``: everything that was made from a dataset, a file, an artifact or a job."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from include.cli.as_of import AsOfOption, moment_of, parse

if TYPE_CHECKING:
    from include.proof.impact import Affected

UNKNOWN = 1


def impact(
    what: Annotated[
        str,
        typer.Argument(
            help="A dataset (lake/bronze/leads), a file or its sha256, or the id of a job or an artifact."
        ),
    ],
    as_of: AsOfOption = None,
    only_current: Annotated[bool, typer.Option("--current", help="Leave out what was superseded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List everything downstream, down to files, by job and dataset; status 1 for bytes nobody here made."""
    from rich.console import Console
    from rich.markup import escape

    from include.ledger.session import transaction
    from include.proof.impact import impact as impact_of
    from include.proof.impact import jobs_of
    from include.proof.target import find
    from include.stack.adopt import adopt

    adopt()
    at = parse(as_of)
    with transaction() as session:
        target = find(session, what)
        found = impact_of(session, target, as_of=moment_of(at), only_current=only_current)
    known = bool(found.roots) or target.kind != "bytes"
    if as_json:
        told = {
            "target": {"kind": target.kind, "value": target.value},
            "as_of": at.moment.isoformat() if at else None,
            "roots": [_plain(item) for item in found.roots],
            "affected": [_plain(item) for item in found.affected],
        }
        typer.echo(json.dumps(told))
        raise typer.Exit(0 if known else UNKNOWN)
    console = Console(highlight=False, soft_wrap=True)
    console.print(escape(str(target)) + (f", as of {escape(str(at))}" if at else ""))
    if not known:
        console.print("[red]unknown[/red]: no artifact of this ledger has these bytes")
        raise typer.Exit(UNKNOWN)
    console.print(
        f"{_count(len(found.roots), 'artifact')} of {_count(jobs_of(found.roots), 'job')}; made from "
        + (
            f"them: {_count(len(found.affected), 'artifact')} of {_count(jobs_of(found.affected), 'job')}"
            if found.affected
            else "them: nothing"
        )
    )
    for job_id, datasets in found.by_job():
        first = datasets[0][1][0]
        words = [f"job {job_id}", first.family, first.theme or "", "rehearsal" if first.rehearsal else ""]
        console.print("\n[bold]" + escape("  ".join(word for word in words if word)) + "[/bold]")
        for dataset, items in datasets:
            console.print(f"  {escape(dataset)}")
            for item in items:
                console.print(f"    {escape(item.file)}  [dim]{item.sha256[:12]}[/dim]{_state(item)}")
    raise typer.Exit(0)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _state(item: Affected) -> str:
    words = [*(["reused"] if item.reused_from else []), *([] if item.is_current else ["superseded"])]
    return f"  ({', '.join(words)})" if words else ""


def _plain(item: Affected) -> dict[str, Any]:
    return {
        name: str(value)
        if isinstance(value, UUID)
        else value.isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in asdict(item).items()
    }
