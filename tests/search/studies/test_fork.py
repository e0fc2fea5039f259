"""Forks and warm starts: a study reuses trials of an earlier one where they are valid."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from analysis import load_status, rank
from search.errors import SettingsError
from search.settings.overrides import plan_from_record, read_overrides
from search.settings.plan import StudyPlan
from search.studies.fork import FORKED_FROM, Fork, fork
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from search.workers.proposals import next_proposal
from spaces import SearchSpace
from storage import (
    EpochRow,
    Outcome,
    StoreError,
    StudyNotFoundError,
    count_done,
    delete_study,
    finish_trial,
    load_curve,
    load_study,
    load_trials,
    record_epoch,
    register_worker,
    remove_worker,
)

MakeStudy = Callable[..., OpenStudy]
SPACE: dict[str, Any] = {"kernel_size": [3, 5], "activation": ["relu", "elu", "tanh"]}
VALUES = (0.5, 0.6, 0.9, 0.7, 0.55)

ON_ONE_STORE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def old(make_study: MakeStudy, store_url: str, tmp_path: Path) -> OpenStudy:
    """A study of five complete trials, the best of them trial 2, and a pruned one."""
    opened = make_study(
        space=SPACE,
        budget={"trials": 6},
        store={"url": store_url, "artifacts": str(tmp_path / "artifacts")},
    )
    train(opened, VALUES)
    return opened


def train(opened: OpenStudy, values: tuple[float, ...]) -> None:
    """End trials with these accuracies without training, and then one as pruned."""
    worker_id = register_worker(opened.store, opened.study_id)
    for value in (*values, None):
        proposal = next_proposal(opened, worker_id)
        assert proposal is not None
        for epoch in (1, 2):
            row = EpochRow(
                epoch, 1.0, 0.4, 1.0, (value or 0.2) - 0.1 * (2 - epoch), 1e-3, 2.0, 9.0
            )
            proposal.trial.report(row.val_accuracy, epoch)
            record_epoch(opened.store, proposal.lease, row, proposal.pending)
        kind = "pruned" if value is None else "complete"
        outcome = Outcome(kind, value=value, metrics={"macro_auc": 0.5})
        opened.artifacts.checkpoint(proposal.trial.number, 0).write_text(str(value))
        finish_trial(opened.store, proposal.lease, outcome, proposal.pending)
    remove_worker(opened.store, worker_id)


def fork_it(old: OpenStudy, *changes: str, name: str = "new", **options: Any) -> Fork:
    record = load_study(old.store, old.name)
    url = old.store.url.render_as_string(hide_password=False)
    plan = plan_from_record(record, changes, name=name, store_url=url)
    return fork(old.store, old.name, resolve_plan(plan), **options)


def test_fork_with_more_choices_copies_every_trial(old: OpenStudy) -> None:
    reported: list[tuple[int, int, str]] = []
    made = fork_it(
        old, "kernel_size=3,4,5", "budget.trials=4", progress=lambda *it: reported.append(it)
    )
    assert reported[-2:] == [(6, 6, "trials fitted"), (6, 6, "trials copied")]
    assert (made.n_copied, made.n_queued, made.n_skipped) == (6, 0, 0)
    before, after = (rank(old.store, name) for name in ("small", "new"))
    assert [t.val_accuracy for t in after.counted] == [t.val_accuracy for t in before.counted]
    assert [t.params for t in after.complete] == [t.params for t in before.complete]
    assert [t.epochs for t in after.counted] == [2] * 6
    first_ten = load_trials(old.store, made.submission.record.study_id)[:10]
    assert max(VALUES) in [row.value for row in first_ten]
    assert first_ten[0].attributes["taken_from"] == {"study": "small", "trial": 2}


def test_curves_and_reports_are_copied(old: OpenStudy) -> None:
    made = fork_it(old, "kernel_size=3,4,5")
    rows = load_trials(old.store, made.submission.record.study_id)
    sources = {row.number: row.trial_id for row in load_trials(old.store, old.study_id)}
    study = optuna.load_study(study_name="new", storage=old.store.optuna_storage)
    for row in rows[:6]:
        source = sources[row.attributes["taken_from"]["trial"]]
        assert load_curve(old.store, row.trial_id) == load_curve(old.store, source)
        assert sorted(study.trials[row.number].intermediate_values) == [1, 2]
    artifacts = made.submission.artifacts
    assert artifacts.checkpoint(0, 0).read_text() == "0.9"


@ON_ONE_STORE
def test_checkpoints_are_copied_for_the_trials_that_keep_them(
    old: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.artifacts.checkpoints.N_BEST_KEPT", 2)
    artifacts = fork_it(old, "kernel_size=3,4,5").submission.artifacts
    contents = [path.read_text() for path in artifacts.folder.glob("trial-*")]
    assert sorted(contents) == ["0.7", "0.9"]


@ON_ONE_STORE
def test_trials_outside_the_new_space_are_not_copied(old: OpenStudy) -> None:
    fits = [
        row.number
        for row in load_trials(old.store, old.study_id)
        if row.outcome is not None and row.params["activation"] != "elu"
    ]
    made = fork_it(old, "activation=relu,tanh")
    assert made.n_copied == len(fits)
    assert made.skipped == {"not in its space": 6 - len(fits)}
    assert made.n_skipped > 0
    taken = load_trials(old.store, made.submission.record.study_id)[: made.n_copied]
    assert sorted(row.attributes["taken_from"]["trial"] for row in taken) == fits


@ON_ONE_STORE
def test_parameter_that_is_fixed_in_one_of_the_spaces_is_copied(old: OpenStudy) -> None:
    made = fork_it(old, "stages=1,2", "channels=[8, 16]")
    assert made.n_copied == 6
    params = load_trials(old.store, made.submission.record.study_id)[0].params
    assert (params["stages"], params["stage1_channels"]) == (1, 8)


def test_budget_counts_new_trials_unless_copied_ones_count(old: OpenStudy) -> None:
    made = fork_it(old, "kernel_size=3,4,5")
    assert count_done(old.store, made.submission.record.study_id) == 0
    assert load_status(old.store, "new").n_done == 0
    other = fork_it(old, "kernel_size=3,4,5", name="other", count_taken=True)
    assert count_done(old.store, other.submission.record.study_id) == 6
    assert load_status(old.store, "other").n_done == 6


def test_forked_study_continues_without_repeats_and_resumes(old: OpenStudy) -> None:
    fork_it(old, "kernel_size=3,4,5", "budget.trials=3")
    opened = OpenStudy.load(old.store, "new")
    train(opened, (0.8, 0.95))
    rows = load_trials(old.store, opened.study_id)
    done = [row for row in rows if row.outcome is not None and row.outcome.kind != "repeat"]
    assert len({str(row.attributes["config"]) for row in done}) == len(done) == 9
    assert load_status(old.store, "new").n_done == 3
    assert rank(old.store, "new").complete[0].val_accuracy == 0.95


def test_fork_on_other_images_enqueues_only_configs_best_first(
    old: OpenStudy, tmp_path: Path
) -> None:
    source = write_other(tmp_path / "other.npz")
    made = fork_it(old, f"data.source={source}")
    assert (made.n_copied, made.n_queued) == (0, 5)
    assert made.skipped == {"of other images or training settings": 1}
    rows = load_trials(old.store, made.submission.record.study_id)
    assert {row.state for row in rows} == {"WAITING"}
    opened = OpenStudy.load(old.store, "new")
    worker_id = register_worker(old.store, opened.study_id)
    proposal = next_proposal(opened, worker_id)
    assert proposal is not None
    best = rank(old.store, "small").complete[0]
    assert proposal.config.to_json() == best.config


@ON_ONE_STORE
def test_fork_with_longer_training_enqueues_only_configs(old: OpenStudy) -> None:
    assert fork_it(old, "max_epochs=9").n_queued == 5


def write_other(path: Path) -> Path:
    labels = np.arange(96) % 3
    images = np.random.default_rng(1).integers(0, 99, (96, 16, 16), dtype=np.uint8)
    np.savez(path, images=images, labels=labels)
    return path


@ON_ONE_STORE
def test_fork_needs_no_source_while_its_images_are_the_same(old: OpenStudy, blobs: Path) -> None:
    blobs.unlink()
    assert fork_it(old, "kernel_size=3,4,5").n_copied == 6


@pytest.mark.parametrize(
    "step", ["search.studies.copied_trials.copy_trials", "search.studies.submission.create_study"]
)
def test_interrupted_fork_starts_again(
    old: OpenStudy, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(step, fail)
        with pytest.raises(KeyboardInterrupt):
            fork_it(old, "kernel_size=3,4,5")
    study = optuna.load_study(study_name="new", storage=old.store.optuna_storage)
    assert study.user_attrs[FORKED_FROM]["is_whole"] is False
    with pytest.raises(StudyNotFoundError):
        load_study(old.store, "new")  # No worker can have joined it.
    assert fork_it(old, "kernel_size=3,4,5").n_copied == 6
    study = optuna.load_study(study_name="new", storage=old.store.optuna_storage)
    assert study.user_attrs[FORKED_FROM] == {"study": "small", "is_whole": True}


@pytest.fixture
def nothing_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if images are prepared."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("images were prepared")

    monkeypatch.setattr("search.studies.submission.prepare", fail)
    monkeypatch.setattr("search.studies.fork.fetch_prepared", fail)


@ON_ONE_STORE
def test_name_that_is_taken_is_refused(old: OpenStudy, nothing_spent: None) -> None:
    with pytest.raises(SettingsError, match="'small' exists already"):
        fork_it(old, "kernel_size=3,4,5", name="small")
    optuna.create_study(storage=old.store.optuna_storage, study_name="plain")
    with pytest.raises(SettingsError, match="Optuna study 'plain' exists already"):
        fork_it(old, "kernel_size=3,4,5", name="plain")


BAD_CHANGES = {
    "no value": ("optimizer", "expected KEY=VALUE"),
    "unknown bare": ("optimzer=adam", "unknown key `optimzer`. Did you mean `optimizer`"),
    "unknown key": ("training.max_epoch=3", "Did you mean `training.max_epochs`"),
    "ambiguous": ("seed=3", "`seed` may be data.seed or search.seed"),
    "nothing like it": ("zzzzqq=3", "Tables: data, space"),
}


@pytest.mark.parametrize(("change", "message"), BAD_CHANGES.values(), ids=BAD_CHANGES)
def test_change_of_an_unknown_setting_is_refused(change: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_overrides([change], SearchSpace.create(["plain"]))


def test_values_of_changes_are_read_as_toml_or_text() -> None:
    space = SearchSpace.create(["plain"])
    texts = ["optimizer=adam,sgd", "dropout={low = 0.1, high = 0.2}", "batch_size=16,32",
             "training.trial_timeout=20m", "augmentation=false"]  # fmt: skip
    assert list(read_overrides(texts, space).values()) == [
        ["adam", "sgd"], {"low": 0.1, "high": 0.2}, [16, 32], "20m", False,
    ]  # fmt: skip


@ON_ONE_STORE
def test_families_may_change_and_their_parameters_with_them(old: OpenStudy) -> None:
    record = load_study(old.store, old.name)
    plan = plan_from_record(record, ["families=vgg"], name="new", store_url="sqlite:///x.db")
    assert plan.space["families"] == "vgg"
    assert "stages" not in plan.space
    assert plan.space["activation"] == ["relu", "elu", "tanh"]


@pytest.mark.parametrize("families", [["plain"], ["vgg", "inception", "residual", "dense"]])
def test_space_is_restored_from_its_table(families: list[str]) -> None:
    wanted = {"kernel_initializer": ["he_normal"], "dropout": {"low": 0.1, "high": 0.3},
              "batch_size": [16, 32], "augmentation": False}  # fmt: skip
    space = SearchSpace.create(families, wanted)
    table = space.to_table()
    assert SearchSpace.create(table.pop("families"), table) == space


def warm_plan(old: OpenStudy, source: Path, **study: Any) -> StudyPlan:
    url = old.store.url.render_as_string(hide_password=False)
    tables = {
        "study": {"name": "warm", "warm_start": "small", **study},
        "data": {"source": str(source), "image_size": 16},
        "space": {"families": ["plain"], "activation": ["relu", "tanh"]},
        "search": {"pruner": "none"},
        "budget": {"trials": 8},
        "store": {"url": url, "artifacts": old.settings.artifacts},
    }
    return StudyPlan.model_validate(tables)


def test_warm_start_enqueues_the_best_configs_that_fit(old: OpenStudy, tmp_path: Path) -> None:
    submission = submit(
        resolve_plan(warm_plan(old, write_other(tmp_path / "other.npz"), warm_start_trials=2))
    )
    fitting = [
        trial.config
        for trial in rank(old.store, "small").complete
        if trial.params["activation"] != "elu"
    ]
    opened = OpenStudy.load(submission.store, "warm")
    workers = [register_worker(opened.store, opened.study_id) for _ in range(2)]
    proposals = [next_proposal(opened, worker_id) for worker_id in workers]
    assert [it.config.to_json() for it in proposals if it is not None] == fitting[:2]
    assert submission.notes[0] == "begins with 2 of the best configs of small"
    skipped = [t.trial for t in rank(old.store, "small").complete[:3] if t.config not in fitting]
    assert ("not in this space" in " ".join(submission.notes)) == bool(skipped)


@ON_ONE_STORE
def test_warm_start_from_an_unknown_study_is_refused_early(
    old: OpenStudy, blobs: Path, nothing_spent: None
) -> None:
    with pytest.raises(StudyNotFoundError, match="Studies there: small"):
        submit(resolve_plan(warm_plan(old, blobs, warm_start="smal")))
    with pytest.raises(StudyNotFoundError):
        load_study(old.store, "warm")


@ON_ONE_STORE
def test_warm_start_in_a_missing_store_creates_none(
    old: OpenStudy, blobs: Path, tmp_path: Path, nothing_spent: None
) -> None:
    plan = warm_plan(old, blobs)
    store = plan.store.model_copy(update={"url": f"sqlite:///{tmp_path / 'here.db'}"})
    with pytest.raises(StoreError, match=r"There is no store at .*here\.db"):
        submit(resolve_plan(plan.model_copy(update={"store": store})))
    assert not (tmp_path / "here.db").exists()


@ON_ONE_STORE
def test_resumed_study_does_not_need_the_earlier_study(old: OpenStudy, blobs: Path) -> None:
    plan = warm_plan(old, blobs)
    submit(resolve_plan(plan))
    delete_study(old.store, "small")
    assert not submit(resolve_plan(plan)).is_new


def test_warm_start_from_another_store(old: OpenStudy, blobs: Path, tmp_path: Path) -> None:
    url = old.store.url.render_as_string(hide_password=False)
    plan = warm_plan(old, blobs, warm_start_store=url)
    store = plan.store.model_copy(update={"url": f"sqlite:///{tmp_path / 'here.db'}"})
    submission = submit(resolve_plan(plan.model_copy(update={"store": store})))
    states = [row.state for row in load_trials(submission.store, submission.record.study_id)]
    assert set(states) == {TrialState.WAITING.name}
