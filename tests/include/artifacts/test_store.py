"""The publish protocol on a real file system: addressed by content, validated, nothing left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from include.artifacts.digests import canonical_json, code_digest, sha256_file
from include.artifacts.store import Store
from include.errors import ArtifactCorrupt, ConfigurationError, InvalidInput, QualityGateFailed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(content: bytes):
    def writer(path: Path) -> None:
        path.write_bytes(content)

    return writer


def test_equal_bytes_have_one_address(store: Store) -> None:
    first = store.keep(write(b"{}"), suffix=".json", media_type="application/json")
    again = store.keep(write(b"{}"), suffix=".json", media_type="application/json")
    assert first == again
    assert [path.stem for path in store.blobs()] == [first.sha256]
    assert sha256_file(store.root / first.path) == first.sha256


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".json", b"{"),
        (".parquet", b"PAR1 no"),
        (".pdf", b"%PDF-1.7 no"),
        (".png", b"\x89PNG no"),
        (".mp4", b"no"),
        (".txt", b""),
    ],
)
def test_what_is_not_what_its_suffix_says_is_refused(store: Store, suffix: str, content: bytes) -> None:
    with pytest.raises(QualityGateFailed):
        store.keep(write(content), suffix=suffix, media_type="x/y")
    assert list(store.blobs()) == []


def test_a_real_parquet_passes(store: Store) -> None:
    blob = store.keep(
        lambda path: pl.DataFrame({"a": [1, 2]}).write_parquet(path),
        suffix=".parquet",
        media_type="application/vnd.apache.parquet",
    )
    assert pl.read_parquet(store.root / blob.path)["a"].to_list() == [1, 2]


def test_an_altered_or_missing_blob_is_not_opened(store: Store) -> None:
    blob = store.keep(write(b"[1]"), suffix=".json", media_type="application/json")
    path = store.root / blob.path
    path.chmod(0o644)
    path.write_bytes(b"[2]")
    with pytest.raises(ArtifactCorrupt, match="altered"):
        store.open(blob.path, blob.sha256)
    path.unlink()
    with pytest.raises(ArtifactCorrupt, match="missing"):
        store.open(blob.path, blob.sha256)


def test_a_damaged_blob_is_healed_by_the_next_equal_making(store: Store) -> None:
    blob = store.keep(write(b"[1]"), suffix=".json", media_type="application/json")
    path = store.root / blob.path
    path.chmod(0o644)
    path.write_bytes(b"[2]")
    store.keep(write(b"[1]"), suffix=".json", media_type="application/json")
    assert store.open(blob.path, blob.sha256).read_bytes() == b"[1]"


def test_a_friendly_path_follows_the_newest_making(store: Store) -> None:
    old = store.keep(write(b"[1]"), suffix=".json", media_type="application/json")
    new = store.keep(write(b"[2]"), suffix=".json", media_type="application/json")
    for blob in (old, new, new):
        place = store.link(blob.path, "out/job/a.json")
    assert json.loads(place.read_text()) == [2]
    assert [path.name for path in place.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("name", ["../../x", "out/../../x.json"])
def test_a_friendly_path_stays_in_the_store(store: Store, name: str) -> None:
    blob = store.keep(write(b"[1]"), suffix=".json", media_type="application/json")
    with pytest.raises(InvalidInput, match="leaves the store"):
        store.link(blob.path, name)


def test_a_missing_source_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent\.csv: no such file"):
        store.admit(tmp_path / "absent.csv", suffix=".csv", media_type="text/csv")


def test_a_fault_is_refused_outside_tests(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.settings import settings

    monkeypatch.setenv("THROUGHLINE_FAULT", "any:written")
    settings.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="for tests"):
            store.keep(write(b"1"), suffix=".json", media_type="application/json", stage="any")
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_canonical_json_is_one_form() -> None:
    assert canonical_json({"b": 1, "a": None}) == canonical_json({"a": None, "b": 1})


def test_a_code_digest_follows_the_code(tmp_path: Path) -> None:
    assert code_digest("include/errors.py") != code_digest("include/settings.py")
    assert code_digest("include/errors.py") == code_digest("include/errors.py")
