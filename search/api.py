"""The service as functions, for notebooks and scripts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis import Ranking
from search.settings.option_keys import by_key
from search.settings.study_file import read_plan
from search.studies.resolved_plan import resolve_plan
from search.workers.local_run import RunCallbacks, View, run_plan


def run(
    source: str | Path,
    *,
    study: str | None = None,
    store: str | None = None,
    families: Sequence[str] | None = None,
    backbones: Sequence[str] | None = None,
    weights: str | Path | None = None,
    trials: int | None = None,
    timeout: str | float | None = None,
    workers: int | None = None,
    max_epochs: int | None = None,
    image_size: int | None = None,
    seed: int | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    view: View | None = None,
) -> Ranking:
    """Search for the best network on a source until the budget is spent, and rank the trials.

    Args:
        source: Folder of images, table, `.npz`, HDF5 file, study file, or `demo`.
        study: Name of the study; the source's stem by default. One that exists is resumed.
        store: URL of the store; `$CONVSEARCH_STORE` or `sqlite:///convsearch.db` by default.
        families: Families to search, or `["all"]`; by default those that train from scratch.
        backbones: Backbones that the family `transfer` draws from.
        weights: Weights of the backbones: `imagenet` (default), `none`, or a `.weights.h5` file.
        trials: Trials to run; 30 if there is no `timeout` either.
        timeout: How long to search, in seconds or as `30m`.
        workers: Local workers; one for each core by default.
        max_epochs: Maximum epochs of a trial, 20 by default.
        image_size: Side of the images in pixels, 32 by default.
        seed: Seed of splits, proposals and training, 0 by default.
        tables: Other settings of a study file, such as `{"training": {"patience": 8}}`.
        view: Called twice a second with the study's status.

    Raises:
        SearchError, SpaceError, StoreError: If an argument or the store cannot be used.
    """
    given = by_key(
        study=study,
        store=store,
        families=None if families is None else list(families),
        backbones=None if backbones is None else list(backbones),
        weights=None if weights is None else str(weights),
        trials=trials,
        timeout=timeout,
        workers=workers,
        max_epochs=max_epochs,
        image_size=image_size,
        seed=seed,
    )
    for table, values in (tables or {}).items():
        given |= {(table, key): value for key, value in values.items()}
    plan = resolve_plan(read_plan(str(source), given, {}))
    return run_plan(plan, RunCallbacks(view=view)).ranking
