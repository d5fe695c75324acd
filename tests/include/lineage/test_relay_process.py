"""The relay as an operator runs it, a process of its own: waking, taking over, ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest

from include.lineage.events import store_event
from include.lineage.relay import LOCK, Relay
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

Events = psycopg.Connection[tuple[Any, ...]]
POLL_S = 0.05
ROOT = Path(__file__).resolve().parents[3]
THROUGHLINE = Path(sys.executable).parent / "throughline"
RELAYS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'throughline-relay' AND datname = current_database()
"""
WAITING = "SELECT count(*) FROM event WHERE delivered_at IS NULL"
HOLDERS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def relay(ledger: str, receiver: Receiver, state: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE")},
        "THROUGHLINE_LEDGER_DSN": ledger,
        "THROUGHLINE_STATE_DIR": str(state),
        "MARQUEZ_URL": receiver.url,
    }
    process = subprocess.Popen(
        [THROUGHLINE, "relay"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Poll; fail with what was awaited."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not: {what}"
        time.sleep(POLL_S)


def leader(events: Events, within_s: float = 60.0) -> int:
    """Wait until a relay holds the lock; return the backend's process id."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        row = events.execute(HOLDERS, (LOCK,)).fetchone()
        if row is not None:
            return int(row[0])
        time.sleep(POLL_S)
    raise AssertionError("no relay took the lock")


def client_of(events: Events, backend: int) -> int:
    """The process of this machine that talks to a backend."""
    row = events.execute("SELECT client_port FROM pg_stat_activity WHERE pid = %s", (backend,)).fetchone()
    assert row is not None
    return next(one.pid or 0 for one in psutil.net_connections("tcp") if one.laddr.port == row[0] and one.pid)


def start_and_end(events: Events, job: UUID, name: str, minute: int = 0) -> UUID:
    run = uuid4()
    store_event(events, make_event(job, name, "START", minute, run))
    store_event(events, make_event(job, name, "COMPLETE", minute + 1, run))
    return run


def test_it_is_woken_by_each_event_and_outlives_its_connection(
    ledger: str, events: Events, job: UUID, receiver: Receiver, tmp_path: Path
) -> None:
    with relay(ledger, receiver, tmp_path) as process:
        held = leader(events)
        for number in range(1, 6):
            store_event(events, make_event(job, "video.a", "START", number, uuid4()))
            assert receiver.wait_for(number, 2.0), "seen within two seconds of its commit"
        until(lambda: events.execute(WAITING).fetchone() == (0,), "all noted")
        events.execute("SELECT pg_terminate_backend(%s)", (held,))
        start_and_end(events, job, "video.a")
        assert receiver.wait_for(7, 10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_second_relay_waits_and_takes_over_when_the_first_is_killed(
    ledger: str, events: Events, job: UUID, receiver: Receiver, tmp_path: Path
) -> None:
    with relay(ledger, receiver, tmp_path) as first, relay(ledger, receiver, tmp_path) as second:
        until(lambda: events.execute(RELAYS).fetchone() == (2,), "both relays are there")
        held = leader(events)
        start_and_end(events, job, "video.a")
        until(lambda: events.execute(WAITING).fetchone() == (0,), "delivered")
        assert leader(events) == held
        assert first.poll() is None
        assert second.poll() is None
        leading = first if client_of(events, held) == first.pid else second
        leading.kill()
        leading.wait()
        start_and_end(events, job, "video.a", 2)
        assert receiver.wait_for(4, 5), "taken over within seconds"
        assert leader(events) != held
    assert receiver.kinds("video.a") == ["START", "COMPLETE"] * 2


def test_one_that_waits_for_the_lock_ends_on_request(
    ledger: str, events: Events, server: MarquezClient
) -> None:
    events.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    waits = Relay(ledger, server)
    with waits.connect() as connection:
        thread = threading.Thread(target=waits.lead, args=(connection,))
        thread.start()
        waits.stopping.set()
        thread.join(5)
        assert not thread.is_alive()
