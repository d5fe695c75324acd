"""The error tree decides whether Airflow repeats a task."""

from __future__ import annotations

import pytest
from airflow.sdk import RetryAction

from include import errors
from include.operators.retry import POLICY

REPEATED = {errors.ProviderUnavailable, errors.ProviderAway, errors.StoreFull, errors.StaleClaim}
TREE = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ThroughlineError)
]


@pytest.mark.parametrize("error", TREE, ids=lambda one: one.__name__)
def test_only_what_may_end_otherwise_is_repeated(error: type[errors.ThroughlineError]) -> None:
    decision = POLICY.evaluate(error("why"), 1, 3)
    assert decision.action is (RetryAction.RETRY if error in REPEATED else RetryAction.FAIL)


def test_a_bug_follows_the_task_s_own_retries() -> None:
    assert POLICY.evaluate(ZeroDivisionError("why"), 1, 3).action is RetryAction.DEFAULT
