"""Notes on a trial and on a study, in Markdown, from what the store has of them."""

import re
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from analysis.companions import SUFFIX
from analysis.families import config_of, family_of, n_parameters
from analysis.report.facts import DataFacts
from analysis.status import StudyStatus
from analysis.words import (
    describe_shape,
    plural,
    printable,
    show_accuracy,
    show_duration,
)
from storage import TrialRow

ENDINGS: Mapping[str, str] = {
    "complete": "trained to its end",
    "pruned": "stopped by the pruner",
    "unfit": "**could not be trained as it is**",
    "rejected": "**not trained: over a limit**",
    "repeat": "**not trained: its config was tried before**",
    "fail": "**failed**",
    "running": "running",
    "waiting": "waits to begin, or to go on",
}
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
FEW_TRIALS = 15
"""Fewer complete trials say little about a space."""


def literal(text: object) -> str:
    """Writes a text of others so that Markdown shows it as it is, in one line."""
    return MARKDOWN.sub(r"\\\1", printable(str(text).replace("\n", " ")))


def trial_note(row: TrialRow, *, max_epochs: int | None = None) -> str:
    """Says what a trial is and how it ended.

    Args:
        row: The trial; of one of Optuna alone, there is nothing to say.
        max_epochs: The most epochs of a phase of training.
    """
    if row.outcome is None and not row.curve.n_epochs and not config_of(row):
        return ""
    lines = [_ending(row), *(f"- {line}" for line in _facts(row, max_epochs))]
    return "\n".join([lines[0], "", *lines[1:]])


def _ending(row: TrialRow) -> str:
    family = family_of(row)
    words = [f"**{literal(family)}**" if family else "", ENDINGS.get(row.kind, literal(row.kind))]
    if row.kind == "running" and row.curve.n_epochs:
        words.append(f"after {plural(row.curve.n_epochs, 'epoch')}")
    reason = "" if row.outcome is None else row.outcome.reason
    return f"{', '.join(filter(None, words))}. {literal(reason)}".strip()


def _facts(row: TrialRow, max_epochs: int | None) -> Iterator[str]:
    config, curve = config_of(row), row.curve
    accuracy = curve.best_accuracy if row.value is None else row.value
    if accuracy is not None and curve.n_epochs:
        metrics = {} if row.outcome is None else row.outcome.metrics
        words = [f"validation accuracy **{show_accuracy(accuracy)}**"]
        for key, name in (("balanced_accuracy", "balanced"), ("macro_auc", "AUC")):
            if metrics.get(key) is not None:
                words.append(f"{name} {show_accuracy(metrics[key])}")
        yield ", ".join(words)
    if config:
        yield f"network: {literal(_network(config))}"
        yield f"training: {literal(_training(config))}"
    if (n := n_parameters(row)) is not None:
        yield f"{n:,} parameters"
    if curve.n_epochs:
        limit = row.attributes.get("max_epochs", max_epochs)
        of = f" of at most {limit}" if isinstance(limit, int) else ""
        best = "" if curve.best_epoch is None else f", the best was epoch {curve.best_epoch}"
        yield f"{plural(curve.n_epochs, 'epoch')}{of}{best}; {show_duration(curve.seconds)}"
    if curve.memory_mb:
        yield f"memory of its trainer: {curve.memory_mb:,.0f} MB"
    places = row.attributes.get("ran_on")
    if isinstance(places, list) and places:
        yield f"trained on {literal('; then '.join(map(str, places)))}"


def _network(config: Mapping[str, Any]) -> str:
    """Describes the layers of a network in a line, as far as its record is one of ours."""
    try:
        network, head = config.get("network", {}), config.get("head", {})
        stages = network.get("stages")
        if config.get("family") == "plain" and stages:
            body = " → ".join(map(_plain_stage, stages))
        else:
            body = describe_shape(config) or str(config.get("family", ""))
        dense = [f"dense {units}" for units in head.get("dense_units", ())]
        return " → ".join([body, str(head.get("pooling", "")).replace("_", " "), *dense])
    except (AttributeError, KeyError, TypeError, ValueError):
        return str(config.get("family", ""))


def _plain_stage(stage: Mapping[str, Any]) -> str:
    kernel = stage["kernel_size"]
    pool = "" if stage.get("pool_size") is None else f" + pool {stage['pool_size']}"
    times = "" if stage["convs"] == 1 else f"{stage['convs']} × "
    return f"{times}conv {stage['channels']} ({kernel}×{kernel}){pool}"


def _training(config: Mapping[str, Any]) -> str:
    """Describes how a network is trained in a line, as far as its record is one of ours."""
    try:
        layers, optimizer = config["layers"], config["optimizer"]
        regularizer = layers["regularizer"]
        words = [
            layers["activation"],
            "batch normalization" if layers["batch_normalization"] else "",
            f"dropout {layers['dropout']:.2g}" if layers["dropout"] else "",
            *(f"{name.upper()} {v:.2g}" for name, v in regularizer.items() if v),
            f"{optimizer['name']} at {optimizer['learning_rate']:.2g}",
            f"batches of {config['batch_size']}",
            "augmentation" if config["augmentation"] else "",
        ]
        return ", ".join(filter(None, words))
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""


def study_note(
    status: StudyStatus, *, data: DataFacts | None = None, samples_url: str | None = None
) -> str:
    """Says what a study searches, how far it is, and what to mind.

    Nothing in it changes from second to second, so that a page has to be sent again only when
    something happened.

    Args:
        status: The study.
        data: Its images, where they can be had.
        samples_url: Where some of them are shown.
    """
    if status.record.is_plain:
        return ""
    parts = [
        f"## {literal(status.record.name)}",
        _progress(status),
        "\n".join(f"- ⚠ {line}" for line in _warnings(status, data)),
        _families(status),
        "" if data is None else _data(data, samples_url),
        _next_step(status),
    ]
    return "\n\n".join(filter(None, parts))


def _progress(status: StudyStatus) -> str:
    record, counts = status.record, status.counts
    wanted = "" if record.n_trials is None else f" of {record.n_trials:,}"
    words = [f"**{status.n_done:,}{wanted} trials done**"]
    words += [f"{counts[it]:,} {it}" for it in ("running", "waiting", "fail") if counts[it]]
    hosts = {worker.host for worker in status.workers}
    if hosts:
        on = f" on {', '.join(map(literal, sorted(hosts)))}"
        words.append(f"{plural(len(status.workers), 'worker')} at work{on}")
    elif not status.is_over:
        words.append("nobody at work")
    left = status.time_left_s
    if left and not status.is_over:
        words.append(f"about {_coarse(left)} left")
    text = f"{', '.join(words)}."
    return f"{text} {literal(record.end_reason)}" if record.end_reason else text


def _coarse(seconds: float) -> str:
    """Gives a time that stays the same for a while: whole minutes, then quarters of hours."""
    minutes = max(1, round(seconds / 60))
    if minutes <= 10:
        return f"{minutes} min"
    if minutes < 60:
        return f"{5 * round(minutes / 5)} min"
    return f"{round(minutes / 15) / 4:g} h"


def _families(status: StudyStatus) -> str:
    if not status.families:
        return ""
    rows = [
        f"| {literal(it.family)} | {show_accuracy(it.val_accuracy)} "
        f"| {'' if it.trial is None else it.trial} "
        f"| {'' if it.parameters is None else format(it.parameters, ',')} | {it.n_trials:,} |"
        for it in status.families
    ]
    head = "| family | best validation accuracy | trial | parameters | trials |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _data(data: DataFacts, samples_url: str | None) -> str:
    total = sum(sum(counts.values()) for counts in data.counts.values())
    height, width, channels = next(iter(data.image_shapes.values()))
    colour = "colour" if channels == 3 else "grey"
    head = "| images | " + " | ".join(map(literal, data.classes)) + " |"
    rows = [
        f"| {split} | " + " | ".join(f"{counts.get(it, 0):,}" for it in data.classes) + " |"
        for split, counts in data.counts.items()
    ]
    lines = [
        f"{total:,} {colour} images of {height} × {width} pixels, "
        f"fingerprint `{data.fingerprint[:12]}`.",
        "\n".join([head, "|---" * (len(data.classes) + 1) + "|", *rows]),
    ]
    if samples_url is not None:
        lines.append(f"![Training images]({samples_url})")
    return "\n\n".join(lines)


def _warnings(status: StudyStatus, data: DataFacts | None) -> Iterator[str]:
    record, counts = status.record, status.counts
    if record.has_failed:
        yield "The study ended with a failure."
    if record.is_stopped:
        yield "Somebody stopped it: `convsearch run` or `worker` goes on."
    if not status.workers and not status.is_over and not record.is_stopped:
        yield "Nobody is at work on it: what began it, or `convsearch worker`, goes on."
    if counts["fail"]:
        yield f"{plural(counts['fail'], 'trial')} failed: {literal(_commonest_failure(status))}"
    if status.is_over and 0 < counts["complete"] < FEW_TRIALS:
        yield f"Only {plural(counts['complete'], 'trial')} complete: the best is a first guess."
    if data is not None:
        sizes = data.counts.get("train", {}).values()
        if sizes and max(sizes) > 1.5 * max(1, min(sizes)):
            yield "The classes are not balanced: look at balanced accuracy too."


def _commonest_failure(status: StudyStatus) -> str:
    reasons = [row.outcome.reason for row in status.trials if row.kind == "fail" and row.outcome]
    return max(set(reasons), key=lambda it: (reasons.count(it), it), default="no reason is known.")


def _next_step(status: StudyStatus) -> str:
    name = status.record.name
    if not status.is_over or status.best is None or name.endswith(SUFFIX):
        return ""
    shown = quote(name)
    return (
        f"Next: `convsearch confirm {shown}` trains the best again from other seeds; "
        f"`convsearch report {shown} --out DIR` writes all of it down."
    )
