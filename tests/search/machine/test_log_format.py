"""Log lines: one per record, as text or JSON, with study, trial and worker."""

import json
import logging

import pytest

from search.machine.log_format import is_json_logged, log_context, log_to_stderr

logger = logging.getLogger("search.test")


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_json_has_the_same_keys_in_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("json")
    assert is_json_logged()
    logger.info("waiting")
    with log_context(study="scans", worker="w1"), log_context(trial=3):
        logger.warning("two\nlines and %d %%", 5)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert list(first) == ["time", "level", "logger", "message", "study", "trial", "worker",
                           "host"]  # fmt: skip
    assert (first["study"], first["trial"], first["worker"]) == (None, None, None)
    assert (second["study"], second["trial"], second["worker"]) == ("scans", 3, "w1")
    assert (second["message"], second["level"]) == ("two\nlines and 5 %", "WARNING")


def test_json_keeps_a_traceback_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("json")
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: no" in json.loads(line)["traceback"]


def test_text_names_the_study(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("text")
    assert not is_json_logged()
    logger.info("waiting")
    with log_context(study="scans"):
        logger.info("trial 3: complete")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" INFO waiting")
    assert second.endswith(" INFO scans: trial 3: complete")
