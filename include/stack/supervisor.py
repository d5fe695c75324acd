"""The one supervisor: its generated configuration, its control socket."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supervisor.xmlrpc import SupervisorTransport

from include.errors import ConfigurationError, ThroughlineError
from include.settings import ROOT
from include.stack import processes
from include.stack.credentials import write_private
from include.stack.launch import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from include.stack.parts import Part
    from include.stack.state import Stack

GROUP = """
[program:{name}]
command={command}
directory={root}
priority={priority}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal={signal}
stopwaitsecs={stop_s}
stopasgroup={as_group}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=3
"""
HEAD = """; Generated at every start. Holds no secret: each part reads its own (include/stack/launch.py).
[unix_http_server]
file={socket}
chmod=0600

[supervisord]
identifier=throughline-{stack_id}
logfile={logs}/supervisor.log
logfile_maxbytes=5MB
logfile_backups=1
loglevel=info
pidfile={state}/supervisor.pid
childlogdir={logs}
directory={root}
user={user}
umask=077
nocleanup=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
START_S = 20.0


def configuration(stack: Stack, parts: Iterable[Part]) -> str:
    """Return the supervisor's configuration; a percent sign in a path is doubled, as its format wants."""

    def plain(value: object) -> str:
        return str(value).replace("%", "%%")

    text = HEAD.format(
        socket=plain(stack.socket),
        stack_id=stack.stack_id,
        logs=plain(stack.logs),
        state=plain(stack.state_dir),
        root=plain(ROOT),
        user=pwd.getpwuid(os.geteuid()).pw_name,
    )
    for part in parts:
        words = [sys.executable, "-m", "include.stack.launch", str(stack.state_dir), part.name]
        text += GROUP.format(
            name=part.name,
            command=plain(shlex.join(words)),
            root=plain(ROOT),
            priority=part.wave + 1,
            signal=part.stop_signal,
            stop_s=part.stop_s,
            # PostgreSQL tells its own processes; a signal to all of them would look like many requests.
            as_group=str(part.stop_signal == "TERM").lower(),
            log=plain(stack.logs / f"{part.name}.log"),
        )
    return text


@dataclass(frozen=True)
class Condition:
    """What the supervisor says of a part; `since` is seconds since the epoch."""

    name: str
    state: str
    pid: int
    since: int
    note: str


class Supervisor:
    """The supervisor of one stack, running or not."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @property
    def pid(self) -> int | None:
        """The supervisor's process, from its pid file; it may have ended."""
        try:
            return int((self.stack.state_dir / "supervisor.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def answers(self) -> bool:
        """Return whether it runs and takes commands."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def launch(self, parts: Iterable[Part], environment: Mapping[str, str]) -> None:
        """Start the supervisor itself, with no part running; its environment is what parts inherit.

        Raises ConfigurationError when it does not come up.
        """
        stack = self.stack
        stack.logs.mkdir(mode=0o700, exist_ok=True)
        path = stack.state_dir / "supervisor.conf"
        write_private(path, configuration(stack, parts))
        stack.socket.unlink(missing_ok=True)
        made = subprocess.run(
            [*program(("supervisord",)), "-c", str(path)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=START_S,
        )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if made.returncode != 0 or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"the supervisor did not start: {made.stdout.strip()} (see {stack.logs})"
                )
            time.sleep(0.05)

    def start(self, name: str) -> None:
        """Start a part unless it runs; whether it stays up is told by `conditions`."""
        if self.condition(name).state not in {"RUNNING", "STARTING", "BACKOFF"}:
            self._call("startProcess", name, False)  # positional in XML-RPC: do not wait

    def stop(self, names: Iterable[str], timeout_s: float = 70.0) -> None:
        """Stop parts, all at once, and wait until they have ended."""
        wanted = set(names)
        for name in wanted:
            try:
                self._call("stopProcess", name, False)
            except xmlrpc.client.Fault as fault:
                if "NOT_RUNNING" not in fault.faultString:
                    raise
        deadline = time.monotonic() + timeout_s
        while any(one.pid for one in self.conditions() if one.name in wanted):
            if time.monotonic() > deadline:
                raise ThroughlineError(f"not stopped in {timeout_s:.0f} s: {', '.join(sorted(wanted))}")
            time.sleep(0.1)

    def shutdown(self, timeout_s: float = 30.0) -> None:
        """End the supervisor and wait until it is gone."""
        pid = self.pid
        self._call("shutdown")
        deadline = time.monotonic() + timeout_s
        while pid is not None and processes.is_alive(pid):
            if time.monotonic() > deadline:
                raise ThroughlineError(f"the supervisor (process {pid}) did not end in {timeout_s:.0f} s")
            time.sleep(0.05)

    def conditions(self) -> list[Condition]:
        """Return what it says of each part, in its own order."""
        return [
            Condition(one["name"], one["statename"], one["pid"], one["start"], one["spawnerr"])
            for one in self._call("getAllProcessInfo")
        ]

    def condition(self, name: str) -> Condition:
        """Return what it says of one part."""
        return next(one for one in self.conditions() if one.name == name)

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self.stack.socket}")
        # The address is a formality: the transport goes to the socket.
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
