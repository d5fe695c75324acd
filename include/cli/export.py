"""``throughline export``: the line of an artifact or of a whole job as a file for others."""

from __future__ import annotations

import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from include.cli.as_of import AsOfOption, moment_of, parse

if TYPE_CHECKING:
    from include.proof.export.record import Record


class Format(StrEnum):
    """What a line can be written as."""

    csv = "csv"
    svg = "svg"
    json = "json"
    ro_crate = "ro-crate"
    in_toto = "in-toto"


def export(
    what: Annotated[str, typer.Argument(help="The id of a job or an artifact, a file or its sha256.")],
    form: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = Format.json,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; without it, standard output.")
    ] = None,
    as_of: AsOfOption = None,
    with_files: Annotated[
        bool, typer.Option("--with-files", help="Pack the files into the RO-Crate too.")
    ] = False,
) -> None:
    """Write the whole line behind an artifact or a job: csv, svg, json, ro-crate (a zip) or in-toto (JSON lines)."""
    from include.errors import InvalidInput
    from include.ledger.session import transaction
    from include.proof.export.record import gather
    from include.proof.target import find
    from include.stack.adopt import adopt

    adopt()
    if with_files and form is not Format.ro_crate:
        raise InvalidInput(f"--with-files: {form} holds no files; use --format ro-crate")
    if output is None and form is Format.ro_crate and sys.stdout.isatty():
        raise InvalidInput("--format ro-crate writes a zip: name a file with -o, or redirect the output")
    at = parse(as_of)
    with transaction() as session:
        record = gather(session, find(session, what), as_of=moment_of(at))
    if output is None:
        _write(record, form, with_files, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    if not output.parent.is_dir():
        raise InvalidInput(f"-o {output}: there is no folder {output.parent}")
    # Whole or not at all: an export that fails leaves what was there.
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=".export-", delete=False) as file:
        place = Path(file.name)
        try:
            _write(record, form, with_files, file)
            place.chmod(0o644)
            place.replace(output)
        finally:
            place.unlink(missing_ok=True)
    counted = f"{len(record.artifacts)} artifacts of {len(record.runs)} runs"
    typer.echo(f"{record.title}: {counted} -> {output}", err=True)


def _write(record: Record, form: Format, with_files: bool, out: IO[bytes]) -> None:
    from include.artifacts.store import Store
    from include.proof.export import in_toto, picture, plain, ro_crate, table
    from include.settings import settings

    if form is Format.ro_crate:
        ro_crate.write(record, out, store=Store(settings().store) if with_files else None)
        return
    writers = {
        Format.csv: table.document,
        Format.svg: picture.document,
        Format.json: plain.document,
        Format.in_toto: in_toto.document,
    }
    out.write(writers[form](record).encode())
