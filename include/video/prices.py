"""What paid providers charge, with the first day the table vouches for each price: exact decimals, never floats.

Prices are US dollars per million tokens, as published on https://platform.claude.com/docs/en/about-claude/pricing and on
the pages of the models; read on 2026-11-20.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from include.errors import ConfigurationError

MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class TokenPrice:
    """Prices of one model, vouched for from one day on, in US dollars per million tokens."""

    provider: str
    model: str
    since: date
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal


@dataclass(frozen=True)
class Tokens:
    """What one call used."""

    input: int
    output: int
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0

    @property
    def total_in(self) -> int:
        """Every token that went in, cached or not."""
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


def _claude(model: str, since: date, *usd: str) -> TokenPrice:
    return TokenPrice("anthropic", model, since, *(Decimal(amount) for amount in usd))


TOKEN_PRICES: tuple[TokenPrice, ...] = (
    _claude("claude-haiku-4-5", date(2025, 10, 1), "1", "5", "1.25", "2", "0.10"),
    _claude("claude-sonnet-4-6", date(2026, 3, 21), "3", "15", "3.75", "6", "0.30"),
    _claude("claude-sonnet-5", date(2026, 6, 30), "2", "10", "2.50", "4", "0.20"),
    _claude("claude-opus-5", date(2026, 11, 20), "5", "25", "6.25", "10", "0.50"),
    _claude("claude-sonnet-5-5", date(2026, 9, 29), "2", "10", "2.50", "4", "0.20"),
)


def token_price(provider: str, model: str, on: date) -> TokenPrice:
    """Return the price that held on a day.

    Raises
    ------
    ConfigurationError
        The table has no price for it: what has no price cannot be kept within a budget.
    """
    known = [price for price in TOKEN_PRICES if price.provider == provider and price.model == model]
    held = [price for price in known if price.since <= on]
    if not held:
        models = ", ".join(sorted({price.model for price in TOKEN_PRICES if price.provider == provider}))
        msg = f"no price of {provider} {model!r} on {on}: choose one of {models or 'none'}, or add it to include/video/prices.py"
        raise ConfigurationError(msg)
    return max(held, key=lambda price: price.since)


def parts(price: TokenPrice, tokens: Tokens) -> list[tuple[str, int, Decimal]]:
    """Return what each kind of token cost: (unit, how many, US dollars), kinds without tokens left out."""
    kinds = (
        ("input_token", tokens.input, price.input),
        ("output_token", tokens.output, price.output),
        ("cache_write_5m_token", tokens.cache_write_5m, price.cache_write_5m),
        ("cache_write_1h_token", tokens.cache_write_1h, price.cache_write_1h),
        ("cache_read_token", tokens.cache_read, price.cache_read),
    )
    return [(unit, count, count * usd / MILLION) for unit, count, usd in kinds if count]


def cost(price: TokenPrice, tokens: Tokens) -> Decimal:
    """Return what a call cost, exactly: the sum of its parts.

    >>> sonnet = token_price("anthropic", "claude-sonnet-5-5", date(2026, 11, 20))
    >>> cost(sonnet, Tokens(input=1200, output=345))
    Decimal('0.00585')
    """
    return sum((usd for _, _, usd in parts(price, tokens)), Decimal(0))
