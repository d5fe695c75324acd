"""Real processes of the event path, to be killed: relays, and writers that tell events as Airflow's processes do.

They are forked from one process that has everything loaded, so that one starts in milliseconds. Each says in a journal of
its own what it does; what Python connects to is in there too.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openlineage.client.event_v2 import RunEvent

ROOT = Path(__file__).resolve().parents[2]
BEGUN = datetime(2026, 11, 1, tzinfo=UTC)
FAILS_EVERY = 7
POLL_S = 0.02
LOADED = (
    "openlineage.client.facet_v2",
    "openlineage.client.transport.composite",
    "openlineage.client.transport.file",
    "openlineage.client.transport.transform",
    "time_machine",
    "include.lineage.relay",
    "include.lineage.transport",
    "include.operators.masking",
    "include.stack.parts",
)


# --- what a writer tells ----------------------------------------------------------------------------------------------


def lane(who: int, number: int) -> str:
    """The job of a run: two that all writers tell of, one of the writer's own."""
    return ("video", "video.review", f"video.scene_{who}")[number % 3]


def told(job: str, who: int, number: int) -> RunEvent:
    """The writer's event of that number, the same whenever it is asked for: each run's START, then its end."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import datasource_dataset, error_message_run, schema_dataset

    from include.lineage.facets import PRODUCER, ThroughlineJobRunFacet

    run, ends = divmod(number, 2)
    fails = bool(ends) and run % FAILS_EVERY == FAILS_EVERY - 1
    name = lane(who, run)
    facets: dict[str, Any] = {
        "throughline_job": ThroughlineJobRunFacet(
            producer=PRODUCER, job_id=job, dag_id="video", run_id=f"manual__{who}_{run}"
        )
    }
    if fails:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message="QualityGateFailed: no sound", programmingLanguage="python", producer=PRODUCER
        )
    source = {
        "dataSource": datasource_dataset.DatasourceDatasetFacet(
            name="store", uri="file:///store", producer=PRODUCER
        )
    }
    columns = [schema_dataset.SchemaDatasetFacetFields(name="scene", type="int")]
    schema = {"schema": schema_dataset.SchemaDatasetFacet(fields=columns, producer=PRODUCER)}
    return RunEvent(
        eventType=(RunState.FAIL if fails else RunState.COMPLETE) if ends else RunState.START,
        eventTime=(BEGUN + timedelta(seconds=number)).isoformat(),
        producer=PRODUCER,
        run=Run(str(uuid5(NAMESPACE_URL, f"{job}/{who}/{run}")), facets),
        job=Job("throughline", name),
        inputs=[InputDataset("throughline", "media/scenes", dict(source))],
        outputs=[] if fails else [OutputDataset("throughline", f"media/{who}", source | schema)],
    )


def key_of(body: dict[str, Any]) -> str:
    return f"{body['run']['runId']} {body['eventType']}"


# --- the processes ----------------------------------------------------------------------------------------------------


def write(journal: Path, enough: Path, job: str, who: int, most: int) -> None:
    """Tell one event after the other, going on after the last that was acknowledged; end with a run's end.

    Ends after `most` events, or when the file `enough` appears.
    """
    from openlineage.client import OpenLineageClient

    from include.settings import settings
    from include.stack.parts import transport

    client = OpenLineageClient(config={"transport": json.loads(transport(str(settings().state_dir)))})
    said = Journal(journal)
    number = len(said.acknowledged())
    while number < most and (number % 2 or not enough.exists()):
        event = told(job, who, number)
        key = f"{event.run.runId} {event.eventType.value}"
        said.say("tells", key)
        client.emit(event)
        said.say("acknowledged", key)
        number += 1
    client.close()


def deliver(url: str, timeout_s: float, clock_s: float) -> None:
    """Run a relay as its command does; its machine's clock may be wrong by so much."""
    from include.ledger.session import relay_dsn
    from include.lineage.relay import Relay
    from include.lineage.spool import Spool
    from include.marquez.client import MarquezClient
    from include.settings import settings

    if clock_s:
        import time_machine

        time_machine.travel(datetime.now(UTC) + timedelta(seconds=clock_s), tick=True).start()
    print(f"clock {datetime.now(UTC).isoformat()}", flush=True)
    with MarquezClient(url, timeout_s=timeout_s) as client:
        Relay(relay_dsn(), client, Spool(settings().spool_dir)).run()


@dataclass(frozen=True)
class Journal:
    """Lines of a process, on the disk before it goes on; the last one may be torn."""

    path: Path

    def say(self, what: str, about: str) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{what} {about}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def said(self, what: str) -> list[str]:
        if not self.path.exists():
            return []
        lines = [line for line in self.path.read_text().split("\n")[:-1] if line.startswith(f"{what} ")]
        return [line.removeprefix(f"{what} ") for line in lines]

    def acknowledged(self) -> list[str]:
        return self.said("acknowledged")


def main() -> None:
    """Obey one order per line: start a process, or wait for one; answer with its pid, or how it ended."""
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(_ended(order["wait"], order["seconds"]), flush=True)
            continue
        child = os.fork()
        if child:
            print(child, flush=True)
            continue
        status = 1
        try:
            os.environ.update(order.pop("environment"))
            journal = Path(order.pop("journal"))
            with journal.with_suffix(".log").open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            said = Journal(journal)
            _watch(said)
            if order.pop("what") == "writer":
                write(journal, Path(order.pop("enough")), **order)
            else:
                deliver(**order)
            status = 0
        except BaseException:
            traceback.print_exc()  # into the child's log; its status says that it failed
        finally:
            sys.stdout.flush()
            os._exit(status)


def _watch(said: Journal) -> None:
    """Write down whatever Python's sockets connect to; the database's library has none of them."""

    def connects(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            said.say("connects", str(given[1]))

    sys.addaudithook(connects)


def _ended(pid: int, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return str(os.waitstatus_to_exitcode(status))
        time.sleep(POLL_S)
    return "alive"


# --- the test's side --------------------------------------------------------------------------------------------------


@dataclass
class Child:
    """A process that the nursery started."""

    pid: int
    journal: Journal
    forker: Forker
    status: str | None = None

    def wait(self, seconds: float = 60) -> str:
        """Wait for its end; return its exit status, negative for a signal, or ``alive``."""
        if self.status is None:
            answer = self.forker.ask({"wait": self.pid, "seconds": seconds})
            self.status = None if answer == "alive" else answer
            return answer
        return self.status

    def kill(self) -> None:
        """Kill it; it must have lived until now."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == str(-signal.SIGKILL), self.log()

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def log(self) -> str:
        return self.journal.path.with_suffix(".log").read_text()


@dataclass(frozen=True)
class Forker:
    """The process that has everything loaded."""

    process: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Forker]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE")
        }
        with subprocess.Popen(
            [sys.executable, __file__],
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield cls(process)
            finally:
                process.kill()

    def ask(self, order: dict[str, Any]) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, "the process that forks others died"
        return answer


@dataclass
class Nursery:
    """Starts relays and writers on one ledger and one state folder."""

    forker: Forker
    dsn: str
    state: Path
    children: list[Child] = field(default_factory=list)

    @classmethod
    @contextmanager
    def opened(cls, forker: Forker, dsn: str, state: Path) -> Iterator[Nursery]:
        """Yield one; none of its processes outlives it."""
        (state / "lineage").mkdir(parents=True, exist_ok=True)
        (state / "journals").mkdir()
        nursery = cls(forker, dsn, state)
        try:
            yield nursery
        finally:
            for child in nursery.children:
                if child.status is None:
                    with suppress(ProcessLookupError):
                        os.kill(child.pid, signal.SIGKILL)
                    child.wait()

    def start(self, journal: str, **order: Any) -> Child:
        said = Journal(self.state / "journals" / journal)
        environment = {"THROUGHLINE_LEDGER_DSN": self.dsn, "THROUGHLINE_STATE_DIR": str(self.state)}
        pid = int(self.forker.ask({**order, "environment": environment, "journal": str(said.path)}))
        self.children.append(Child(pid, said, self.forker))
        return self.children[-1]

    def relay(self, url: str, *, timeout_s: float = 30, clock_s: float = 0) -> Child:
        """Start a relay; its journal says what it connected to."""
        return self.start("relay", what="relay", url=url, timeout_s=timeout_s, clock_s=clock_s)

    def writer(self, job: UUID, who: int, most: int = 10**9) -> Child:
        """Start the writer of that number, or the one that goes on where it was killed."""
        return self.start(
            f"writer_{who}", what="writer", enough=str(self.enough), job=str(job), who=who, most=most
        )

    @property
    def enough(self) -> Path:
        """The file whose being there ends all writers."""
        return self.state / "enough"

    def told(self, what: str) -> Counter[str]:
        """What writers said of that kind: ``tells``, ``acknowledged`` or ``connects``."""
        journals = [Journal(path) for path in sorted((self.state / "journals").glob("writer_?"))]
        return Counter(one for journal in journals for one in journal.said(what))


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Poll; fail with what was awaited."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not: {what}"
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
