"""One table run through all layers on files, without a ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl
import pytest

from include.artifacts.digests import sha256_file
from include.medallion.promote import Hop, Promotion, promote
from include.medallion.staging import Arrival, stage
from include.medallion.tables import table_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.medallion.contract import SourceMapping, Table

SEEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
IDS = {"staged": UUID(int=1), "bronze": UUID(int=2), "silver": UUID(int=3), "gold": UUID(int=4)}
BELOW = {"bronze": "staged", "silver": "bronze", "gold": "silver"}


@dataclass
class Lake:
    """The files and results of one run of one table."""

    table: Table
    folder: Path
    done: dict[str, Promotion] = field(default_factory=dict)

    def path(self, layer: str) -> Path:
        return self.folder / f"{layer}.parquet"

    def refused(self, layer: str) -> Path:
        return self.folder / f"{layer}-refused.parquet"

    def frame(self, layer: str) -> pl.DataFrame:
        return pl.read_parquet(self.path(layer))

    def quarantine(self, layer: str) -> list[dict[str, object]]:
        return pl.read_parquet(self.refused(layer)).to_dicts() if self.refused(layer).exists() else []

    def stage(self, source: Path, mapping: SourceMapping | None = None) -> Promotion:
        arrival = Arrival(source, f"{self.table.name}/{source.name}", sha256_file(source), SEEN)
        hop = Hop(self.table, "staged", "latest", IDS["staged"], f"sources/{self.table.name}")
        self.done["staged"] = stage(hop, arrival, self.path("staged"), self.refused("staged"), mapping)
        return self.done["staged"]

    def promote(self, layer: str) -> Promotion:
        below = BELOW[layer]
        hop = Hop(self.table, layer, "latest", IDS[layer], f"lake/{below}/{self.table.name}")
        self.done[layer] = promote(hop, self.path(below), self.path(layer), self.refused(layer))
        return self.done[layer]

    def run(self, source: Path) -> Lake:
        self.stage(source)
        for layer in BELOW:
            self.promote(layer)
        return self


@pytest.fixture
def lake(tmp_path: Path) -> Callable[..., Lake]:
    """Return a function that opens an empty lake for a table, by name or declaration."""
    opened: list[Lake] = []

    def open_lake(table: str | Table) -> Lake:
        folder = tmp_path / f"lake-{len(opened)}"
        folder.mkdir()
        opened.append(Lake(table_named(table) if isinstance(table, str) else table, folder))
        return opened[-1]

    return open_lake


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Return a function that writes a source file."""

    def write(content: str | bytes, name: str = "in.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def fleet_reviews(shared_data: Path, tmp_path: Path) -> Path:
    """Real reviews, each with the company that runs the shuttle: the reviews alone name only the shuttle."""
    folder = shared_data / "spaceflights"
    owners = pl.read_excel(folder / "shuttles.xlsx").select(pl.col("id", "company_id").cast(pl.String))
    path = tmp_path / "reviews.csv"
    reviews = pl.read_csv(folder / "reviews.csv", infer_schema=False)
    reviews.join(owners, left_on="shuttle_id", right_on="id", how="left", maintain_order="left").write_csv(
        path
    )
    return path
