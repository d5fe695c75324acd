"""Prices: exact, dated, and the parts of a cost are the whole."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigurationError
from include.video.params import VideoParams
from include.video.prices import TOKEN_PRICES, Tokens, cost, parts, token_price

TODAY = date(2026, 11, 20)


def test_a_known_call_costs_what_a_pocket_calculator_says() -> None:
    price = token_price("anthropic", "claude-sonnet-5-5", TODAY)
    assert cost(price, Tokens(input=1_000_000, output=0)) == Decimal(2)
    assert cost(price, Tokens(input=3, output=1)) == Decimal("0.000016")
    assert cost(price, Tokens(input=0, output=0, cache_read=10)) == Decimal("0.000002")


@given(st.tuples(*[st.integers(0, 10**9)] * 5), st.sampled_from(TOKEN_PRICES))
def test_the_parts_sum_to_the_whole_without_rounding(counts: tuple[int, ...], price: object) -> None:
    tokens = Tokens(*counts)
    assert sum((usd for _, _, usd in parts(price, tokens)), Decimal(0)) == cost(price, tokens)  # type: ignore[arg-type]


def test_a_price_holds_from_its_day_on() -> None:
    price = token_price("anthropic", "claude-sonnet-5-5", TODAY)
    with pytest.raises(ConfigurationError, match="no price of anthropic 'claude-sonnet-5-5'"):
        token_price("anthropic", "claude-sonnet-5-5", price.since - timedelta(days=1))


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="choose one of claude-haiku-4-5"):
        token_price("anthropic", "claude-none", TODAY)


def test_the_forms_default_model_has_a_price() -> None:
    assert token_price("anthropic", VideoParams().writer_model, TODAY).output > 0
