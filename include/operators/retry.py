"""How Airflow repeats a task: the error tree decides, with back-off, jitter and a cap."""

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="include.errors.ProviderUnavailable",
            action=RetryAction.RETRY,
            reason="a service failed; it may answer later",
        ),
        RetryRule(
            exception="include.errors.StaleClaim",
            action=RetryAction.RETRY,
            reason="another run makes the same; what it made is reused then",
        ),
        RetryRule(
            exception="include.errors.ThroughlineError",
            action=RetryAction.FAIL,
            reason="the same input fails the same way",
        ),
    ]
)

TASK_DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": POLICY,
    "execution_timeout": timedelta(minutes=30),
    "owner": "throughline",
}
