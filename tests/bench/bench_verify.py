"""What `throughline verify` costs on a large store: every invariant, every file digested, every file traced.

Prints seconds per 10 000 artifacts of 20 kB beside the floor of the same run: sha256 over the same paths in a plain
loop. The ledger is bulk loaded; the number of artifacts is THROUGHLINE_BENCH_ARTIFACTS or the first argument. Run with
`make bench ONLY=verify`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid5

import psycopg

from include.artifacts.store import Store
from include.ledger import session as ledger
from include.ledger.migrations import upgrade
from include.proof.files import Digests
from include.proof.verify import traced, verify
from include.settings import settings
from include.stack.postgres import temporary_cluster

SIZE = 20_000
PER_RUN = 10  # artifacts of one stage run
GOAL_S = 6.0  # per 10 000: 60 s for 100 000
DAMAGED = 3
NAMES = UUID("5d0d6a3e-8d3c-4c1e-9a54-3b6f0f5f1f00")


def write_files(root: Path, count: int) -> list[tuple[str, str]]:
    """Fill a store with random files; return (sha256, path) in order of making."""
    made = []
    for _ in range(count):
        content = os.urandom(SIZE)
        sha256 = hashlib.sha256(content).hexdigest()
        path = f"blobs/{sha256[:2]}/{sha256}.bin"
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        made.append((sha256, path))
    return made


def load(dsn: str, made: list[tuple[str, str]]) -> None:
    """Load a ledger in which every tenth artifact is a source and the others were made from it."""
    job = uuid5(NAMES, "job")
    artifacts = [str(uuid5(NAMES, sha256)) for sha256, _ in made]
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # the guards are checked by verify itself
        cursor.execute("INSERT INTO job (job_id, family, status) VALUES (%s, 'bench', 'completed')", (job,))
        with cursor.copy("COPY blob (sha256, size_bytes, media_type, path) FROM STDIN") as rows:
            for sha256, path in made:
                rows.write_row((sha256, SIZE, "application/octet-stream", path))
        columns = (
            "map_index, try_number, stage_run_id, scope, family, stage, key, attempt, claim_token, status"
        )
        with cursor.copy(
            f"COPY stage_run ({columns}, code_digest, ol_job_name, facts, finished_at, job_id) FROM STDIN"
        ) as rows:
            for start in range(0, len(made), PER_RUN):
                part = range(start, min(start + PER_RUN, len(made)))
                told = [
                    {"artifact_id": artifacts[n], "sha256": made[n][0], "kind": kind_of(n), "key": str(n)}
                    for n in part
                ]
                facts = {"inputs": told[:1], "outputs": told[1:]}
                rows.write_row(
                    (
                        -1,
                        1,
                        uuid5(NAMES, f"run {start}"),
                        str(job),
                        "bench",
                        "make",
                        str(start),
                        1,
                        1,
                        "succeeded",
                        "0" * 64,
                        "bench.make",
                        json.dumps(facts),
                        "2026-11-01T00:00:00Z",
                        job,
                    )
                )
        columns = "artifact_id, sha256, stage_run_id, kind, key, namespace, dataset, name, job_id"
        with cursor.copy(f"COPY artifact ({columns}, facts) FROM STDIN") as rows:
            for number, (sha256, _) in enumerate(made):
                run = uuid5(NAMES, f"run {number - number % PER_RUN}")
                place = ("throughline", "media/bench", f"{number}.bin", job, "{}")
                rows.write_row((artifacts[number], sha256, run, kind_of(number), str(number), *place))
        with cursor.copy("COPY artifact_input (artifact_id, input_id, job_id) FROM STDIN") as rows:
            for number in range(len(made)):
                if number % PER_RUN:
                    rows.write_row((artifacts[number], artifacts[number - number % PER_RUN], job))
        connection.commit()
        cursor.execute("ANALYZE")
        connection.commit()


def kind_of(number: int) -> str:
    return "made" if number % PER_RUN else "source"


def whole() -> tuple[set[tuple[str, str]], set[str]]:
    """Do what the command does without a lineage server; return (invariant, subject) and the untraced files."""
    digests = Digests(settings().store)
    with ledger.transaction() as session:
        found = verify(session, digests=digests)
        files = traced(session, digests=digests)
    return {(finding.invariant, finding.subject) for finding in found}, set(files.untraced)


def floor(paths: list[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        hashlib.sha256(path.read_bytes()).hexdigest()
    return time.perf_counter() - began


def main() -> int:
    count = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("THROUGHLINE_BENCH_ARTIFACTS", "10000"))
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as cluster,
        temporary_cluster(Path(cluster)) as dsn,
    ):
        os.environ |= {
            "THROUGHLINE_LEDGER_DSN": dsn,
            "THROUGHLINE_ARTIFACT_DIR": folder,
            "THROUGHLINE_STATE_DIR": folder,
        }
        settings.cache_clear()
        upgrade(dsn)
        made = write_files(Path(folder), count)
        load(dsn, made)
        paths = list(Store(Path(folder)).blobs())
        # The answer first: a sound store has no finding, and exactly the damaged files are named.
        kept = {path: path.read_bytes() for path in paths[:DAMAGED]}
        for path in kept:
            path.write_bytes(b"damaged")
        names = {path.relative_to(folder).as_posix() for path in kept}
        found = whole()
        if found != ({("I3", name) for name in names}, names):
            print(f"wrong answer: {found}")
            return 1
        for path, content in kept.items():
            path.write_bytes(content)
        floors, times = [], []
        for _ in range(3):
            floors.append(floor(paths))
            began = time.perf_counter()
            found = whole()
            times.append(time.perf_counter() - began)
            if found != (set(), set()):
                print(f"wrong answer: {found}")
                return 1
        ledger.engine(dsn).dispose()
    seconds, least = (min(figures) * 10_000 / count for figures in (times, floors))
    print(f"{count} artifacts of {SIZE} bytes, best of 3, {os.cpu_count()} cores")
    print(f"{'':24}{'s/10 000':>10}")
    print(f"{'sha256 in a plain loop':24}{least:10.2f}")
    print(f"{'verify':24}{seconds:10.2f}   ratio {seconds / least:.2f}")
    verdict = "ok" if seconds <= GOAL_S else "short"
    print(f"verify seconds per 10 000 artifacts: {seconds:.2f} (goal <= {GOAL_S:.1f}) {verdict}")
    return 0 if verdict == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
