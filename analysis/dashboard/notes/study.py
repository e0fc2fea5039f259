"""The note of a study: its question, images, progress, warnings and results."""

from collections.abc import Sequence
from urllib.parse import quote

from analysis.confirmation_study import confirmation_name
from analysis.dashboard.notes.confirmation import confirmation_parts
from analysis.dashboard.notes.formatting import join, show_count, show_score, show_time
from analysis.dashboard.notes.markdown import code, escape, paragraphs, table
from analysis.dashboard.notes.next_step import confirmed_study, next_step
from analysis.dashboard.notes.progress import describe_progress, epochs_saved, state_and_budget
from analysis.dashboard.notes.settings import Settings
from analysis.dashboard.notes.warnings import find_warnings
from analysis.report.facts import DataFacts
from analysis.results.families import FamilySummary, family_of
from analysis.results.status import StudyStatus
from spaces.wording import plural

MAX_CLASSES = 12
"""With more classes, the table of images has only the sums."""
MAX_NAMED = 5
FINGERPRINT_DIGITS = 12
MORE = "See the note of the study: the fifth icon on the left."
SAFE = "/:?=&%#,;+@~"


def multi_objective_note(study: str, directions: Sequence[str], n_trials: int, n_best: int) -> str:
    """Return the note of a multi-objective study with `n_best` trials on the Pareto front."""
    best = f", {n_best:,} of them on the Pareto front" if n_best else ""
    return paragraphs(
        [
            f"## {escape(study)}",
            f"A plain Optuna study with {len(directions)} objectives ({join(directions)}).",
            f"It has {plural(n_trials, 'trial')}{best}.",
        ]
    )


def study_facts(status: StudyStatus, data: DataFacts | None) -> dict[str, str]:
    """Return facts about a study for its first page."""
    found = {"Progress": state_and_budget(status), "Best": _best(status)}
    if data is not None:
        n = sum(sum(counts.values()) for counts in data.counts.values())
        found["Images"] = f"{n:,} of {len(data.classes):,} classes"
        if data.baseline is not None:
            score = show_score(data.baseline)
            found["Baseline"] = f"{score} on validation, by intensity statistics alone"
    return {key: text for key, text in found.items() if text} | {"More": MORE}


def _best(status: StudyStatus) -> str:
    leading = status.leading
    if leading is not None:
        return f"{show_score(leading.mean)} on validation, the mean of trial {leading.trial}"
    best = status.best
    if best is None or status.is_confirmation:
        return ""
    return f"{show_score(best.value)} on validation, by trial {best.number} ({family_of(best)})"


def study_note(
    status: StudyStatus,
    *,
    data: DataFacts | None,
    samples_url: str | None,
    confirmation_url: str | None = None,
    is_confirmed: bool | None = None,
) -> str:
    """Return the note of a study, also of a plain Optuna study, in Markdown.

    The URLs are those of a picture of sample images and of the page of the confirmation;
    `is_confirmed` is whether the best configs were trained again, None if unknown.
    """
    return paragraphs(
        [
            f"## {escape(status.record.name)}",
            _question(status, data),
            describe_progress(status),
            "\n".join(f"- ⚠ {it}" for it in find_warnings(status, data)),
            *_results(status, data),
            *_images(data, samples_url),
            _confirmation(status, confirmation_url),
            next_step(status, is_confirmed),
        ]
    )


def _question(status: StudyStatus, data: DataFacts | None) -> str:
    record = status.record
    if record.is_optuna_only:
        better = "larger" if record.direction == "maximize" else "smaller"
        return f"A plain Optuna study: {better} values are better."
    if confirmed_study(status):
        return (
            f"Trains the best configs of **{escape(confirmed_study(status))}** again from other "
            "seeds, to separate better configs from lucky ones."
        )
    families = Settings.read(record).families
    searched = f" Searched among {join([escape(it) for it in families])}." if families else ""
    return f"Which network classifies {_classes(data)} best, by validation accuracy?{searched}"


def _confirmation(status: StudyStatus, url: str | None) -> str:
    if url is None:
        return ""
    name = escape(confirmation_name(status.record.name))
    return f"Its best configs are trained again from other seeds: see [{name}]({url})."


def _classes(data: DataFacts | None) -> str:
    if data is None or not data.classes:
        return "the images"
    if len(data.classes) > MAX_NAMED:
        return f"{len(data.classes)} classes of images"
    return join([f"**{escape(it, 60)}**" for it in data.classes])


def _results(status: StudyStatus, data: DataFacts | None) -> list[str]:
    if confirmed_study(status):
        return confirmation_parts(status, data)
    best = status.best
    if best is None:
        ended = any(row.kind not in {"running", "waiting"} for row in status.trials)
        return ["No trial is complete yet."] if ended else []
    if status.record.is_optuna_only:
        value = "–" if best.value is None else f"{best.value:.6g}"
        return [f"**Best so far:** {value}, by trial {best.number}."]
    seconds = {row.number: row.curve.seconds for row in status.trials}
    rows = [_family_row(it, seconds) for it in status.families]
    heads = ("Family", "Best on validation", "Trial", "Parameters", "Its time", "Trials counted")
    return ["### Best of each family", table(heads, rows), *_saved(status)]


def _family_row(summary: FamilySummary, seconds: dict[int, float]) -> list[str]:
    is_known = summary.trial is not None
    spent = seconds.get(summary.trial, 0.0) if summary.trial is not None else 0.0
    return [
        escape(summary.family, 60),
        show_score(summary.val_accuracy) or "–",
        f"{summary.trial}" if is_known else "–",
        show_count(summary.parameters) or "–",
        show_time(spent) if spent else "–",
        f"{summary.n_trials:,}",
    ]


def _saved(status: StudyStatus) -> list[str]:
    n_saved, n_trained = epochs_saved(status)
    if not n_saved:
        return []
    share = n_saved / (n_saved + n_trained)
    return [
        f"Pruning saved up to {plural(n_saved, 'epoch')}, {share:.0%} of what the trials would "
        "have trained without it."
    ]


def _images(data: DataFacts | None, samples_url: str | None) -> list[str]:
    picture = "" if samples_url is None else f"![Training images]({quote(samples_url, safe=SAFE)})"
    if data is None:
        return [picture]
    splits = [it for it in data.counts if data.counts[it]]
    classes = list(data.classes) if len(data.classes) <= MAX_CLASSES else []
    rows = [
        [escape(name, 60), *(f"{data.counts[it].get(name, 0):,}" for it in splits)]
        for name in classes
    ]
    rows.append(["all", *(f"{sum(data.counts[it].values()):,}" for it in splits)])
    return ["### Images", _size(data), table(["Class", *map(escape, splits)], rows), picture]


def _size(data: DataFacts) -> str:
    shapes = dict.fromkeys(data.image_shapes.values())
    sizes = " and ".join(f"{height} × {width}" for height, width, *_ in shapes)
    is_grey = all(shape[-1] == 1 for shape in data.image_shapes.values())
    n = sum(sum(counts.values()) for counts in data.counts.values())
    mark = data.fingerprint.removeprefix("sha256:")[:FINGERPRINT_DIGITS]
    kind = "grey images" if is_grey else "images"
    known = f"; fingerprint {code(mark)}" if mark else ""
    return f"{n:,} {kind} of {sizes} pixels{known}."
