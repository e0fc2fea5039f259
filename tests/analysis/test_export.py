"""Exports: how far they are is told."""

import optuna
import pytest

from analysis.export import load_export, write_export
from storage import Store


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_export_tells_how_far_it_is(store: Store, kind: str) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="plain")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    told: list[tuple[int, int, str]] = []
    export = load_export(store, "plain", lambda *how_far: told.append(how_far))
    write_export(export, kind, progress=lambda *how_far: told.append(how_far))
    assert told == [(n, 2, what) for what in ("trials read", "trials written") for n in (1, 2)]
