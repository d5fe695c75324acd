"""One pass of the relay: events sent to the lineage server, lane by lane, several lanes at a time.

A server that takes batches gets many lanes in one request, in their order; any other gets one event after the other in
each lane. Nothing of a lane is sent after an event of it that failed, and nothing of a run after a refused one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Protocol

import structlog

from include.errors import ProviderAway, ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from uuid import UUID

    from include.lineage.pending import Pending
    from include.marquez.client import Delivery

log = structlog.get_logger(__name__)

LANES = 4
"""Lanes on their way at a time; with batches, requests on their way at a time."""
LEAVE_S = 4.0
"""How long a stopping pass waits for what is on its way."""
TICK_S = 0.2


class Server(Protocol):
    """What a lineage server is to the relay; `include.marquez.client.MarquezClient` is one."""

    def takes_batches(self) -> bool:
        """Return whether `post_batch` saves requests; raises as `post_event`."""

    def post_event(self, event: dict[str, Any]) -> Delivery:
        """Send one event; raises ProviderAway or ProviderUnavailable."""

    def deliver(self, event: dict[str, Any]) -> None:
        """Send one event; raises as `post_event`, and ProviderRefused."""

    def post_batch(self, events: Sequence[dict[str, Any]]) -> list[Delivery]:
        """Send events in order; one `Delivery` each; raises as `post_event`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one event; `failed` says that the server failed at it, `waiting` that it takes nothing now."""

    seq: int
    fate: Literal["delivered", "refused", "failed", "waiting"]
    error: str = ""


class Pass:
    """Sends `rows`, which hold whole beginnings of lanes in their order."""

    def __init__(self, server: Server, rows: Sequence[Pending], stopping: threading.Event) -> None:
        lanes: dict[str, list[Pending]] = {}
        for row in rows:
            lanes.setdefault(row.job_name, []).append(row)
        self._server = server
        self._stopping = stopping
        self._closed = threading.Event()
        self._away = threading.Event()
        self._reason = ""
        self._lanes = deque(lanes.values())
        self._share = -(-len(lanes) // LANES)
        self._counting = threading.Lock()
        self._failures = 0  # one after the other, without an answer between them
        self._told: SimpleQueue[Told | BaseException | None] = SimpleQueue()

    def run(self) -> Generator[list[Told]]:
        """Yield what became of events as it becomes known; an event that was not tried is not mentioned.

        Ends early when told to stop: what the server then still holds on to is left, to be sent again another time.
        Close the iterator to end it otherwise; it then waits for what is on its way, so that nothing of this pass
        reaches the server after something of the next.
        """
        # Daemons: a request that a silent server holds must not keep the process alive.
        workers = [
            threading.Thread(target=self._work, daemon=True) for _ in range(min(LANES, len(self._lanes)))
        ]
        for worker in workers:
            worker.start()
        working = len(workers)
        leave_at = float("inf")
        try:
            while working and time.monotonic() < leave_at:
                if self._stopping.is_set():
                    leave_at = min(leave_at, time.monotonic() + LEAVE_S)
                known: list[Told] = []
                for item in self._arrived():
                    if item is None:
                        working -= 1
                    elif isinstance(item, Told):
                        known.append(item)
                    else:
                        raise item
                if known:
                    yield known
            if self._away.is_set() and self._lanes:
                yield [Told(lane[0].seq, "waiting", self._reason) for lane in self._lanes]
        finally:
            self._closed.set()
            if not self._stopping.is_set():
                for worker in workers:
                    worker.join()

    def _arrived(self) -> list[Told | BaseException | None]:
        """Wait a moment for something to arrive; return all that has."""
        items: list[Told | BaseException | None] = []
        with suppress(Empty):
            items.append(self._told.get(timeout=TICK_S))
            while True:
                items.append(self._told.get_nowait())
        return items

    # --- in the workers' threads --------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while lanes := self._next():
                self._send(lanes)
        except BaseException as error:  # raised again where the pass is run
            self._told.put(error)
        else:
            self._told.put(None)

    def _ended(self) -> bool:
        return self._stopping.is_set() or self._closed.is_set() or self._away.is_set()

    def _next(self) -> list[list[Pending]]:
        """Take the next lanes to send, several when the server takes batches; none when there is nothing to do."""
        lanes: list[list[Pending]] = []
        if not self._lanes or self._ended():
            return lanes
        try:
            share = self._share if self._server.takes_batches() else 1
        except ProviderUnavailable as error:
            self._leave(error)
            return lanes
        with suppress(IndexError):
            while len(lanes) < share:
                lanes.append(self._lanes.popleft())
        return lanes

    def _send(self, lanes: list[list[Pending]]) -> None:
        rows = [row for lane in lanes for row in lane]
        if len(rows) > 1 and self._server.takes_batches():
            try:
                deliveries = self._server.post_batch([row.body for row in rows])
            except ProviderAway as error:
                self._leave(error)
            except Exception as error:
                log.warning(
                    "batch not taken, its events are sent one by one", events=len(rows), error=str(error)
                )
                self._count_failure(error)
            else:
                for row, delivery in zip(rows, deliveries, strict=True):
                    self._tell(row, delivery)
                return
        for lane in lanes:
            self._send_lane(lane)

    def _send_lane(self, lane: list[Pending]) -> None:
        dead: set[UUID] = set()
        for row in lane:
            if self._stopping.is_set() or self._closed.is_set():
                return
            if self._away.is_set():
                self._told.put(Told(row.seq, "waiting", self._reason))
                return
            if row.run_id in dead:
                continue
            try:
                delivery = self._server.post_event(row.body)
            except ProviderAway as error:
                self._leave(error)
                self._told.put(Told(row.seq, "waiting", str(error)))
                return
            except Exception as error:
                # Ours or the server's: this event alone must not hold up the others, nor end the relay again and again.
                log.warning("event not taken", seq=row.seq, run=str(row.run_id), error=repr(error))
                self._told.put(Told(row.seq, "failed", str(error) or repr(error)))
                self._count_failure(error)
                return
            self._tell(row, delivery)
            if not delivery.delivered:
                dead.add(row.run_id)

    def _tell(self, row: Pending, delivery: Delivery) -> None:
        self._failures = 0
        if delivery.delivered:
            self._told.put(Told(row.seq, "delivered"))
        elif delivery.tried:
            log.error(
                "event refused",
                seq=row.seq,
                run=str(row.run_id),
                status=delivery.status,
                error=delivery.error,
            )
            self._told.put(Told(row.seq, "refused", f"{delivery.status}: {delivery.error}"))

    def _count_failure(self, error: Exception) -> None:
        with self._counting:
            self._failures += 1
            if self._failures >= LANES:
                self._leave(error)

    def _leave(self, error: Exception) -> None:
        self._reason = str(error) or repr(error)
        self._away.set()
