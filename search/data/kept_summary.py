"""Summaries of sources in the cache folder: `data inspect` shows them without reading images."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from search.data.cache import is_cached, write_cache_file
from search.data.source_api import Source
from search.data.summary import SUMMARY_VERSION, SourceSummary
from search.errors import DataError, summarize
from search.machine.package_versions import find_versions

MAX_BYTES = 64 * 2**20
"""A larger summary, of very many broken images or near duplicates, is not kept."""
MAX_AGE_S = 90 * 24 * 3600
"""Summaries have names of files, and are of sources that change: old ones are removed."""

logger = logging.getLogger(__name__)


def summary_path(prepared: Path) -> Path:
    """Return the file of the summary beside a prepared set, which need not exist."""
    return prepared.with_suffix(".summary.json")


def load_summary(path: Path, source: Source) -> SourceSummary | None:
    """Return the summary that was kept of a source; None if there is none, or it is damaged."""
    try:
        if not is_cached(path):
            return None
        if path.stat().st_size > MAX_BYTES:
            return None
        document = json.loads(path.read_bytes())
        if document["made_from"] != _origin(source):
            return None
        return TypeAdapter(SourceSummary).validate_python(document["summary"], extra="forbid")
    except (DataError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        logger.warning("%s is not used, and its source is read again: %s", path, summarize(error))
        return None


def keep_summary(path: Path, source: Source, summary: SourceSummary) -> None:
    """Keep a summary of a source if the cache folder has room for it."""
    document = {"made_from": _origin(source), "summary": summary.to_json()}
    content = json.dumps(document).encode()
    if len(content) > MAX_BYTES:
        return
    try:
        write_cache_file(path, lambda file: file.write(content))
        for other in path.parent.glob("*.summary.json"):
            if time.time() - other.stat().st_mtime > MAX_AGE_S:
                other.unlink(missing_ok=True)
    except (DataError, OSError) as error:
        logger.warning("the summary is not kept: %s", error)


def _origin(source: Source) -> dict[str, Any]:
    """Return what a summary depends on besides images and settings, as JSON has it.

    Warnings may be of files that are no images, which are not in the identity of a source.
    """
    return {
        "versions": {"summary": SUMMARY_VERSION, **find_versions(["convsearch"])},
        "warnings": list(source.warnings),
        "guessed": dict(source.guessed),
    }
