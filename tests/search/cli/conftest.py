"""Fixtures for the command line."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from search.cli.main import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Run a command in this process, in an empty folder.

    The result is (exit code, standard output, standard error).
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONVSEARCH_STORE", raising=False)
    for name, value in (("handlers", []), ("level", logging.WARNING)):
        # A worker configures logging itself.
        monkeypatch.setattr(logging.getLogger(), name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["convsearch", *arguments])
        with pytest.raises(SystemExit) as leaving:
            main()
        out, err = capsys.readouterr()
        return int(leaving.value.code or 0), out, err

    return run
