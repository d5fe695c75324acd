"""The stack's generated secrets: one file, mode 0600, made on first start; processes get theirs by environment."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "secrets.json"


@dataclass(frozen=True)
class Secrets:
    """Every secret of one embedded stack; the fields named ``postgres_*`` are passwords of database roles."""

    postgres_superuser: str
    postgres_airflow: str
    postgres_lineage: str
    postgres_owner: str
    postgres_writer: str
    postgres_reader: str
    postgres_relay: str
    postgres_retention: str
    airflow_fernet_key: str
    airflow_jwt_secret: str
    airflow_secret_key: str
    airflow_admin_password: str

    def __repr__(self) -> str:
        """Name the class only: a secret must not reach a log through a traceback."""
        return "Secrets(…)"


def _fresh(name: str) -> str:
    if name == "airflow_fernet_key":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if name == "airflow_jwt_secret":
        return secrets.token_urlsafe(64)  # 86 characters; HS512 wants at least 64 bytes
    if name == "airflow_admin_password":
        return secrets.token_urlsafe(12)  # a person types it
    return secrets.token_urlsafe(24)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it appears whole or not at all."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read(state_dir: Path) -> Secrets:
    """Return the secrets of a stack that was started before.

    Raises ConfigurationError where there are none, or where others can read them.
    """
    path = state_dir / FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        given = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is not there: start the stack first (make up)") from error
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not JSON: restore it, or remove the stack (make clean)"
        ) from error
    if mode & 0o077:
        raise ConfigurationError(f"{path} is readable by others (mode {mode:04o}): chmod 600 {path}")
    missing = [field.name for field in fields(Secrets) if not given.get(field.name)]
    if missing:
        raise ConfigurationError(
            f"{path} lacks {', '.join(missing)}: run make up, which adds what is missing"
        )
    return Secrets(**{field.name: given[field.name] for field in fields(Secrets)})


def read_or_make(state_dir: Path) -> Secrets:
    """Return the stack's secrets, after making those that are missing."""
    path = state_dir / FILE
    given = json.loads(path.read_text()) if path.exists() else {}
    missing = [field.name for field in fields(Secrets) if not given.get(field.name)]
    if missing:
        given |= {name: _fresh(name) for name in missing}
        write_private(path, json.dumps(given, indent=1) + "\n")
    return read(state_dir)
