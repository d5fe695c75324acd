"""What bytes must stand before they get an address: each kind of file is opened by a reader of its own."""

import json
from collections.abc import Callable
from pathlib import Path

from include.errors import QualityGateFailed


def validate(path: Path, suffix: str) -> None:
    """Raise QualityGateFailed when the file cannot be what its suffix says."""
    if not path.is_file():
        raise QualityGateFailed(f"the writer of a {suffix} artifact made no file")
    if path.stat().st_size == 0:
        raise QualityGateFailed(f"the writer of a {suffix} artifact made an empty file")
    check = CHECKS.get(suffix)
    if check is not None:
        check(path)


def _json(path: Path) -> None:
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        raise QualityGateFailed(f"the JSON artifact does not parse: {error}") from error


def _parquet(path: Path) -> None:
    import polars as pl

    try:
        schema = pl.read_parquet_schema(path)
        rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        counted = pl.scan_parquet(path).collect().height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise QualityGateFailed(f"the Parquet artifact cannot be read: {error}") from error
    if not schema or rows != counted:
        raise QualityGateFailed(f"the Parquet artifact says {rows} rows and holds {counted}")


def _pdf(path: Path) -> None:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        pages = len(PdfReader(path).pages)
    except (PyPdfError, ValueError, KeyError) as error:
        raise QualityGateFailed(f"the PDF artifact cannot be read: {error}") from error
    if pages == 0:
        raise QualityGateFailed("the PDF artifact has no page")


def _png(path: Path) -> None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError) as error:
        raise QualityGateFailed(f"the PNG artifact cannot be read: {error}") from error


def _media(path: Path) -> None:
    from include.artifacts.media import decode_check

    decode_check(path)


CHECKS: dict[str, Callable[[Path], None]] = {
    ".json": _json,
    ".parquet": _parquet,
    ".pdf": _pdf,
    ".png": _png,
    ".mp4": _media,
    ".wav": _media,
    ".m4a": _media,
}
