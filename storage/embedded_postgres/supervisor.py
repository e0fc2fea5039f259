"""The supervisor of an embedded PostgreSQL: runs the server while it has users, then stops it.

It runs as a script, to import only this file. Each user holds a shared lock on `users.lock`, which
the kernel releases however the user ends. The supervisor holds `guardian.lock`.
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

IDLE_S = 3.0
"""The server stops after so long without a user, so that `status` after `run` finds it running."""
POLL_S = 0.25
STOP_S = 60.0
MAX_FAILURES = 20
"""A server may have to wait until the last processes of a killed one have ended."""
MIN_UPTIME_S = 10.0
"""A server that ended earlier counts as a failed start."""
PR_SET_PDEATHSIG = 1


class Supervisor:
    """One folder's server, as `data_folder.supervisor_command` describes it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.folder = Path(options.folder)
        self.data = self.folder / "data"
        self.options = options
        self.users = (self.folder / "users.lock").open("r+b")
        self.is_stopping = False

    def run(self) -> None:
        """Run the server until it has had no user for a while; new users wait while it stops."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._stop_leftover()
        if not self.data.exists():
            if not self.options.create:
                raise SystemExit("its data were deleted")
            self._create_data()
        n_failures = 0
        while not self.is_stopping:
            started_at = time.monotonic()
            server = self._start()
            self._watch(server)
            if self.is_stopping:
                stop(server)
                return
            is_failure = time.monotonic() - started_at < MIN_UPTIME_S
            n_failures = n_failures + 1 if is_failure else 0
            if n_failures >= MAX_FAILURES:
                raise SystemExit(
                    last_error_line((self.folder / "server.log").read_text("utf-8", "replace"))
                )
            time.sleep(POLL_S)

    def remove_socket_folder(self) -> None:
        """Remove the folder of the socket if it is not inside the store's folder."""
        socket_folder = Path(self.options.socket)
        if self.folder not in socket_folder.parents:
            with contextlib.suppress(OSError):
                socket_folder.rmdir()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.is_stopping = True

    def _watch(self, server: "subprocess.Popen[bytes]") -> None:
        """Wait until the server has ended, or must stop."""
        idle_since: float | None = None
        while server.poll() is None and not self.is_stopping:
            time.sleep(POLL_S)
            if self._is_shutting_down():
                server.send_signal(signal.SIGINT)  # Disconnects users; `run` starts it again.
            if not try_lock(self.users.fileno()):
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since >= IDLE_S:
                self.is_stopping = True
            else:
                fcntl.flock(self.users, fcntl.LOCK_UN)

    def _is_shutting_down(self) -> bool:
        """Whether somebody sent SIGTERM to the server, upon which it waits for all users."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return bool(lines[7:]) and lines[7].startswith("stopping")

    def _create_data(self) -> None:
        """Make the data folder under another name, and rename it when it is complete."""
        part = self.folder / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        made = self._popen(
            "initdb", "-D", str(part), "-U", self.options.superuser, "--encoding=UTF8",
            "--locale=C", "--auth-local=trust", "--auth-host=reject",
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        _, errors = made.communicate()
        if made.returncode != 0:
            shutil.rmtree(part, ignore_errors=True)
            raise SystemExit(last_error_line(errors.decode(errors="replace")))
        part.rename(self.data)

    def _start(self) -> "subprocess.Popen[bytes]":
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.options.socket,
            "unix_socket_permissions": "0700",
            "port": self.options.port,
            "max_connections": self.options.max_connections,
            "max_parallel_workers_per_gather": "0",  # Shared memory is small in containers.
        }
        arguments = [
            part for name, value in settings.items() for part in ("-c", f"{name}={value}")
        ]
        with (self.folder / "server.log").open("ab") as log:
            return self._popen(
                "postgres", "-D", str(self.data), *arguments, stdout=log, stderr=log,
                preexec_fn=die_with_parent(),
            )  # fmt: skip

    def _popen(
        self,
        name: str,
        *arguments: str,
        stdout: object,
        stderr: object,
        preexec_fn: Callable[[], None] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start one of PostgreSQL's programs, as the user that owns the folder."""
        owner = self.folder.stat()
        as_other = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [str(Path(self.options.programs) / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            cwd="/",
            umask=0o077,
            preexec_fn=preexec_fn,  # noqa: PLW1509 - there are no threads here
            **(as_other if os.geteuid() == 0 else {}),
        )

    def _stop_leftover(self) -> None:
        """Stop the server of a killed supervisor; on Linux it is stopping already."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            if str(self.data) not in process.cmdline():  # The pid was reused.
                return
            process.send_signal(signal.SIGINT)
            process.wait(STOP_S)
        except (OSError, ValueError, IndexError, psutil.Error):
            return


def stop(server: "subprocess.Popen[bytes]") -> None:
    """Stop a server by SIGINT, which rolls back transactions; by stronger signals if it hangs."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_S)
            return


def try_lock(file: int, *, shared: bool = False) -> bool:
    """Take a lock on a file; return False if another process holds a conflicting one."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def die_with_parent() -> Callable[[], None] | None:
    """Return a function by which Linux stops the server if its supervisor dies, None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def last_error_line(log: str) -> str:
    """Return the last error in a log, or its last line."""
    lines = log.strip().splitlines()
    errors = [line for line in lines if re.search(r"FATAL|PANIC|error:", line)]
    return (errors or lines or ["PostgreSQL ended without a word"])[-1]


def main() -> None:
    """Run the server of one folder, unless it has a supervisor."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    for name in ("programs", "socket", "port", "superuser", "max-connections"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--create", action="store_true")
    supervisor = Supervisor(parser.parse_args())
    with (supervisor.folder / "guardian.lock").open("r+b") as own:
        if not try_lock(own.fileno()):
            return
        own.truncate()
        own.write(f"{os.uname().nodename}, process {os.getpid()}\n".encode())
        own.flush()
        try:
            supervisor.run()
        finally:
            supervisor.remove_socket_folder()
            # Before the users' lock, which ends with the process: the next user starts a new one.
            fcntl.flock(own, fcntl.LOCK_UN)


if __name__ == "__main__":
    main()
