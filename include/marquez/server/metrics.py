"""Counters of the server, in the OpenMetrics text format (https://prometheus.io/docs/specs/om/open_metrics_spec/)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.marquez.server.database import Pool

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OUTCOMES = ("stored", "repeated", "refused")


class Histogram:
    """How long something took, in buckets of seconds.

    >>> h = Histogram()
    >>> h.observe(0.02)
    >>> list(h.lines("x"))[2:4]
    ['x_bucket{le="0.025"} 1', 'x_bucket{le="0.05"} 1']
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def lines(self, name: str, labels: str = "") -> Iterator[str]:
        """Yield the samples; `labels` as ``key="value",`` with its comma."""
        reached = 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self.counts, strict=True):
            reached += count
            yield f'{name}_bucket{{{labels}le="{bound}"}} {reached}'
        own = f"{{{labels.rstrip(',')}}}" if labels else ""
        yield f"{name}_sum{own} {self.total_s:.6f}"
        yield f"{name}_count{own} {reached}"


@dataclass
class Metrics:
    """What one server process did since it started."""

    statuses: Counter[int] = field(default_factory=Counter)
    requests: Mapping[str, Histogram] = field(
        default_factory=lambda: {"read": Histogram(), "write": Histogram()}
    )
    events: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    ingest: Histogram = field(default_factory=Histogram)
    removed_runs: int = 0
    nodes: Counter[str] = field(default_factory=Counter)

    def request(self, method: str, seconds: float) -> None:
        self.requests["read" if method in ("GET", "HEAD", "OPTIONS") else "write"].observe(seconds)

    def text(self, pools: Mapping[str, Pool]) -> str:
        """Return everything, with the connections of the pools."""
        return "\n".join((*self._lines(pools), "# EOF")) + "\n"

    def _lines(self, pools: Mapping[str, Pool]) -> Iterator[str]:
        yield "# TYPE lineage_requests counter"
        for status, count in sorted(self.statuses.items()):
            yield f'lineage_requests_total{{status="{status}"}} {count}'
        yield "# TYPE lineage_request_seconds histogram"
        for kind, histogram in self.requests.items():
            yield from histogram.lines("lineage_request_seconds", f'kind="{kind}",')
        yield "# TYPE lineage_events counter"
        for outcome in OUTCOMES:
            yield f'lineage_events_total{{outcome="{outcome}"}} {self.events[outcome]}'
        yield "# TYPE lineage_ingest_transactions counter"
        yield f"lineage_ingest_transactions_total {self.transactions}"
        yield "# TYPE lineage_ingest_seconds histogram"
        yield from self.ingest.lines("lineage_ingest_seconds")
        yield "# TYPE lineage_graph_nodes counter"
        for how in ("rendered", "kept"):
            yield f'lineage_graph_nodes_total{{how="{how}"}} {self.nodes[how]}'
        yield "# TYPE lineage_retention_runs counter"
        yield f"lineage_retention_runs_total {self.removed_runs}"
        yield "# TYPE lineage_pool_connections gauge"
        for name, pool in pools.items():
            idle = pool.get_idle_size()
            yield f'lineage_pool_connections{{pool="{name}",state="idle"}} {idle}'
            yield f'lineage_pool_connections{{pool="{name}",state="busy"}} {pool.get_size() - idle}'
