"""Summaries of sources in the cache folder: `data inspect` shows them without reading images."""

import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from search.data.cache import is_cached, write_cache_file
from search.data.source_api import Source
from search.data.summary import SourceSummary
from search.errors import DataError

MAX_BYTES = 64 * 2**20
"""A larger summary, of very many broken images or near duplicates, is not kept."""

logger = logging.getLogger(__name__)


def summary_path(prepared: Path) -> Path:
    """Return the file of the summary beside a prepared set, which need not exist."""
    return prepared.with_suffix(".summary.json")


def load_summary(path: Path, source: Source) -> SourceSummary | None:
    """Return the summary that was kept of a source; None if there is none, or it is damaged."""
    if not is_cached(path):
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        document = json.loads(path.read_bytes())
        if document["made_from"] != _origin(source):
            return None
        return TypeAdapter(SourceSummary).validate_python(document["summary"], extra="forbid")
    except (OSError, ValueError, LookupError, TypeError, RecursionError, ValidationError):
        logger.warning("%s is damaged, so its source is read again", path)
        return None


def keep_summary(path: Path, source: Source, summary: SourceSummary) -> None:
    """Keep a summary of a source if the cache folder has room for it."""
    document = {"made_from": _origin(source), "summary": summary.to_json()}
    content = json.dumps(document).encode()
    if len(content) > MAX_BYTES:
        return
    try:
        write_cache_file(path, lambda file: file.write(content))
    except DataError as error:
        logger.warning("the summary is not kept: %s", error)


def _origin(source: Source) -> dict[str, Any]:
    """Return what a summary depends on besides images and settings, as JSON has it.

    Warnings may be of files that are no images, which are not in the identity of a source.
    """
    return {
        "version": version("convsearch"),
        "warnings": list(source.warnings),
        "guessed": dict(source.guessed),
    }
