"""What an operator may change without touching code: environment variables with the prefix ``THROUGHLINE_``.

Secrets (passwords, tokens, keys) come by environment only and never have a default.
"""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """The deployment's settings; read once per process, on first use."""

    model_config = SettingsConfigDict(
        env_prefix="THROUGHLINE_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    state_dir: Path = Field(
        default=ROOT / ".throughline", description="logs, artifacts, generated secrets; never in git"
    )
    artifact_dir: Path | None = Field(
        default=None, description="the artifact store; default: <state_dir>/artifacts"
    )
    namespace: str = Field(
        default="throughline",
        pattern=r"^[A-Za-z0-9:;=/_\-.@+]{1,1024}$",
        description="job and dataset namespace",
    )
    ledger_dsn: SecretStr | None = Field(
        default=None, description="postgresql://… of the ledger, with the writer's role"
    )
    relay_dsn: SecretStr | None = Field(
        default=None, description="postgresql://… of the ledger, with the relay's role; default: ledger_dsn"
    )
    ledger_reader_dsn: SecretStr | None = Field(
        default=None,
        description="postgresql://… of the ledger, with the role that only reads; default: ledger_dsn",
    )
    ledger_admin_dsn: SecretStr | None = Field(
        default=None, description="postgresql://… of the ledger's owner, for migrations"
    )
    lineage_dsn: SecretStr | None = Field(
        default=None, description="postgresql://… of the embedded lineage server's database"
    )
    lineage_body_limit_mb: int = Field(
        default=32, gt=0, le=1024, description="largest body the embedded lineage server takes, unpacked"
    )
    lineage_statement_timeout_s: float = Field(
        default=60.0, gt=0, description="seconds after which its database gives up a statement"
    )
    lineage_read_only: bool = Field(
        default=False, description="it refuses every request that changes something"
    )
    lineage_retention_days: float | None = Field(
        default=None,
        gt=0,
        description="it removes older runs that nothing holds on to; default: it keeps all",
    )
    marquez_url: str = Field(
        default="http://127.0.0.1:5000",
        description="lineage server's API (embedded or Marquez)",
        alias="MARQUEZ_URL",
    )
    marquez_admin_url: str = Field(
        default="http://127.0.0.1:5001", description="its admin port", alias="MARQUEZ_ADMIN_URL"
    )
    marquez_token: SecretStr | None = Field(
        default=None, description="bearer token, when the server wants one", alias="MARQUEZ_TOKEN"
    )
    airflow_url: str = Field(default="http://127.0.0.1:8080", description="Airflow's API server")
    airflow_user: str = Field(default="admin", description="service account for Airflow's REST API")
    airflow_password: SecretStr | None = Field(default=None, description="its password")
    sources_dir: Path | None = Field(
        default=None, description="<table>/<YYYY-MM-DD>.csv, the dated inputs of the lake tables"
    )
    trends_file: Path | None = Field(
        default=None, description="YouTube-trending CSV; default: the bundled sample"
    )
    leads_file: Path | None = Field(default=None, description="leads CSV; default: the bundled sample")
    assessments_file: Path | None = Field(
        default=None, description="assessments CSV; default: the bundled sample"
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None, description="key of the Anthropic API", alias="ANTHROPIC_API_KEY"
    )
    anthropic_base_url: str | None = Field(default=None, description="another address of the Anthropic API")
    hacker_news_url: str | None = Field(
        default=None, description="another address of Hacker News' search API"
    )
    enable_report_lineage: bool = Field(
        default=True,
        description="keep logs with each report's lineage row; its identity is always kept",
        alias="ENABLE_REPORT_LINEAGE",
    )
    fault: str | None = Field(
        default=None,
        description="<stage>:<point>, or @file that holds it; a programmed fault, refused outside tests",
    )
    fault_marker: Path | None = Field(
        default=None, description="file that says the fault has fired; its absence arms it"
    )
    testing: bool = Field(default=False, description="set by the test suite only; permits programmed faults")

    @property
    def spool_dir(self) -> Path:
        """Folder of the local file that takes the lineage events which the event table could not take."""
        return self.state_dir / "lineage"

    @property
    def store(self) -> Path:
        """Folder of the content-addressed artifact store."""
        return self.artifact_dir or self.state_dir / "artifacts"


@cache
def settings() -> Settings:
    """Return the process's settings."""
    return Settings()
