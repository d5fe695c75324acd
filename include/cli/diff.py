"""``throughline diff``: why two jobs or two files differ."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from include.cli.as_of import AsOfOption, moment_of, parse

DIFFERENT = 1


def diff(
    left: Annotated[str, typer.Argument(help="The id of a job, or a file or its sha256.")],
    right: Annotated[str, typer.Argument(help="The other one, of the same sort.")],
    as_of: AsOfOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which artifacts differ, and where the difference begins; status 1 when any does."""
    from rich.console import Console
    from rich.markup import escape

    from include.cli.tables import print_table
    from include.ledger.session import transaction
    from include.proof.diff import diff as compare
    from include.proof.target import find
    from include.stack.adopt import adopt

    adopt()
    at = parse(as_of)
    with transaction() as session:
        sides = find(session, left), find(session, right)
        found = compare(session, *sides, as_of=moment_of(at))
    if as_json:
        told = {
            "left": asdict(sides[0]),
            "right": asdict(sides[1]),
            "as_of": at.moment.isoformat() if at else None,
            "sentence": found.sentence,
            "parameters": found.parameters,
            "artifacts": [
                {**asdict(item), "begins": item.begins, "why": item.why} for item in found.artifacts
            ],
        }
        typer.echo(json.dumps(told))
        raise typer.Exit(DIFFERENT if found.differs else 0)
    console = Console(highlight=False, soft_wrap=True)
    console.print(escape(found.sentence) + (f", as of {escape(str(at))}" if at else ""))
    for name, (mine, other) in found.parameters.items():
        console.print(escape(f"parameter {name}: {json.dumps(mine)} / {json.dumps(other)}"))
    rows = []
    for item in found.artifacts:
        if item.state != "same":
            digests = ((item.left or "-")[:12], (item.right or "-")[:12])
            rows.append((f"{item.kind} {item.key}".strip(), *digests, item.why))
    if rows:
        print_table(("artifact", "left", "right", "why"), rows)
    raise typer.Exit(DIFFERENT if found.differs else 0)
