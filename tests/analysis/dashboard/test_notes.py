"""Notes: their text for every kind of trial and study, and that names in them stay plain text."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from markdown_it import MarkdownIt

from analysis.dashboard.notes import describe_architecture, study_facts, study_note, trial_note
from analysis.dashboard.notes.formatting import approximate_duration
from analysis.dashboard.notes.markdown import code, escape, table
from analysis.report.facts import DataFacts
from analysis.results.status import StudyStatus
from spaces import SearchSpace
from spaces.families import family_names
from storage import Curve, Outcome, StudyRecord, TrialRow, WorkerRow
from tests.analysis.report import made_facts

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "![](http://elsewhere/x.png)",
    "a | b || c",
    "`code` ``more``",
    "[text](javascript:alert(1))",
    "*bold* __bold__ ~~gone~~",
    "# head",
    "back\\slash \\| \\` \\",
    "&lt;b&gt; &amp; <b>",
    "<https://elsewhere> <!-- x -->",
    "$x$ {y} ^z^",
)
CONFIG: dict[str, Any] = {
    "family": "vgg",
    "network": {"widths": [16, 32], "convs": 2, "dropout": 0.05},
    "head": {"pooling": "global_average", "dense_units": [64]},
    "layers": {
        "kernel_initializer": "he_normal",
        "bias_initializer": "he_normal",
        "activation": "relu",
        "batch_normalization": True,
        "dropout": 0.1,
        "regularizer": {"l1": 0.0, "l2": 0.001},
    },
    "optimizer": {"name": "adam", "learning_rate": 0.00123456, "beta_1": 0.9},
    "batch_size": 32,
    "augmentation": True,
}
SCORES = {"balanced_accuracy": 0.88, "macro_auc": 0.97}
COMPLETE = Outcome("complete", value=0.9, metrics=SCORES)
ROW = TrialRow(
    trial_id=3,
    number=2,
    state="COMPLETE",
    value=0.9,
    params={"family": "vgg"},
    attributes={
        "config": CONFIG,
        "parameters": 123456,
        "max_epochs": 20,
        "ran_on": ["one, cpu", "two, gpu 0"],
    },
    outcome=COMPLETE,
    curve=Curve(14, 1234.0, 12, 0.9, 812.4),
    started=None,
    finished=None,
)
RUNNING = replace(ROW, number=3, state="RUNNING", value=None, outcome=None)
RECORD = StudyRecord(1, "brain", "{}", 10, None, 3000.0, None, has_failed=False)
WORKER = WorkerRow("w", "host", "machine", 1, 0.0, 1.0, 0.0, 3)
DATA = DataFacts(
    kind="npz",
    classes=("glioma", "no tumour"),
    counts={
        "train": {"glioma": 400, "no tumour": 100},
        "val": {"glioma": 90, "no tumour": 90},
        "test": {},
    },
    image_shapes={"scratch": (32, 32, 1)},
    fingerprint="8543ec6efb4e93360c88c238703f037c",
    n_duplicates=0,
    n_conflicts=0,
    n_broken=0,
    split=None,
    seed=0,
)


def ended(kind: Any, reason: str, curve: Curve | None = None) -> TrialRow:
    outcome = Outcome(kind, reason)
    curve = Curve() if curve is None else curve
    return replace(ROW, state=outcome.state.name, value=None, outcome=outcome, curve=curve)


def first_line(row: TrialRow, **values: Any) -> str:
    return trial_note(row, **values).splitlines()[0]


def study(
    rows: Sequence[TrialRow] = (ROW,), workers: Sequence[WorkerRow] = (), **values: Any
) -> StudyStatus:
    return StudyStatus(replace(RECORD, **values), tuple(rows), tuple(workers))


def note_of(status: StudyStatus, data: DataFacts | None = None, **values: Any) -> str:
    return study_note(status, data=data, samples_url=None, **values)


def render(markdown: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)


def shown(markdown: str) -> str:
    """Return the text that a reader sees."""
    return unescape(re.sub(r"<[^>]*>", "", render(markdown)))


def test_note_of_a_trial_shows_network_scores_cost_and_machine() -> None:
    assert trial_note(ROW).split("\n") == [
        "**Complete:** 0.9000 on validation; stopped early after epoch 14, when validation no "
        "longer improved.",
        "",
        "**vgg**: 2 blocks of 16, 32 channels, each of 2 convolutions, block dropout 0.05 → "
        "global average pooling → dense 64",
        "",
        "relu, batch normalization, dropout 0.1, L2 0.001; adam at 0.00123; batches of 32, "
        "augmented",
        "",
        "- **Validation:** accuracy 0.9000, balanced accuracy 0.8800, AUC 0.9700",
        "- **Best epoch:** 12 of 14 (at most 20)",
        "- **Intermediate values:** the best accuracy up to each epoch, not that of each epoch",
        "- **Time:** 21 min, 88 s an epoch",
        "- **Parameters:** 123,456",
        "- **Memory:** 812 MB at most",
        "- **Ran on:** one, cpu; then two, gpu 0",
    ]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            replace(ROW, curve=Curve(20, 9.0, 20, 0.9)),
            "**Complete:** 0.9000 on validation; trained to its end.",
        ),
        (
            ended("pruned", "By the pruner after epoch 4.", Curve(4, 9.0, 3, 0.8)),
            "**Pruned** by the pruner after epoch 4. Its best epoch had 0.8000 on validation.",
        ),
        (
            ended("unfit", "Out of memory at 90 MB."),
            "**Not fit to train.** Out of memory at 90 MB.",
        ),
        (
            ended("rejected", "2 million parameters are over the limit of 1"),
            "**Rejected before training.** 2 million parameters are over the limit of 1.",
        ),
        (
            ended("repeat", "The same configuration as trial 4."),
            "**Rejected as a repeat, before training.** The same configuration as trial 4.",
        ),
        (ended("fail", "ValueError: a|b"), "**Failed.** ValueError: a\\|b."),
        (
            RUNNING,
            "**Running,** in epoch 15 of at most 20. Best so far: 0.9000 on validation, in epoch "
            "12.",
        ),
        (replace(RUNNING, curve=Curve()), "**Running,** in epoch 1 of at most 20."),
        (replace(RUNNING, state="WAITING"), "**Waiting** for a worker."),
    ],
)
def test_first_line_states_how_the_trial_ended_or_its_progress(row: TrialRow, line: str) -> None:
    assert first_line(row) == line


def test_running_trial_without_a_worker_waits_to_resume() -> None:
    assert first_line(RUNNING, is_active=False).startswith(
        "**Waiting to resume** after epoch 14 of at most 20: no worker holds it."
    )
    assert first_line(RUNNING, is_active=True).startswith("**Running,** in epoch 15")


def test_maximum_of_epochs_is_that_of_the_trial_or_else_of_the_study() -> None:
    older = replace(RUNNING, attributes={})
    assert first_line(older, max_epochs=30).startswith("**Running,** in epoch 15 of at most 30.")
    assert first_line(RUNNING, max_epochs=30).startswith("**Running,** in epoch 15 of at most 20.")


def test_trainings_of_a_confirmation_and_copies_name_their_origin() -> None:
    again = replace(ROW, attributes={"confirms": {"trial": 12, "seed": 2, "key": "k"}})
    assert "- **Trains again:** trial 12, seed 2" in trial_note(again)
    copy = replace(ROW, attributes={"taken_from": {"study": "old_one", "trial": 7}})
    assert "- **Copied from:** trial 7 of old\\_one" in trial_note(copy)


def test_note_of_a_plain_optuna_trial_states_only_what_is_known() -> None:
    plain = replace(ROW, params={"x": 1.0}, attributes={}, outcome=None, curve=Curve(), value=-2.5)
    assert trial_note(plain) == "**Complete:** value -2.5."
    for state in ("RUNNING", "PRUNED", "FAIL", "WAITING"):
        assert trial_note(replace(plain, state=state, value=None)).count("\n") == 0


@pytest.mark.parametrize("family", family_names())
def test_each_family_is_described_in_its_own_words(family: str) -> None:
    space = SearchSpace.create([family], {})
    for seed in range(30):
        config = space.random_config(random.Random(seed)).to_json()
        line = describe_architecture(config)
        assert line
        assert "_" not in line.replace(str(config["network"].get("backbone")), "")
        assert "{" not in line
        is_own = {"transfer": "unfrozen", "residual": "(v", "dense": "growth"}
        assert is_own.get(family, "channels") in line


@pytest.mark.parametrize(
    ("family", "network", "line"),
    [
        (
            "plain",
            {
                "stages": [
                    {"convs": 1, "channels": 32, "kernel_size": 3, "pool_size": 2},
                    {"convs": 1, "channels": 64, "kernel_size": 3, "pool_size": 2},
                    {"convs": 1, "channels": 128, "kernel_size": 5, "pool_size": None},
                ]
            },
            "3 stages of 32, 64, 128 channels (kernels 3, 3, 5; max pooling 2, 2, none)",
        ),
        (
            "transfer",
            {"backbone": "mobilenet_v2", "unfrozen_layers": 25, "fine_tuning_rate": 0.1},
            "mobilenet_v2, 25 layers unfrozen at 0.1 of the learning rate",
        ),
        (
            "mine",
            {"n_cells": 3, "sizes": [1, 2], "parts": [{}, {}]},
            "n cells 3, sizes 1, 2, parts of 2",
        ),
        ("vgg", {"n_other": 1}, "n other 1"),
    ],
)
def test_architecture_is_a_line(family: str, network: dict[str, Any], line: str) -> None:
    assert describe_architecture({"family": family, "network": network}) == line


def odd(value: Any, rng: random.Random) -> Any:
    """Return a record with an unexpected value in one place."""
    strange = (None, "text", -1, 1e400, float("nan"), [], {}, [None], True, 10**30, "<b>" * 999)
    if rng.random() < 0.2:
        return rng.choice(strange)
    if isinstance(value, dict):
        return {k: odd(v, rng) for k, v in value.items() if rng.random() > 0.1}
    return [odd(it, rng) for it in value] if isinstance(value, list) else value


@pytest.mark.parametrize("family", [*family_names(), "mine"])
def test_unexpected_records_do_not_prevent_a_note(family: str) -> None:
    name = family if family != "mine" else "plain"
    rng = random.Random(family)
    for seed in range(150):
        config = SearchSpace.create([name], {}).random_config(random.Random(seed)).to_json()
        attributes = {**ROW.attributes, "config": {**config, "family": family}}
        attributes |= {"confirms": {"trial": 1, "seed": 0}, "taken_from": {"study": "s"}}
        row = replace(
            ROW,
            attributes={name: odd(it, rng) for name, it in attributes.items()},
            outcome=replace(COMPLETE, metrics={k: odd(v, rng) for k, v in SCORES.items()}),
            curve=rng.choice([Curve(), Curve(3, float("inf"), 1, float("nan"), 5.0)]),
            value=rng.choice([None, float("nan"), float("inf"), 0.5]),
        )
        note = trial_note(row)
        assert "**Complete:**" in note
        assert len(note) < 5000


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_unchanged(text: str) -> None:
    config = {**CONFIG, "family": text, "network": {text: text}}
    failed = replace(
        ended("fail", text), attributes={"config": config, "ran_on": [text]}, params={}
    )
    notes = [trial_note(failed), note_of(study([failed, failed], name=text, end_reason=text))]
    for note in notes:
        html = render(note)
        for sign in ("<img", "<a ", "<!--", "onerror=alert(1)>", "<del", "<b>", "<code>code"):
            assert sign not in html
        assert text in shown(note)


@pytest.mark.parametrize("text", HOSTILE)
def test_cells_hold_any_text(text: str) -> None:
    html = render(table(["Name", "n"], [[escape(text), "1"], [escape(text), "2"]]))
    assert html.count("<td") == 4
    assert unescape(html).count(text) == 2


def test_line_breaks_and_control_characters_of_foreign_text_stay_in_one_line() -> None:
    assert escape("one\n\n# two\r\n\x1b[31mred\x00") == "one \\# two ?\\[31mred?"
    assert len(escape("x" * 9999)) == 400
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a") == "`` `a ``"


def test_note_of_a_running_study_shows_images_progress_and_families() -> None:
    slow = replace(ROW, number=4, value=0.8, params={"family": "plain"}, attributes={})
    pruned = ended("pruned", "By the pruner after epoch 4.", Curve(4, 9.0, 3, 0.8))
    pruned = replace(pruned, number=5)
    two = (WORKER, replace(WORKER, worker_id="v"), replace(WORKER, worker_id="u", host="far"))
    status = study([ROW, RUNNING, slow, pruned], two)
    note = study_note(status, data=DATA, samples_url="/artifacts/1/4")
    assert "Which network classifies **glioma** and **no tumour** best" in note
    assert (
        "**Running:** 3 of 10 trials done in about 50 minutes. Time left: about 2 hours. "
        "3 workers on host (2) and far. Trials: 2 complete, 1 pruned, 1 running." in note
    )
    assert "| vgg | 0.9000 | 2 | 123,456 | 21 min | 2 |" in note
    assert "| plain | 0.8000 | 4 | – | 21 min | 1 |" in note
    assert "Pruning saved up to 16 epochs, 26% of what" in note
    assert "| no tumour | 100 | 90 |\n| all | 500 | 180 |" in note
    assert "680 grey images of 32 × 32 pixels; fingerprint `8543ec6efb4e`." in note
    assert "![Training images](/artifacts/1/4)" in note
    assert "Only 2 trials are complete" in note
    assert "- ⚠ The classes are imbalanced: the largest has 4 times" in note
    assert "**Next:**" not in note


def test_note_does_not_change_with_time_alone() -> None:
    rows = [ROW, RUNNING]
    notes = {
        note_of(study(rows, [replace(WORKER, last_seen_s=it)], active_s=3000.0 + it))
        for it in range(30)
    }
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (5, "a minute or two"),
        (130, "about 5 minutes"),
        (1500, "about 25 minutes"),
        (3600, "about an hour"),
        (5400, "about 1.5 hours"),
        (36_000, "about 10 hours"),
        (200_000, "about 2 days"),
    ],
)
def test_times_are_coarse(seconds: float, words: str) -> None:
    assert approximate_duration(seconds) == words


def test_empty_study_says_what_to_do() -> None:
    note = note_of(study([], name="my study"))
    assert "**Not started:** 0 of 10 trials done. There is no trial yet." in note.replace(
        " in about 50 minutes", ""
    )
    assert note.endswith("**Next:** `convsearch worker 'my study'` runs its trials.")
    assert "⚠" not in note


def test_running_study_without_a_finished_trial_claims_nothing() -> None:
    note = note_of(study([RUNNING], [WORKER]))
    assert "**Running:**" in note
    assert "est of each family" not in note
    assert "⚠" not in note


def test_note_says_that_trials_wait_without_a_worker() -> None:
    note = note_of(study([ROW, RUNNING]))
    assert "- ⚠ **No worker is running,** and 1 trial could be resumed." in note
    assert note.endswith("**Next:** `convsearch worker brain` runs its trials.")


def test_note_of_a_stopped_study_says_how_to_continue() -> None:
    note = note_of(study([ROW, RUNNING], is_stopped=True))
    assert "**Stopped:**" in note
    assert "- ⚠ **It was stopped:** the shutdown of all its workers was requested." in note
    assert "**Next:** `convsearch study resume brain` opens it again." in note
    assert "Nobody" not in note


def test_note_shows_many_failures_with_the_commonest_reason() -> None:
    broken, other = ended("fail", "OSError: no <b>disk</b>"), ended("fail", "ValueError: x")
    note = note_of(study([ROW, broken, broken, other], [WORKER]))
    assert "- ⚠ **3 of 4 trials failed.** Most often: OSError: no &lt;b&gt;disk&lt;/b&gt;" in note
    assert "failed.**" not in note_of(study([*[ROW] * 9, broken], [WORKER]))


def test_note_says_that_a_study_ended_with_a_failure() -> None:
    note = note_of(study([ended("fail", "no")], end_reason="The last 5 failed.", has_failed=True))
    assert "**Ended:**" in note
    assert "- ⚠ **It ended with a failure:** The last 5 failed." in note
    assert note.endswith("`convsearch rank --all brain` shows the outcome of each trial.")


@pytest.mark.parametrize(
    ("is_confirmed", "has_confirm"), [(None, True), (False, True), (True, False)]
)
def test_note_of_a_finished_study_shows_the_next_step(
    is_confirmed: bool | None, has_confirm: bool
) -> None:
    rows = [replace(ROW, number=n) for n in range(10)]
    note = note_of(study(rows, name="it's"), is_confirmed=is_confirmed)
    assert "**Finished:** 10 of 10 trials done" in note
    assert ("convsearch confirm" in note) is has_confirm
    assert "`convsearch report 'it'\"'\"'s'` writes the report" in note


@pytest.mark.parametrize(
    ("values", "commands"),
    [
        ({}, ("confirm brain", "report brain")),
        ({"name": "brain/confirm"}, ("report brain",)),
        ({"name": "brain/confirm", "n_trials": 20}, ("confirm brain",)),
    ],
)
def test_next_commands_of_a_study_with_modules_have_the_permission_that_they_need(
    values: dict[str, Any], commands: tuple[str, ...]
) -> None:
    confirms = "brain" if values else ""
    settings = json.dumps({"modules": [{"source": "own.py"}], "confirms": confirms})
    rows = [replace(ROW, number=n) for n in range(10)]
    note = note_of(study(rows, settings=settings, **values), is_confirmed=False)
    for command in commands:
        assert f"`convsearch {command} --trust-modules`" in note


def test_note_shows_best_values_at_the_edge_of_their_ranges() -> None:
    settings = (
        '{"space": {"families": ["vgg"], "domains": {'
        '"rate": {"kind": "float", "low": 0.001, "high": 0.1, "log": true},'
        '"two": {"kind": "int", "low": 1, "high": 2, "step": 1},'
        '"mid": {"kind": "int", "low": 1, "high": 9, "step": 1},'
        '"drop": {"kind": "float", "low": 0, "high": 0.5},'
        '"odd": {"kind": "float", "low": "x"}, "odder": 3}}}'
    )
    params = {"rate": 0.0999, "two": 2, "mid": 5, "drop": 0.0, "odd": 1, "odder": 1}
    note = note_of(study([replace(ROW, params=params)], settings=settings))
    assert note.count("edge of its range") == 1
    assert "The best value of rate, 0.0999, lies at the edge of its range (0.001 to 0.1)" in note
    assert "Searched among vgg." in note


def test_note_of_a_plain_optuna_study() -> None:
    plain = replace(ROW, params={"x": 1.0}, attributes={}, outcome=None, curve=Curve())
    rows = [replace(plain, number=n, value=float(n)) for n in range(3)]
    status = study(rows, name="other", is_optuna_only=True, direction="minimize", settings="")
    assert note_of(status).split("\n\n") == [
        "## other",
        "A plain Optuna study: smaller values are better.",
        "Trials: 3 complete.",
        "**Best so far:** 0, by trial 0.",
        "`convsearch study export other` exports all trials.",
    ]
    empty = study([], name="other", is_optuna_only=True, settings="")
    assert note_of(empty).endswith("There is no trial yet.")


def test_plain_optuna_study_is_never_taken_for_a_confirmation() -> None:
    row = replace(ROW, attributes={"confirms": {}}, outcome=None)
    note = note_of(study([row], name="other/confirm", is_optuna_only=True, settings=""))
    assert "A plain Optuna study" in note


def test_confirmation_compares_means_and_claims_no_best_trial() -> None:
    rows = [
        replace(
            ROW,
            number=number,
            value=value,
            attributes={"config": CONFIG, "confirms": {"trial": trial, "seed": number, "key": ""}},
        )
        for number, (trial, value) in enumerate([(4, 0.9), (4, 0.8), (7, 0.95), (7, 0.85)])
    ]
    note = note_of(study(rows, name="brain/confirm", n_trials=4), DATA)
    assert "Trains the best configs of **brain** again from other seeds" in note
    first, second = (line for line in note.splitlines() if "2 of 2" in line)
    assert first.startswith("| 7 | vgg | 2 of 2 | 0.9000 | 0.26")
    assert second.startswith("| 4 | vgg | 2 of 2 | 0.8500 | 0.21")
    assert first.count("% |") == second.count("% |") == 1
    assert "Recommended: trial 7. Not distinguishable: 4." in note
    blind = note_of(study(rows, name="brain/confirm", n_trials=4))
    assert "| 7 | vgg | 2 of 2 | 0.9000 | – | – |" in blind
    assert "Recommended" not in blind
    assert "The best mean is 0.9000, of trial 7." in blind
    assert "est of each family" not in note
    assert note.endswith("`convsearch report brain` writes the report of both.")
    unfinished = note_of(study(rows[:2], name="brain/confirm", n_trials=4))
    assert unfinished.endswith("`convsearch confirm brain` resumes it.")


def test_note_of_a_confirmed_study_links_to_the_confirmation() -> None:
    note = note_of(study([ROW]), confirmation_url="/dashboard/studies/2/note", is_confirmed=True)
    assert "see [brain/confirm](/dashboard/studies/2/note)" in note


def test_first_page_describes_a_study_in_a_few_lines() -> None:
    facts = study_facts(study([ROW], active_s=400.0, n_trials=1), DATA)
    assert facts["Progress"] == "Finished: 1 of 1 trial done in 7 min of work"
    assert facts["Best"] == "0.9000 on validation, by trial 2 (vgg)"
    assert facts["Images"].endswith("classes")
    with_baseline = study_facts(study([ROW]), replace(DATA, baseline=0.61))
    assert with_baseline["Baseline"] == "0.6100 on validation, by intensity statistics alone"
    assert list(study_facts(study([]), None)) == ["Progress", "More"]


def test_classes_of_any_name_are_listed_with_sample_images() -> None:
    data = made_facts.make_facts().data
    note = study_note(study(), data=data, samples_url="/artifacts/1/4")
    assert "![Training images](/artifacts/1/4)" in note
    assert "<script" not in render(note)
    for name in data.classes:
        assert name in shown(note)


@pytest.mark.parametrize("settings", ["", "no", "[]", '{"space": 3, "training": []}', "null"])
def test_unreadable_settings_do_not_prevent_a_note(settings: str) -> None:
    assert note_of(study(settings=settings), DATA).startswith("## brain")


def test_notes_need_no_network() -> None:
    script = (
        "import sys, analysis.dashboard.notes\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
