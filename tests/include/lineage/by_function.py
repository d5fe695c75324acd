"""A lineage server that is one function of the test: it takes an event, or raises what the client would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.errors import ProviderRefused
from include.marquez.client import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class ByFunction:
    """Takes events one by one."""

    deliver: Callable[[dict[str, Any]], None]

    def takes_batches(self) -> bool:
        return False

    def post_event(self, event: dict[str, Any]) -> Delivery:
        try:
            self.deliver(event)
        except ProviderRefused as error:
            return Delivery(422, str(error))
        return Delivery(201)

    def post_batch(self, events: Sequence[dict[str, Any]]) -> list[Delivery]:
        return [self.post_event(event) for event in events]
