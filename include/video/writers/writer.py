"""What a writer is: something that makes a script from a brief, and says what each step took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decimal import Decimal

    from include.video.analysis import TrendReport
    from include.video.params import VideoParams
    from include.video.plan import Script
    from include.video.scoring import TrendSet


@dataclass(frozen=True)
class Brief:
    """What a writer is given: what the person asked, the trends, and what they have in common."""

    params: VideoParams
    trends: TrendSet
    report: TrendReport


@dataclass(frozen=True)
class Call:
    """One call of one step, for the generation log: digests of what went in and came out, tokens, cost, seconds."""

    step: str
    attempt: int
    provider: str
    model: str | None
    prompt_sha256: str
    output_sha256: str
    tokens_in: int
    tokens_out: int
    amount_usd: Decimal
    duration_s: float
    charges: tuple[tuple[str, int, Decimal], ...] = ()
    """(unit, quantity, US dollars) of each kind of token that was paid; they sum to `amount_usd`."""


@dataclass(frozen=True)
class Written:
    """A valid script and the calls that made it, in order."""

    script: Script
    calls: tuple[Call, ...]


class Writer(Protocol):
    """Something that writes scripts; it never falls back to another writer."""

    provider: str
    version: str
    model: str | None

    def write(self, brief: Brief) -> Written:
        """Return a script that passes every rule of the plan.

        Raises
        ------
        InvalidInput
            A content reference matches no trend.
        QualityGateFailed
            No valid plan could be written.
        ProviderUnavailable, ProviderRefused, BudgetExceeded, ConfigurationError
            A remote writer could not be asked, or refused.
        """
        ...
