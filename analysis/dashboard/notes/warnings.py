"""Warnings about a study and its results."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from analysis.dashboard.notes.markdown import escape
from analysis.dashboard.notes.settings import Settings
from analysis.report.cautions import FEW_TRIALS, data_cautions, is_at_edge
from analysis.report.facts import Caution, DataFacts
from analysis.report.phrases import Phrases
from analysis.report.texts import texts
from analysis.results.status import StudyStatus
from spaces.wording import format_value, is_number, plural
from storage import TrialRow

FAILURE_RATE = 0.2
"""Share of failed trials from which on there is a warning."""
MAX_EDGES = 4


def find_warnings(status: StudyStatus, data: DataFacts | None) -> Iterator[str]:
    """Yield warnings as Markdown, those that need action first."""
    if not status.record.is_optuna_only:
        yield from _worker_warnings(status)
    yield from _failure_warnings(status)
    if status.record.is_optuna_only or status.is_confirmation:
        return
    yield from _result_warnings(status)
    if data is not None and data.counts.get("train") and data.counts.get("val"):
        words = Phrases(texts("en"))
        yield from (escape(words.caution(it)) for it in data_cautions(data))
    yield from _edge_warnings(status)


def _worker_warnings(status: StudyStatus) -> Iterator[str]:
    record = status.record
    if record.end_reason:
        how = "It ended with a failure" if record.has_failed else "It ended before its budget"
        yield f"**{how}:** {escape(record.end_reason)}"
    if record.is_stopped and not status.is_over:
        yield "**It was stopped:** the shutdown of all its workers was requested."
        return
    if status.workers or status.is_over:
        return
    n_open = sum(row.kind in {"running", "waiting"} for row in status.trials)
    if n_open:
        yield f"**No worker is running,** and {plural(n_open, 'trial')} could be resumed."
    elif status.trials:
        yield "**No worker is running,** and its budget is not spent."


def _failure_warnings(status: StudyStatus) -> Iterator[str]:
    ended = [row for row in status.trials if row.kind not in {"running", "waiting"}]
    failed = [row for row in ended if row.kind == "fail"]
    if len(failed) < 2 or len(failed) < FAILURE_RATE * len(ended):
        return
    reasons = Counter(filter(None, map(_reason, failed)))
    often = f" Most often: {escape(reasons.most_common(1)[0][0])}" if reasons else ""
    yield f"**{len(failed):,} of {plural(len(ended), 'trial')} failed.**{often}"


def _reason(row: TrialRow) -> str:
    return "" if row.outcome is None else row.outcome.reason


def _result_warnings(status: StudyStatus) -> Iterator[str]:
    n_complete = status.counts["complete"]
    if 0 < n_complete < FEW_TRIALS:
        yield (
            f"Only {plural(n_complete, 'trial')} {'is' if n_complete == 1 else 'are'} complete: "
            "another config may well be better."
        )


def _edge_warnings(status: StudyStatus) -> Iterator[str]:
    best = status.best
    if best is None:
        return
    domains = Settings.read(status.record).domains
    at_edge = [name for name in domains if _is_at_edge(best.params.get(name), domains[name])]
    words = Phrases(texts("en"))
    shown = at_edge if len(at_edge) <= MAX_EDGES + 1 else at_edge[:MAX_EDGES]
    for name in shown:
        ends = {it: format_value(domains[name][it]) for it in ("low", "high")}
        values = {"parameter": name, "value": format_value(best.params[name]), **ends}
        yield escape(words.caution(Caution("edge", values)))
    if len(at_edge) > len(shown):
        yield f"{len(at_edge) - len(shown)} more of its values lie at the edge of their ranges."


def _is_at_edge(value: object, domain: object) -> bool:
    """Whether a value lies at the end of a range of three values or more."""
    if not isinstance(domain, Mapping) or not is_number(value):
        return False
    low, high = domain.get("low"), domain.get("high")
    if not is_number(low) or not is_number(high) or not _has_inside(domain, low, high):
        return False
    is_log = bool(domain.get("log"))
    if is_log and min(value, low) <= 0:
        return False
    return is_at_edge(value, low, high, is_log=is_log)


def _has_inside(domain: Mapping[str, Any], low: float, high: float) -> bool:
    step = domain.get("step")
    return high - low > (step if is_number(step) else 0)
