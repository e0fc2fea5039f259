"""`confirm`: train the best configs again, compare them, and score the winner."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from analysis import Ranking, load_status, rank
from analysis.confirmation.comparison import Confirmation
from analysis.confirmation.trainings import Trainings, load_trainings
from analysis.confirmation_study import confirmation_name
from analysis.report.facts import TestUse
from analysis.results.classification_metrics import Evaluation, evaluate
from search import defaults
from search.data import Progress
from search.errors import ArtifactError, TrialRecordError
from search.evaluation.confirmation_study import submit_confirmation
from search.evaluation.model_selection import Winner, choose_winner
from search.evaluation.test_split_use import TEST, WinnerPredictor, load_test_uses
from search.evaluation.trained_network import Evaluator
from search.settings.plan import StudyTable
from search.settings.store_url import store_url
from search.studies.open_study import OpenStudy
from search.studies.submission import Submission
from search.workers.local_run import (
    RunCallbacks,
    RunResult,
    View,
    choose_local_gpus,
    run_submission,
)
from spaces import SpaceError
from storage import Store, list_studies, load_study, recover_once

COMMAND = "convsearch confirm"


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """The result of `confirm`.

    `confirmation` is None before any training has a value, `winner` before all are done. `test` is
    the winner's evaluation on the test split, None if that was not used; `uses` are all uses of
    the split. `problem` is why the winner could not be scored.
    """

    ranking: Ranking
    run: RunResult
    trainings: Trainings | None
    confirmation: Confirmation | None
    winner: Winner | None
    test: Evaluation | None
    uses: tuple[TestUse, ...]
    problem: str | None = None

    @property
    def has_enough_seeds(self) -> bool:
        """Whether there are enough trainings to recommend a config."""
        return self.trainings is not None and self.trainings.has_enough_seeds

    def to_json(self) -> dict[str, Any]:
        """Return the document of `confirm --json`."""
        found, winner = self.confirmation, self.winner
        return {
            "study": self.ranking.study,
            "is_over": self.trainings is not None and self.trainings.is_over,
            "configs": [] if found is None else [it.to_json() for it in found.standings],
            "recommended": found.recommended.trial if found and self.has_enough_seeds else None,
            "trainings_left": 0 if self.trainings is None else self.trainings.n_left,
            "trainings_spared": 0 if self.trainings is None else self.trainings.n_skipped,
            "winner": None if winner is None else asdict(winner),
            "test": None if self.test is None else self.test.to_json(),
            "test_uses": [asdict(use) for use in self.uses],
            "problem": self.problem,
        }


def confirm(
    store: str | None,
    study: str,
    *,
    top: int = defaults.CONFIRM_TOP,
    n_seeds: int = defaults.CONFIRM_SEEDS,
    local: StudyTable | None = None,
    trust_modules: bool = False,
    opens_test: bool | None = None,
    progress: Progress | None = None,
    on_submit: Callable[[Submission], None] | None = None,
    on_stop: Callable[[], None] = lambda: None,
    on_score: Callable[[], None] = lambda: None,
    view: View | None = None,
) -> ConfirmResult:
    """Train the best configs of a study again, compare them, and score the winner once.

    Args:
        store: URL of the store; `$CONVSEARCH_STORE` or `sqlite:///convsearch.db` by default.
        study: The study's name.
        top: Number of configs.
        n_seeds: Number of trainings of each.
        local: The local workers.
        trust_modules: Whether to run the modules that the study names for families of users.
        opens_test: Whether to score the winner on the test split; by default if the study is over.
        progress: Called with the progress of uploading images.
        on_submit: Called with the confirmation before its workers start.
        on_stop: Called upon Ctrl-C or SIGTERM.
        on_score: Called before the winner predicts the test split.
        view: Shows the confirmation's status while it runs.

    Raises:
        NoResultError: If no trial of the study is complete.
        SearchError, SpaceError, StoreError: If data, space or store cannot be used.
    """
    url, local = store_url(store), local or StudyTable()
    gpus = choose_local_gpus(local)
    n_workers = len(gpus) or (None if local.workers == "auto" else local.workers)
    callbacks = RunCallbacks(on_submit or RunCallbacks().on_submit, on_stop, view)
    with Store.open(url, create=False) as opened_store:
        submission = submit_confirmation(
            opened_store,
            study,
            top=top,
            n_seeds=n_seeds,
            n_workers=n_workers,
            trust_modules=trust_modules,
            progress=progress,
        )
        run = run_submission(submission, gpus, callbacks, url=store)
    with Store.open(url, create=False) as opened_store:
        return _conclude(opened_store, study, run, opens_test=opens_test, on_score=on_score)


def load_comparison(opened: OpenStudy) -> tuple[Trainings | None, Confirmation | None]:
    """Load the trainings of a study's confirmation, and compare its configs."""
    trainings = load_trainings(opened.store, opened.name)
    if trainings is None:
        return None, None
    n_images = next(iter(opened.data.values())).counts["val"]
    return trainings, trainings.compare_configs(1 / n_images)


def _conclude(
    store: Store,
    study: str,
    run: RunResult,
    *,
    opens_test: bool | None,
    on_score: Callable[[], None],
) -> ConfirmResult:
    recover_with_confirmation(store, study)
    opened = OpenStudy.load(store, study)
    ranking = rank(store, study)
    trainings, confirmation = load_comparison(opened)
    is_over = trainings is not None and trainings.is_over and confirmation is not None
    winner = choose_winner(ranking, trainings, confirmation) if is_over else None
    test, problem = None, None
    if opens_test is None:
        opens_test = load_status(store, study).is_over and not unconfirmed_leaders(
            ranking, trainings
        )
    if winner is not None and opens_test and not run.is_interrupted:
        try:
            test = _score(opened, winner, on_score)
        except (TrialRecordError, ArtifactError, SpaceError) as error:
            problem = str(error)
    uses = load_test_uses(opened)
    return ConfirmResult(ranking, run, trainings, confirmation, winner, test, uses, problem)


def unconfirmed_leaders(ranking: Ranking, trainings: Trainings | None) -> list[int]:
    """Return trials that rank as high as confirmed ones, but were not trained again."""
    known = set() if trainings is None else {it.trial for it in trainings.trainings}
    return [it.trial for it in ranking.complete[: len(known)] if it.trial not in known]


def recover_with_confirmation(store: Store, study: str) -> None:
    """Recover trials of dead workers in a study and in its confirmation.

    The best trial may be one whose outcome is recorded, but not its state.

    Raises:
        StudyNotFoundError: If there is no such study.
    """
    known = list_studies(store)
    for name in (study, confirmation_name(study)):
        if name == study or name in known:
            recover_once(store, load_study(store, name).study_id)


def _score(opened: OpenStudy, winner: Winner, on_score: Callable[[], None]) -> Evaluation:
    predictor = WinnerPredictor(opened.store, winner, COMMAND)
    if predictor.load_stored(TEST) is None:
        on_score()
    with Evaluator(OpenStudy.load(opened.store, winner.study), winner.number) as network:
        found = predictor.predictions(TEST, network)
    images = next(iter(opened.data.values()))
    return evaluate(found.labels, found.probabilities, images.classes, groups=images.groups(TEST))
