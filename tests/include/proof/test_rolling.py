"""The rolling check of the store: oldest first, bounded, wrong files every time; nothing is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.artifacts.store import Store
from include.errors import QualityGateFailed
from include.ledger.session import transaction
from include.operators import upkeep
from include.proof.rolling import Sample, sample
from include.settings import settings

if TYPE_CHECKING:
    from tests.include.proof.made_runs import Made


def read(**bounds: float) -> Sample:
    with transaction() as session:
        return sample(session, part=1, **bounds)  # type: ignore[arg-type]  # a test's shorthand for two kinds of bound


def order(made: Made) -> list[str]:
    return [
        path
        for (path,) in made.sql("SELECT path FROM blob_check JOIN blob USING (sha256) ORDER BY checked_at")
    ]


def test_the_whole_store_is_read_when_the_bounds_allow_it(made: Made) -> None:
    found = read(seconds=60.0)
    assert (found.files, found.bad) == (3, ())
    assert found.size_bytes == sum(path.stat().st_size for path in Store(settings().store).blobs())
    assert len(order(made)) == 3


def test_each_turn_goes_on_where_the_last_one_stopped(made: Made) -> None:
    turns = [read(seconds=0.0) for _ in range(3)]
    assert [turn.files for turn in turns] == [1, 1, 1]
    first = order(made)
    assert len(set(first)) == 3
    assert read(seconds=60.0, size_bytes=1).files == 1
    assert order(made)[-1] == first[0]


def test_a_damaged_file_is_found_every_time_and_never_touched(made: Made) -> None:
    store = Store(settings().store)
    _, one, two = store.blobs()  # read last, if it went by address
    one.chmod(0o644)
    one.write_bytes(b"altered")
    two.unlink()
    assert {(bad.path, bad.problem) for bad in read(seconds=60.0).bad} == {
        (one.relative_to(store.root).as_posix(), "the file was altered"),
        (two.relative_to(store.root).as_posix(), "the file is missing"),
    }
    assert one.read_bytes() == b"altered"
    assert [len(read(seconds=0.0).bad) for _ in range(2)] == [1, 1]
    assert made.sql("SELECT count(*) FROM artifact") == [(3,)]
    with pytest.raises(QualityGateFailed, match="2 files of the store are damaged: blobs/"):
        upkeep.read_back()


def test_a_restored_file_is_well_again(made: Made) -> None:
    one, *_ = Store(settings().store).blobs()
    content = one.read_bytes()
    one.unlink()
    assert len(read(seconds=60.0).bad) == 1
    one.write_bytes(content)
    assert read(seconds=60.0).bad == ()
    assert made.sql("SELECT count(*) FROM blob_check WHERE problem IS NOT NULL") == [(0,)]
    assert upkeep.read_back()["files"] == 3
