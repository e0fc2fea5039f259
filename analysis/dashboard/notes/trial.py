"""The note of a trial: its network, its result, and why it ended."""

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.confirmation_study import origin_of_training
from analysis.dashboard.notes.architecture import describe_architecture, describe_training
from analysis.dashboard.notes.formatting import show_count, show_score, show_time
from analysis.dashboard.notes.markdown import bullets, escape, paragraphs
from analysis.results.families import config_of, family_of
from spaces.wording import is_number
from storage import TrialRow

BY_PRUNER = "By the pruner"
MAX_HOSTS = 6
MAX_EPOCHS_ATTRIBUTE = "max_epochs"
"""The attribute with the maximum number of epochs over all phases of a training."""
TITLES = {
    "unfit": "Not fit to train.",
    "rejected": "Rejected before training.",
    "repeat": "Rejected as a repeat, before training.",
    "fail": "Failed.",
}
"""Titles of notes by kind of trial."""


def trial_note(
    row: TrialRow, *, max_epochs: int | None = None, is_active: bool | None = None
) -> str:
    """Return the note of a trial, also of a plain Optuna study, in Markdown.

    `max_epochs` is for a trial that does not have its own; `is_active` is whether a worker holds
    a running trial, None if unknown.
    """
    most = _most_epochs(row, max_epochs)
    config, family = config_of(row), family_of(row)
    network = describe_architecture(config) if config else ""
    named = f"**{escape(family)}**" if family else ""
    return paragraphs(
        [
            _first_line(row, most, is_active),
            ": ".join(filter(None, [named, escape(network)])),
            escape(describe_training(config)) if config else "",
            bullets(f"**{name}:** {value}" for name, value in _facts(row, most)),
        ]
    )


def _most_epochs(row: TrialRow, max_epochs: int | None) -> int | None:
    own = row.attributes.get(MAX_EPOCHS_ATTRIBUTE)
    return own if isinstance(own, int) and not isinstance(own, bool) else max_epochs


def _first_line(row: TrialRow, most: int | None, is_active: bool | None) -> str:
    if row.kind == "complete":
        return _complete(row, most)
    if row.kind == "pruned":
        return _pruned(row)
    if row.kind == "waiting":
        return "**Waiting** for a worker."
    if row.state == "RUNNING" and row.outcome is None:
        return _running(row, most, is_active)
    reason = "" if row.outcome is None else row.outcome.reason
    title = TITLES.get(row.kind, f"{escape(row.kind.capitalize())}.")
    return f"**{title}**{f' {escape(_sentence(reason))}' if reason else ''}"


def _complete(row: TrialRow, most: int | None) -> str:
    if row.outcome is None:  # A plain Optuna trial, whose value may be anything.
        broken = "" if row.is_feasible else " It violates a constraint, so it is never the best."
        value = ".**" if row.value is None else f":** value {_any_value(row.value)}."
        return f"**Complete{value}{broken}"
    how = "trained to its end"
    if most is not None and 0 < row.curve.n_epochs < most:
        n_epochs = f"{row.curve.n_epochs:,}"
        how = f"stopped early after epoch {n_epochs}, when validation no longer improved"
    value = show_score(row.value) or "–"
    return f"**Complete:** {value} on validation; {how}."


def _pruned(row: TrialRow) -> str:
    best = show_score(row.curve.best_accuracy)
    reached = f" Its best epoch had {best} on validation." if best else ""
    if row.outcome is None:
        last = f" Its last value was {_any_value(row.value)}." if row.value is not None else ""
        return f"**Pruned:** it was not likely to become one of the best.{last}"
    reason = row.outcome.reason
    if reason.startswith(BY_PRUNER):
        reason = "by the pruner" + reason.removeprefix(BY_PRUNER)
    return f"**Pruned** {escape(_sentence(reason))}{reached}"


def _running(row: TrialRow, most: int | None, is_active: bool | None) -> str:
    n_epochs = row.curve.n_epochs
    bound = f" of at most {most:,}" if most is not None and n_epochs < most else ""
    best = show_score(row.curve.best_accuracy)
    so_far = f" Best so far: {best} on validation, in epoch {row.curve.best_epoch}."
    if is_active is False:
        when = f"after epoch {n_epochs:,}{bound}" if n_epochs else "from its beginning"
        return f"**Waiting to resume** {when}: no worker holds it.{so_far if best else ''}"
    return f"**Running,** in epoch {n_epochs + 1:,}{bound}.{so_far if best else ''}"


def _facts(row: TrialRow, most: int | None) -> Iterator[tuple[str, str]]:
    metrics: Mapping[str, Any] = {} if row.outcome is None else row.outcome.metrics
    scores = [
        f"{name} {show_score(metrics.get(key))}"
        for name, key in (("balanced accuracy", "balanced_accuracy"), ("AUC", "macro_auc"))
        if is_number(metrics.get(key))
    ]
    if scores:
        yield "Validation", f"accuracy {show_score(row.value) or '–'}, {', '.join(scores)}"
    yield from _epochs(row, most)
    if (size := show_count(row.attributes.get("parameters"))) is not None:
        yield "Parameters", size
    if row.curve.memory_mb:
        yield "Memory", f"{show_count(row.curve.memory_mb) or '–'} MB at most"
    if (places := _hosts(row)) != "":
        yield "Ran on", places
    if (origin := origin_of_training(row)) is not None:
        yield "Trains again", f"trial {origin['trial']}, seed {origin['seed']}"
    taken = row.attributes.get("taken_from")
    if isinstance(taken, Mapping):
        source = f"trial {escape(taken.get('trial', '?'))} of {escape(taken.get('study', '?'))}"
        yield "Copied from", source


def _epochs(row: TrialRow, most: int | None) -> Iterator[tuple[str, str]]:
    curve = row.curve
    if not curve.n_epochs:
        return
    if curve.best_epoch is not None:
        bound = f" (at most {most:,})" if most is not None and curve.n_epochs < most else ""
        yield "Best epoch", f"{curve.best_epoch:,} of {curve.n_epochs:,}{bound}"
    yield "Intermediate values", "the best accuracy up to each epoch, not that of each epoch"
    each = curve.seconds / curve.n_epochs
    yield "Time", f"{show_time(curve.seconds)}, {show_time(each)} an epoch"


def _hosts(row: TrialRow) -> str:
    found = row.attributes.get("ran_on")
    if not isinstance(found, list):
        return ""
    more = f" and {len(found) - MAX_HOSTS:,} more" if len(found) > MAX_HOSTS else ""
    return "; then ".join(escape(it, 80) for it in found[:MAX_HOSTS]) + more


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?", "…")) else f"{reason}."


def _any_value(value: float | None) -> str:
    return f"{value:.4g}" if value is not None else "–"
