"""Every failure this project raises on purpose; one class, one reaction.

* ThroughlineError
  - InvalidInput            the caller's data is wrong: fix it, do not retry
    + UnknownParameter      a conf key that no form has
    + UnknownJob            a job_id that no job has
  - NotReady                an input that another step makes is not there yet; the message names the step
  - ConfigurationError      the deployment lacks a setting or a program; the message names it
  - ProviderUnavailable     a service failed: retry
    + ProviderAway          nothing there takes requests now; no request is to blame
    + StoreFull             the disk of the artifact store has no room: free some; there may be some later
  - ProviderRefused         a service answered that it never will: do not retry
  - QualityGateFailed       the data exists but must not go on: do not retry
  - ArtifactCorrupt         stored bytes are missing or differ from their digest
  - StaleClaim              a newer attempt owns this stage; this one leaves no trace; a retry reuses what that one made
  - BudgetExceeded          the job would spend more than it may

Airflow's retry policy (`include.operators.retry`) reads this tree: `ProviderUnavailable` and `StaleClaim` retry,
every other `ThroughlineError` fails at once, anything else follows the task's own defaults.
"""


class ThroughlineError(Exception):
    """Base class, so that a task can tell our failures from bugs."""


class InvalidInput(ThroughlineError):
    """The caller's data is wrong; the message names file, field and remedy."""


class UnknownParameter(InvalidInput):
    """A conf key that the DAG's form does not have."""


class UnknownJob(InvalidInput):
    """A job_id that the ledger does not have."""


class NotReady(ThroughlineError):
    """An input that another step makes is not there yet."""


class ConfigurationError(ThroughlineError):
    """The deployment lacks a setting or a program."""


class ProviderUnavailable(ThroughlineError):
    """A service failed; the same call may succeed later."""


class ProviderAway(ProviderUnavailable):
    """A service takes nothing at all now: it cannot be reached, has no time, or wants another address or token."""


class StoreFull(ProviderUnavailable):
    """The disk of the artifact store has no room; the message names the folder and the remedy."""


class ProviderRefused(ThroughlineError):
    """A service refused; the same call will be refused again."""


class QualityGateFailed(ThroughlineError):
    """Data exists but must not be promoted."""


class ArtifactCorrupt(ThroughlineError):
    """Stored bytes are missing or differ from their recorded digest."""


class StaleClaim(ThroughlineError):
    """A newer attempt owns the stage."""


class BudgetExceeded(ThroughlineError):
    """The job would spend more than it may."""
