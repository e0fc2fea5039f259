"""Signals: the first requests a shutdown, the second ends the process at once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HELD = """
import os, time
from search.machine.signals import stop_on_signal
with stop_on_signal(lambda: os.write(1, b"stop\\n"), lambda: os.write(1, b"now\\n")):
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
"""
STUCK = """
import sqlite3, time
from search.machine import signals
signals.EXIT_TIMEOUT_S = 0.5
endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
with signals.stop_on_signal(lambda: None):
    print("ready", flush=True)
    {stuck}
"""
LEFT = """
import signal, time
from search.machine import signals
signals.EXIT_TIMEOUT_S = 0.2
with signals.stop_on_signal(lambda: None):
    signal.raise_signal(signal.SIGTERM)
print("ready", flush=True)
time.sleep(1.0)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.set_wakeup_fd(-1))
"""
BEFORE = """
import time
from search.machine.signals import exit_on_signal
exit_on_signal()
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


def spawn(script: str, *before: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*before, sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    process = spawn(HELD)
    assert process.stdout is not None
    process.send_signal(number)
    assert process.stdout.readline() == "stop\n"
    assert process.poll() is None
    process.send_signal(number)
    assert process.communicate(timeout=10)[0] == "now\n"
    assert process.returncode == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_before_any_work_ends_the_process_at_once(number: signal.Signals) -> None:
    process = spawn(BEFORE)
    process.send_signal(number)
    assert process.wait(timeout=10) == 128 + number


def test_closed_terminal_is_ignored_under_nohup() -> None:
    process = spawn(HELD, "nohup")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "stop\n"
    assert process.poll() is None
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "stuck", ["time.sleep(60)", "sqlite3.connect(':memory:').execute(endless)"]
)
def test_process_that_is_stuck_is_ended_after_the_first_signal(stuck: str) -> None:
    process = spawn(STUCK.format(stuck=stuck))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 128 + signal.SIGTERM


def test_process_that_stopped_in_time_is_not_killed() -> None:
    process = spawn(LEFT)
    assert process.communicate(timeout=10)[0] == "True -1\n"
    assert process.returncode == 0
