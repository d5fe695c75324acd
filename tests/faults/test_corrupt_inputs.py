"""One flipped bit in a stored file: whoever reads it refuses before it uses a byte, and makes nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attempts import Task, as_task, attempt, telling
from include.errors import ArtifactCorrupt, InvalidInput
from include.ledger.session import transaction
from include.medallion.declared import BY_NAME
from include.proof.verify import verify
from include.reports import capture
from include.reports import declared as reports
from include.settings import settings as deployment
from tests.faults.oracle import assert_sound, settle
from tests.faults.prepared import COMPOSITION, LAKE, REPORTS, REVIEW, WORDS, Prepared, digests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow
BITS = {"place": st.floats(0, 1, exclude_max=True), "bit": st.integers(0, 7)}
DOSSIER = Task(reports.DOSSIER_GATHER, "", REPORTS)


def layer(name: str) -> Task:
    return Task(BY_NAME[f"leads.{name}"], "latest", LAKE)


# kind and key of what is corrupt, the task that reads it; {lead} stands for the lead of the prepared job
READ_BY = [
    ("trends", "", WORDS[1]),
    ("report", "", WORDS[2]),
    ("script", "", WORDS[3]),
    ("voiceover", "", COMPOSITION),
    ("words", "", COMPOSITION),
    ("scene", "01", COMPOSITION),
    ("captions", "", REVIEW[0]),
    ("video", "", REVIEW[0]),
    ("quality", "", REVIEW[1]),
    ("review", "", REVIEW[1]),
    ("table", "staged/leads/latest", layer("bronze")),
    ("table", "bronze/leads/latest", layer("silver")),
    ("table", "silver/leads/latest", layer("gold")),
    ("table", "gold/assessments/latest", Task(reports.GATHER, "{lead}", REPORTS)),
    ("report_inputs", "{lead}", Task(reports.RENDER, "{lead}", REPORTS)),
    # the dossier of a job reads everything that the job made, also what no other stage reads
    ("source", "trends", DOSSIER),
    ("mix", "", DOSSIER),
    ("thumbnail", "", DOSSIER),
    ("lead_audit", "{lead}", DOSSIER),
]


def stored(dsn: str, prepared: Prepared, kind: str, key: str) -> tuple[str, Path]:
    """Return the id of the job's current artifact and its file."""
    query = """
        SELECT CAST(artifact_id AS text), path FROM artifact JOIN blob USING (sha256)
        WHERE job_id = %s AND kind = %s AND key = %s AND superseded_at IS NULL
    """
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(query, (prepared.job, kind, key)).fetchall()
    ((artifact, path),) = rows
    return artifact, deployment().store / path


@contextmanager
def flipped(path: Path, place: float, bit: int) -> Iterator[None]:
    """Flip one bit of a file, in a file of its own: the prepared job's is linked."""
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[int(place * len(whole))] ^= 1 << bit
    replace(path, bytes(broken))
    try:
        yield
    finally:
        replace(path, whole)


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(("kind", "key", "reader"), READ_BY, ids=lambda one: str(one) or "-")
def test_a_flipped_bit_is_refused_by_its_reader(
    prepared: Prepared,
    kind: str,
    key: str,
    reader: Task,
    tmp_path: Path,
    receiver: Receiver,
    server: MarquezClient,
) -> None:
    lead = prepared.render().key
    key, reader = key.format(lead=lead), Task(reader.stage, reader.key.format(lead=lead), reader.params)
    with prepared.before_task(None, tmp_path) as dsn, telling() as adapter:
        before = digests(dsn)
        artifact, path = stored(dsn, prepared, kind, key)
        named = path.relative_to(deployment().store).as_posix()
        files = sorted(path.parents[1].rglob("*"))

        @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(**BITS)
        def check(place: float, bit: int) -> None:
            with flipped(path, place, bit):
                with pytest.raises(ArtifactCorrupt) as refused:
                    as_task(prepared.job, reader, uuid4(), adapter)
                assert named in str(refused.value), "it names the file"
                assert artifact in str(refused.value), "and the artifact"
                assert digests(dsn) == before
                assert sorted(path.parents[1].rglob("*")) == files
                with transaction(dsn) as session:
                    found = [
                        (one.invariant, one.subject, one.problem) for one in verify(session, only=["I3"])
                    ]
                assert found == [("I3", named, "the file was altered")]

        check()
        settle(dsn, server)
        assert_sound(dsn, receiver.got)
        ends = [one for one in receiver.got if one["job"]["name"].endswith(f".{reader.stage.name}")]
        assert "altered" in ends[-1]["run"]["facets"]["errorMessage"]["message"]


def test_who_made_it_mends_it(
    prepared: Prepared, tmp_path: Path, receiver: Receiver, server: MarquezClient
) -> None:
    """The maker does not reuse a damaged output: it makes the same bytes again, and readers go on."""
    collection, analysis = WORDS[:2]
    with prepared.before_task(analysis, tmp_path) as dsn:
        _, path = stored(dsn, prepared, "trends", "")
        replace(path, path.read_bytes()[:-1] + b"?")
        assert "ArtifactCorrupt" in (attempt(prepared.job, analysis).error or "")
        assert attempt(prepared.job, collection).status == "succeeded"
        assert attempt(prepared.job, analysis).status == "succeeded"
        assert digests(dsn).items() <= prepared.made.items()
        settle(dsn, server)
        assert_sound(dsn, receiver.got)


@given(**BITS)
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_in_a_download_of_captured_inputs_is_refused(place: float, bit: int) -> None:
    """gzip has bits that decide nothing; whatever is unpacked is what was packed, or is refused."""
    packed = capture.bundle(DOCUMENT, "inputs")
    broken = bytearray(packed.parts[0].content)
    broken[int(place * len(broken))] ^= 1 << bit
    try:
        unpacked = capture.unbundle([bytes(broken)], packed.sha256)
    except (ArtifactCorrupt, InvalidInput):
        return
    assert unpacked == DOCUMENT


DOCUMENT = {"schema": "test/1", "values": [{"name": f"value {place}", "n": place} for place in range(200)]}
