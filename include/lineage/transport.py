"""The OpenLineage transport of this deployment: into the event table, with bounded waits, no network beyond it.

Delivery to a lineage server is the relay's work. A task never talks HTTP or Kafka.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import psycopg
from openlineage.client.serde import Serde
from openlineage.client.transport.transport import Config, Transport

from include.errors import ThroughlineError
from include.ledger.session import writer_dsn
from include.lineage.events import belongs, store_event

CONNECT_S = 2
STATEMENT_MS = 2_000


class KeptLocal(ThroughlineError):
    """The event belongs to no job that others see."""


class EventTableConfig(Config):
    """The transport needs no option: its DSN is the ledger's, from the environment."""


class EventTableTransport(Transport):
    """Store each event in the ledger; raise when the ledger does not take it, so that the spool does."""

    kind = "throughline_event_table"
    config_class = EventTableConfig

    def __init__(self, config: EventTableConfig) -> None:
        self.config = config
        self._connection: psycopg.Connection[Any] | None = None

    def emit(self, event: Any) -> None:
        """Insert the event in a transaction of its own.

        Raises KeptLocal for an event that is not the table's, so that the local file takes it.
        """
        body = json.loads(Serde.to_json(event))
        if not belongs(body):
            raise KeptLocal("a rehearsal's event stays in the local file")
        try:
            store_event(self._connected(), body)
        except psycopg.Error:
            self.close()
            raise

    def close(self, timeout: float = -1) -> bool:
        """Close the connection; the next event opens another."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
        return True

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                writer_dsn(),
                autocommit=True,
                connect_timeout=CONNECT_S,
                tcp_user_timeout=STATEMENT_MS,
                application_name="throughline-events",
                options=f"-c statement_timeout={STATEMENT_MS}",
            )
        return self._connection
