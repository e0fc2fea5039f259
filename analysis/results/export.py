"""Export of all trials of a study, also of a plain Optuna one, as CSV, Parquet or JSON."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from analysis.errors import ExportError
from analysis.output_files import (
    Progress,
    Row,
    dump_csv,
    dump_json,
    replace_non_finite,
    write_atomically,
)
from analysis.results.families import family_of
from storage import (
    EpochRow,
    Store,
    TrialRow,
    find_study_id,
    load_curves,
    load_trials,
    opened_store,
)

CURVES = ("val_accuracy", "val_loss", "train_accuracy", "train_loss")
"""Columns per epoch of a table; JSON has all fields."""
DEFAULT_COLUMNS = ("trial", "state", "ended_as", "reason", "family", "value")
"""Columns of a study without trials."""
Item = TypeVar("Item")
_EPOCH_FIELDS = tuple(field.name for field in fields(EpochRow))


@dataclass(frozen=True, slots=True)
class Export:
    """The trials of a study by number, with the epochs of each in `curves`."""

    study: str
    trials: tuple[TrialRow, ...]
    curves: tuple[Sequence[Row], ...]

    def rows(self, progress: Progress | None = None) -> list[Row]:
        """Return a flat row per trial, all with the same columns."""
        names = list(dict.fromkeys(name for row in self.trials for name in row.params))
        n_epochs = max(map(len, self.curves), default=0)
        return [
            {
                **_describe(row),
                **{f"params_{name}": row.params.get(name) for name in names},
                **_flatten(curve, n_epochs),
            }
            for row, curve in self._each(progress)
        ]

    def to_json(self, progress: Progress | None = None) -> dict[str, Any]:
        """Return the trials, with params and curves, as one document of valid JSON values."""
        trials = [
            replace_non_finite({**_describe(row), "params": row.params, "curve": list(curve)})
            for row, curve in self._each(progress)
        ]
        return {"study": self.study, "trials": trials}

    def _each(self, progress: Progress | None) -> Iterator[tuple[TrialRow, Sequence[Row]]]:
        pairs = zip(self.trials, self.curves, strict=True)
        return _with_progress(pairs, len(self.trials), "trials written", progress)


def load_export(store: Store | str, study: str, progress: Progress | None = None) -> Export:
    """Load all trials of a study with their curves; `progress` counts trials read.

    Raises:
        StudyNotFoundError: If the store has no such study.
    """
    with opened_store(store) as opened:
        study_id = find_study_id(opened, study)
        rows = load_trials(opened, study_id)
        curves = {} if opened.is_optuna_only else load_curves(opened, study_id)
    tracked = _with_progress(rows, len(rows), "trials read", progress)
    by_trial = [[_row_of(epoch) for epoch in curves.get(row.trial_id, ())] for row in tracked]
    return Export(study, tuple(rows), tuple(by_trial))


def _row_of(epoch: EpochRow) -> Row:
    """Return an epoch as a row; `asdict`, which copies each number, takes five times as long."""
    return {name: getattr(epoch, name) for name in _EPOCH_FIELDS}


def _with_progress(
    items: Iterable[Item], total: int, what: str, progress: Progress | None
) -> Iterator[Item]:
    for n_done, item in enumerate(items, start=1):
        yield item
        if progress is not None:
            progress(n_done, total, what)


def write_export(
    export: Export, kind: str, path: Path | None = None, progress: Progress | None = None
) -> str:
    """Write an export to a file, completely or not at all, or return its text without a path.

    `kind` is `csv`, `parquet` or `json`; Parquet needs a path. `progress` counts trials written.

    Raises:
        ExportError: If the kind is unknown, packages are missing, or the file cannot be written.
    """
    check_target(kind, path)
    content = _WRITERS[kind](export, progress)
    if path is None:
        return content.decode()
    try:
        write_atomically(path.resolve(), content)  # A link remains a link.
    except OSError as error:
        raise ExportError(
            f"Cannot write {path}: {error.strerror}. Name another file with --out."
        ) from error
    return ""


def check_target(kind: str, path: Path | None) -> None:
    """Check a format and a file before anything is read.

    Raises:
        ExportError: If the format is unknown, or the file cannot be in its folder.
    """
    if kind not in _WRITERS:
        raise ExportError(
            f"Expected one of the formats {', '.join(_WRITERS)}. Received: {kind!r}."
        )
    if path is None and kind == "parquet":
        raise ExportError("Parquet is a binary format: name a file with --out.")
    if path is not None and path.is_dir():
        raise ExportError(f"Expected a file to write to. Received a folder: {path}")
    if path is not None and not path.absolute().parent.is_dir():
        raise ExportError(f"Cannot write {path}: there is no folder {path.parent}.")


def _describe(row: TrialRow) -> Row:
    """Return the columns of a trial; `ended_as` is finer than Optuna's state."""
    outcome = row.outcome
    metrics = {} if outcome is None else outcome.metrics
    return {
        "trial": row.number,
        "state": row.state,
        "ended_as": None if outcome is None else outcome.kind,
        "reason": None if outcome is None else outcome.reason or None,
        "family": family_of(row) or None,
        "value": row.value,
        "best_epoch": row.curve.best_epoch,
        "epochs": row.curve.n_epochs,
        "seconds": round(row.curve.seconds, 2),
        "parameters": row.attributes.get("parameters"),
        "balanced_accuracy": metrics.get("balanced_accuracy"),
        "macro_auc": metrics.get("macro_auc"),
        "started_utc": None if row.started is None else row.started.isoformat(),
        "finished_utc": None if row.finished is None else row.finished.isoformat(),
    }


def _flatten(curve: Sequence[Row], n_epochs: int) -> Row:
    by_epoch = {epoch["epoch"]: epoch for epoch in curve}
    return {
        f"epoch{number}_{name}": by_epoch.get(number, {}).get(name)
        for number in range(1, n_epochs + 1)
        for name in CURVES
    }


def _csv(export: Export, progress: Progress | None) -> bytes:
    rows = export.rows(progress)
    return dump_csv(tuple(rows[0]) if rows else DEFAULT_COLUMNS, rows)


def _parquet(export: Export, progress: Progress | None) -> bytes:
    try:
        import pandas as pd
        import pyarrow  # noqa: F401  pandas would only fail later
    except ImportError as error:
        raise ExportError(
            "Parquet needs pandas and pyarrow: pip install 'convsearch[parquet]'."
        ) from error
    frame = pd.DataFrame(export.rows(progress))
    for name in frame:  # A column has one type; a parameter may be a number here, a word there.
        kinds = set(frame[name].dropna().map(type))
        if len(kinds) > 1 and kinds != {int, float}:
            frame[name] = frame[name].map(lambda value: None if value is None else str(value))
    data = io.BytesIO()
    frame.to_parquet(data, index=False)
    return data.getvalue()


_WRITERS: Mapping[str, Callable[[Export, Progress | None], bytes]] = {
    "csv": _csv,
    "parquet": _parquet,
    "json": lambda export, progress: dump_json(export.to_json(progress)),
}
